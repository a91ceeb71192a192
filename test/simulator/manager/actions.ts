/** What an agent loop, a host or a tool does to the manager, apart from reading. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { InvalidAnswer } from "../../../src/errors.js"
import { listSuspended } from "../../../src/machine/queries.js"
import { openQuestions } from "../../../src/machine/questions.js"
import type { TaskApproval } from "../../../src/model/Approval.js"
import { SessionId, TaskId, ToolCallId, TurnId, type TurnRef } from "../../../src/model/ids.js"
import { TaskLaunchRequest } from "../../../src/model/Task.js"
import type { TaskResolution, TaskStartOutcome } from "../../../src/model/TaskResolution.js"
import type { ToolRequest } from "../../../src/model/ToolCall.js"
import type { TaskManager } from "../../../src/services/TaskManager.js"
import type { ToolExecutor } from "../../../src/services/ToolExecutor.js"
import type { AnswerRecord, CallRecord } from "./history.js"
import { overtaking } from "./overtaking.js"
import { forgets, scriptOf, tick } from "./plan.js"
import { type Actor, noting, type World } from "./World.js"
import { askingOfAnother, wrongAnswers, wrongly } from "./wrongAnswers.js"

export const sessionOf = (index: number): SessionId => SessionId.make(`s${index + 1}`)

export const turnOf = (index: number): TurnId => TurnId.make(`t${index + 1}`)

const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A | undefined, never, R> =>
  Effect.orElseSucceed(effect, () => undefined)

/** Makes up a call. The same call ids come up in every session, and now and then twice in one. */
export const planCall = (world: World, turn: TurnRef): ToolRequest => {
  const { plan, random } = world
  const key = world.nextKey()
  const request: ToolRequest = {
    sessionId: turn.sessionId,
    turnId: turn.turnId,
    callId: ToolCallId.make(`c${1 + random.int(3)}`),
    toolName: random.pick(["read", "write"]),
    input: { key, lines: [random.int(3), { deep: [true, null] }] },
    metadata: { key }
  }
  world.planned.set(key, { key, request, script: scriptOf(random, plan) })
  world.touch(turn)
  return request
}

const noteOutcome = (world: World, actor: Actor, request: ToolRequest, outcome: TaskStartOutcome): void => {
  if (outcome._tag === "Pending") {
    world.say(actor.name, () => `was answered Pending ${outcome.taskId} ${outcome.kind}`)
    return
  }
  world.deliver({
    to: "Ready",
    reader: actor.name,
    sessionId: request.sessionId,
    turnId: request.turnId,
    resolution: outcome.resolution,
    isDirect: false,
    batch: world.nextBatch()
  })
}

/** What a routing function throws now and then. */
export const routingFailure = "the routing function failed"

const routingMayFail = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A | undefined, E, R> =>
  Effect.catchAllDefect(
    effect,
    (defect) => defect === routingFailure ? Effect.sync(() => undefined) : Effect.die(defect)
  )

const refusable = (
  world: World,
  record: CallRecord,
  request: TaskLaunchRequest
): ReturnType<TaskManager["Type"]["startTask"]> =>
  // not tapErrorTag, which also does one more operation behind a success, where an interrupt loses what was handed over
  Effect.catchTag(world.manager.startTask(request), "TaskLimitReached", (error) => {
    record.refused = { limit: error.limit, max: error.max }
    return Effect.fail(error)
  })

/** Whether the call cannot wait for its routing any more: what it was to start or resume is over. */
const isOvertaken = ({ calls, routed, subject }: World, { _tag, request, taskId }: TaskLaunchRequest): boolean => {
  if (_tag === "Approved") {
    const task = subject.engine.state.table.tasks.get(taskId)
    return task?.isLive !== true || task.snapshot.status !== "Suspended"
  }
  const asked = routed.slice().reverse().find(({ key }) => key === request.metadata["key"])
  return asked !== undefined && overtaking(calls, asked, request).length > 0
}

/** Routing may never answer: after some time something is done about it. */
const patiently = <A, R>(
  world: World,
  actor: Actor,
  { request }: TaskLaunchRequest,
  starting: Effect.Effect<A | undefined, never, R>
): Effect.Effect<A | undefined, never, R> => {
  const { plan, random } = world
  if (!plan.features.slowRouting || plan.manager === "Simple") return starting
  return Effect.gen(function*() {
    const fiber = yield* Effect.fork(starting)
    const patience = tick * (1 + random.int(8))
    const giveUp = Effect.suspend((): Effect.Effect<unknown> => {
      const dice = random.next()
      if (dice < 0.4) return interruptTurn(world, actor, request)
      if (dice < 0.6) return closeSession(world, actor, request.sessionId)
      return Effect.void
    })
    const impatient = yield* Effect.fork(
      Effect.sleep(patience).pipe(Effect.zipRight(giveUp), Effect.zipRight(Fiber.interrupt(fiber)))
    )
    const exit = yield* Fiber.await(fiber)
    yield* Fiber.interrupt(impatient)
    if (exit._tag === "Success") return exit.value
    return Cause.isInterruptedOnly(exit.cause) ? undefined : yield* Effect.failCause(exit.cause)
  })
}

const launch = (
  world: World,
  actor: Actor,
  operation: "startTask" | "approve" | "approveWrongly" | "approveAgain",
  request: TaskLaunchRequest
): Effect.Effect<TaskStartOutcome | undefined, never, ToolExecutor> =>
  patiently(
    world,
    actor,
    request,
    routingMayFail(quietly(world.call(
      actor,
      operation,
      {
        taskId: request.taskId,
        sessionId: request.request.sessionId,
        turnId: request.request.turnId,
        asking: request._tag === "Approved" ? request.approval.asking : undefined
      },
      (record) =>
        noting(refusable(world, record, request), (outcome) => {
          noteOutcome(world, actor, request.request, outcome)
          if (outcome._tag === "Ready") record.inHand.push(outcome.resolution)
        }),
      world.plan.manager === "Live" ? () => isOvertaken(world, request) : undefined
    )))
  )

/** The dice of one call: what it is, where it runs, and whose id it has. */
export const startCall = (
  world: World,
  actor: Actor,
  turn: TurnRef
): Effect.Effect<TaskStartOutcome | undefined, never, ToolExecutor> =>
  Effect.suspend(() => {
    const { plan, random } = world
    const request = planCall(world, turn)
    // an id of the caller's own; now and then one that exists, unless it may have been forgotten and would be taken
    const taskId = random.chance(0.2)
      ? random.chance(0.3) && !forgets(plan)
        ? random.pickFrom(world.taskIds)
        : TaskId.make(`mine-${world.nextKey()}`)
      : undefined
    return launch(
      world,
      actor,
      "startTask",
      TaskLaunchRequest.plain({
        request,
        taskId,
        deliveryMode: random.chance(0.2) ? random.pick(["ToLoop", "Manual"]) : undefined,
        continuePolicy: random.chance(0.2) ? random.pick(["NotifyOnly", "RequestContinue"]) : undefined
      })
    )
  })

const approve = (
  world: World,
  actor: Actor,
  asked: TaskApproval
): Effect.Effect<TaskStartOutcome | undefined, never, ToolExecutor> =>
  Effect.suspend(() => {
    const { approval, taskId, toolRequest } = asked
    world.given.push(asked)
    return launch(world, actor, "approve", TaskLaunchRequest.approved({ taskId, request: toolRequest, approval }))
  })

/** Answers questions, and writes down whether they count. */
const answerWith = (
  world: World,
  actor: Actor,
  operation: "answer" | "answerWrongly",
  asked: TaskApproval,
  answers: Readonly<Record<string, unknown>>,
  records: ReadonlyArray<AnswerRecord>
): Effect.Effect<TaskStartOutcome | undefined, never, ToolExecutor> => {
  const { approval, taskId, toolRequest } = asked
  const { sessionId, turnId } = toolRequest
  const launched = TaskLaunchRequest.approved({ taskId, request: toolRequest, approval })
  // as in `refusable`
  const refused = <A, E, R>(answering: Effect.Effect<A, E | InvalidAnswer, R>) =>
    Effect.catchIf(answering, (error): error is InvalidAnswer => error instanceof InvalidAnswer, (error) => {
      for (const answered of records) answered.isRefused = true
      return Effect.fail(error)
    })
  return patiently(
    world,
    actor,
    launched,
    routingMayFail(quietly(world.call(
      actor,
      operation,
      { taskId, sessionId, turnId, asking: approval.asking },
      (record) =>
        noting(refused(world.manager.answerApproval(asked, { answers })), (outcome) => {
          for (const answered of records) answered.isTaken = true
          if (outcome === undefined) return
          record.hasApproved = true
          noteOutcome(world, actor, toolRequest, outcome)
          if (outcome._tag === "Ready") record.inHand.push(outcome.resolution)
        }),
      world.plan.manager === "Live" ? () => isOvertaken(world, launched) : undefined
    )))
  )
}

/** Answers as one call, each with a number that no other answer has. */
const give = (
  world: World,
  actor: Actor,
  asked: TaskApproval,
  ids: ReadonlyArray<string>
): Effect.Effect<TaskStartOutcome | undefined, never, ToolExecutor> =>
  Effect.suspend(() => {
    const values = Object.fromEntries(ids.map((id) => [id, world.nextAnswer()]))
    const { approval: { asking }, taskId } = asked
    const records: ReadonlyArray<AnswerRecord> = ids.map((id) => ({
      taskId,
      asking,
      id,
      value: values[id] ?? 0,
      isTaken: false,
      isRefused: false
    }))
    world.answers.push(...records)
    world.given.push(asked)
    return answerWith(world, actor, "answer", asked, values, records)
  })

/** Answers all that is open, or says yes where nothing is. */
export const approveFully = (
  world: World,
  actor: Actor,
  asked: TaskApproval
): Effect.Effect<TaskStartOutcome | undefined, never, ToolExecutor> => {
  const open = openQuestions(asked)
  return open.length === 0 ? approve(world, actor, asked) : give(world, actor, asked, open.map(({ id }) => id))
}

/** A click that comes again, perhaps much later: an answer that was given before. */
const approveAgain = (
  world: World,
  actor: Actor,
  { approval, taskId, toolRequest }: TaskApproval
): Effect.Effect<TaskStartOutcome | undefined, never, ToolExecutor> =>
  launch(world, actor, "approveAgain", TaskLaunchRequest.approved({ taskId, request: toolRequest, approval }))

const tokenOf = (world: World, asking: string | undefined): string | undefined => {
  const dice = world.random.next()
  return dice < 0.5 ? asking : dice < 0.6 ? askingOfAnother(world, asking) : undefined
}

/** Rejects what was shown, or whatever is asked by now. */
export const reject = (
  world: World,
  actor: Actor,
  { approval: { asking }, taskId }: Pick<TaskApproval, "approval" | "taskId">
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const answer = { taskId, reason: "not today", asking: tokenOf(world, asking) }
    return Effect.asVoid(quietly(
      world.call(actor, "rejectApproval", { taskId, asking: answer.asking }, () => world.manager.rejectApproval(answer))
    ))
  })

/** Answers an approval in some way, or leaves it to others. Follows what an inline manager hands back. */
export const answer = (
  world: World,
  actor: Actor,
  asked: TaskApproval
): Effect.Effect<void, never, ToolExecutor> =>
  Effect.suspend(() => {
    const dice = world.random.next()
    if (dice < 0.15) {
      return Effect.zipRight(launch(world, actor, "approveWrongly", wrongly(world, asked)), answer(world, actor, asked))
    }
    if (dice < 0.6 && (asked.approval.questions ?? []).length > 0) return answerSome(world, actor, asked)
    if (dice < 0.6) {
      const approved = Effect.flatMap(approve(world, actor, asked), (outcome) => follow(world, actor, outcome))
      const earlier = world.random.pickFrom(world.given)
      // twice in a row, or an answer from the past after what it would approve now was asked
      const again = world.random.chance(0.3) ? asked : world.random.chance(0.3) ? earlier : undefined
      return again === undefined
        ? approved
        // not Effect.all: interrupted as it begins, its fibers hang
        : Effect.flatMap(Effect.fork(approveAgain(world, actor, again)), (clicked) =>
          Effect.zipRight(approved, Fiber.await(clicked)))
    }
    if (dice < 0.75) {
      return reject(world, actor, asked)
    }
    if (dice < 0.85 && world.plan.features.cancels) {
      return cancel(world, actor, asked.taskId)
    }
    return Effect.void
  })

/** Answers what was shown in some way, some of it or all, also what has an answer by now. */
const answerSome = (
  world: World,
  actor: Actor,
  asked: TaskApproval
): Effect.Effect<void, never, ToolExecutor> =>
  Effect.gen(function*() {
    const { random } = world
    const ids = (asked.approval.questions ?? []).map(({ id }) => id)
    if (random.chance(0.2)) {
      yield* answerWith(world, actor, "answerWrongly", asked, wrongAnswers(world, asked), [])
    }
    if (random.chance(0.15)) yield* approve(world, actor, asked)
    const some = random.chance(0.4) ? ids : ids.filter(() => random.chance(0.5))
    const other = random.chance(0.3)
      ? yield* Effect.fork(give(world, actor, asked, ids.filter(() => random.chance(0.5))))
      : undefined
    const outcome = yield* give(world, actor, asked, some)
    if (other !== undefined) yield* Fiber.await(other)
    yield* follow(world, actor, outcome)
    // as it was shown, or as it is by now
    if (random.chance(0.6)) {
      const current = listSuspended(world.subject.engine.state.table).find(({ taskId }) => taskId === asked.taskId)
      yield* answer(world, actor, random.chance(0.5) ? asked : current ?? asked)
    }
  })

/** What an inline start handed back may ask for approval, again and again. */
export const follow = (
  world: World,
  actor: Actor,
  outcome: TaskStartOutcome | undefined
): Effect.Effect<void, never, ToolExecutor> =>
  outcome?._tag === "Ready" ? followResolution(world, actor, outcome.resolution) : Effect.void

export const followResolution = (
  world: World,
  actor: Actor,
  resolution: TaskResolution
): Effect.Effect<void, never, ToolExecutor> =>
  resolution._tag === "Approval" ? answer(world, actor, resolution.approval) : Effect.void

const isSettled = (world: World, taskId: TaskId): boolean =>
  world.subject.engine.state.table.tasks.get(taskId)?.isLive !== true

export const cancel = (world: World, actor: Actor, taskId: TaskId): Effect.Effect<void> =>
  Effect.asVoid(quietly(
    world.call(actor, "cancel", { taskId }, () =>
      Effect.map(world.manager.handle.cancel(taskId), () => {
        // a tool does not wait for itself, nor for a task it runs under
        if (actor.inTask !== undefined || isSettled(world, taskId)) return
        world.violate(4, `cancel of ${taskId} returned to ${actor.name} before it is settled`)
      }), () => isSettled(world, taskId))
  ))

export const detach = (world: World, actor: Actor, taskId: TaskId): Effect.Effect<void> =>
  Effect.asVoid(quietly(world.call(actor, "detach", { taskId }, () => world.manager.handle.detach(taskId))))

const noteReceipt = (
  world: World,
  actor: Actor,
  record: CallRecord,
  receipt: { readonly cancelled: CallRecord["receipt"] }
): void => {
  record.receipt = receipt.cancelled
  if (actor.inTask !== undefined) return
  for (const { id, settledAt } of receipt.cancelled ?? []) {
    if (settledAt === undefined) {
      world.violate(7, `${record.operation} returned to ${actor.name} before ${id} is settled`)
    }
  }
}

export const interruptTurn = (world: World, actor: Actor, turn: TurnRef): Effect.Effect<void> =>
  Effect.suspend(() => {
    world.touch(turn)
    return Effect.asVoid(world.call(actor, "onTurnInterrupted", turn, (record) =>
      Effect.map(world.manager.onTurnInterrupted(turn), (receipt) =>
        noteReceipt(world, actor, record, receipt))))
  })

export const closeSession = (world: World, actor: Actor, sessionId: SessionId): Effect.Effect<void> =>
  Effect.asVoid(
    world.call(actor, "closeSession", { sessionId }, (record) =>
      Effect.map(world.manager.closeSession(sessionId), (receipt) =>
        noteReceipt(world, actor, record, receipt)))
  )

/** Some task that was seen, or one that never was. */
export const someTask = (world: World): TaskId => {
  // recent tasks are the interesting ones
  const recent = world.random.chance(0.7) ? world.taskIds.slice(-4) : world.taskIds
  return world.random.pickFrom(recent) ?? TaskId.make("nobody")
}

export const someTurn = (world: World): TurnRef => ({
  sessionId: sessionOf(world.random.int(world.plan.sessions)),
  turnId: turnOf(world.random.int(world.plan.turns))
})

export const waitForIdle = (world: World, actor: Actor): Effect.Effect<void> =>
  world.call(
    actor,
    "waitForIdle",
    {},
    () => world.manager.handle.waitForIdle,
    () => world.subject.engine.state.table.idle.active === 0
  )

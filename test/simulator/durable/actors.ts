/** Who calls the manager of a simulated process: agents, readers of what comes late, a host. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { isTurnReady } from "../../../src/machine/delivery.js"
import type { TaskTable } from "../../../src/machine/state/TaskTable.js"
import { SessionId, TaskId, ToolCallId, TurnId, type TurnRef } from "../../../src/model/ids.js"
import type { TaskSnapshot } from "../../../src/model/Task.js"
import type { TaskHistoryPage } from "../../../src/model/TaskHistory.js"
import type { TaskResolution, TurnTaskUpdate } from "../../../src/model/TaskResolution.js"
import { ToolExecutor } from "../../../src/services/ToolExecutor.js"
import { noting, step } from "../manager/World.js"
import type { DurableWorld, Taking } from "./DurableWorld.js"
import type { OpenManager } from "./openManager.js"
import { tick } from "./plan.js"
import { toolNames } from "./tools.js"

const refused = "refused"

/** Turns that somebody waits for: nobody may wait for what could be taken. */
export type Waiting = Set<() => boolean>

export interface Play {
  readonly world: DurableWorld
  readonly open: OpenManager
  readonly waiting: Waiting
}

/** A reply: all that its process had taken before is written. */
const replied = <A, E, R>(
  { open, world }: Play,
  call: Effect.Effect<A, E, R>,
  note: (value: A, began: number) => void = () => {}
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const began = world.now()
    return noting(call, (value) => {
      world.reply(open, began)
      note(value, began)
    })
  })

/** What the host is shown. */
const shown = <E>(
  play: Play,
  call: Effect.Effect<ReadonlyArray<TaskSnapshot>, E>
): Effect.Effect<ReadonlyArray<TaskSnapshot>, E> =>
  replied(play, call, (all, began) => {
    for (const snapshot of all) play.world.show(play.open, snapshot, began)
  })

const sessionOf = (index: number): SessionId => SessionId.make(`s${index}`)

const pause = ({ random }: DurableWorld): Effect.Effect<void> =>
  Effect.suspend(() => random.chance(0.4) ? Effect.sleep(tick * (1 + random.int(3))) : step(random.int(6)))

/** What a consumer does with what it is given: stores it in a transaction, or just has it. */
const use = (
  { open, world }: Play,
  updates: Parameters<OpenManager["storeAndAcknowledge"]>[0],
  all: ReadonlyArray<TurnTaskUpdate | TaskResolution>,
  takings: Array<Taking>
): Effect.Effect<void, unknown> =>
  Effect.suspend((): Effect.Effect<void, unknown> => {
    const { plan, random } = world
    if (all.length === 0) return Effect.void
    for (const update of all) world.offer(open, update)
    if (plan.features.refusals && random.chance(0.2)) {
      world.meet("a consumer that refuses")
      return Effect.zipRight(step(random.int(4)), Effect.fail(refused))
    }
    if (random.chance(0.7)) {
      const stored = open.storeAndAcknowledge(updates, all)
      if (!plan.features.refusals || random.chance(0.8)) return stored
      return Effect.zipRight(
        stored,
        Effect.suspend(() => {
          world.meet("a consumer that fails after its commit")
          return Effect.fail(refused)
        })
      )
    }
    return noting(step(random.int(3)), () => {
      for (const update of all) takings.push(world.consume(open, update))
    })
  })

const isWaited = ({ sessions }: TaskTable, { sessionId, turnId }: TurnRef): boolean =>
  sessions.get(sessionId)?.turns.get(turnId)?.waiters.isEmpty === false

/** Waits for the next update of a turn, in one of the ways there are. `false` when the turn has drained. */
const readTurn = (play: Play, turn: TurnRef): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    const { open, waiting, world } = play
    const { engine, manager } = open
    const { table } = engine.state
    const takings: Array<Taking> = []
    const consumes = world.random.chance(0.6)
    // who has found nothing may wait for a write, and who cannot be woken before it is made waits for nothing else
    const isDue = () => isTurnReady(table, turn) && isWaited(table, turn)
    waiting.add(isDue)
    const read = consumes
      ? replied(
        play,
        manager.consumeTurnUpdate(turn, (update) => {
          waiting.delete(isDue)
          return use(play, update, [update], takings)
        }),
        () => world.consumed(open, takings)
      ).pipe(Effect.map(Option.isSome), Effect.catchAll(() => Effect.succeed(true)))
      : Effect.map(
        noting(manager.waitForTurn(turn), (update) => {
          waiting.delete(isDue)
          if (Option.isSome(update)) world.take(open, update.value, "turn")
        }),
        Option.isSome
      )
    return Effect.ensuring(read, Effect.sync(() => waiting.delete(isDue)))
  })

const drainTurn = (play: Play, turn: TurnRef): Effect.Effect<void> =>
  Effect.flatMap(readTurn(play, turn), (isMore) => isMore ? drainTurn(play, turn) : Effect.void)

/** Takes what has come for the loop and the host. */
const takeLate = (play: Play, sessionId: SessionId): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { open, world } = play
    const { manager } = open
    const takeAll = (how: string) => (all: ReadonlyArray<TaskResolution>) => {
      for (const resolution of all) world.take(open, resolution, how)
    }
    if (world.random.chance(0.6)) {
      const takings: Array<Taking> = []
      const call = manager.consumePendingLoopUpdates(
        sessionId,
        (updates) => use(play, updates, updates.resolutions, takings)
      )
      yield* Effect.ignore(replied(play, call, () => world.consumed(open, takings)))
    } else {
      yield* noting(manager.takePendingLoopUpdates(sessionId), ({ resolutions }) => takeAll("loop")(resolutions))
    }
    yield* noting(manager.handle.drainReadyItemsOf(sessionId), takeAll("manual"))
  })

const takeOne = (play: Play, taskId: TaskId): Effect.Effect<void> => {
  const { open, world } = play
  return Effect.ignore(
    noting(open.manager.takeResult(taskId), (taken) => {
      if (Option.isSome(taken)) world.take(open, taken.value, "alone")
    })
  )
}

/** Answers what is asked: some of it, or all. */
const answer = (play: Play, all: boolean): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { open, world } = play
    const { random } = world
    const suspended = yield* replied(play, open.manager.handle.listSuspended)
    for (const asked of suspended) {
      if (!all && random.chance(0.4)) continue
      const rejects = random.chance(0.3)
      if (!rejects) world.approve(asked.taskId)
      yield* Effect.ignore(
        replied(play, open.manager.answerApproval(asked, rejects ? { reject: "no" } : "approve"))
      )
    }
  }).pipe(Effect.provideService(ToolExecutor, play.open.tools))

const startCall = (play: Play, turn: TurnRef, call: number): Effect.Effect<TaskId | undefined> =>
  Effect.gen(function*() {
    const { open, world } = play
    const { plan, random } = world
    const { features } = plan
    const toolName = random.pick(toolNames)
    const how = features.background && random.chance(0.4)
      ? random.pick(["background", "manual"])
      : features.detaching && random.chance(0.4)
      ? random.pick(["detach", "timeout"])
      : features.duplicates
      ? random.pick(["joins", "joins", "joinsLate"])
      : ""
    const named = random.chance(0.5) ? { taskId: TaskId.make(`named-${turn.turnId}-${call}`) } : {}
    const outcome = yield* replied(
      play,
      open.manager.startTask({
        _tag: "Plain",
        ...named,
        request: {
          ...turn,
          callId: ToolCallId.make(`c${call}`),
          toolName: toolName === "ask" && !features.approvals ? "quick" : toolName,
          input: {},
          metadata: { how }
        }
      })
    )
    if (outcome._tag === "Ready") return undefined
    world.accept(open, outcome.taskId, turn.sessionId)
    return outcome.taskId
  }).pipe(
    Effect.provideService(ToolExecutor, play.open.tools),
    Effect.catchAll(() => Effect.as(Effect.void, undefined))
  )

export const agent = (play: Play, session: number): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { open, world } = play
    const { plan, random } = world
    const sessionId = sessionOf(session)
    for (let round = 0; round < plan.rounds && !world.closing.has(sessionId); round++) {
      const turn: TurnRef = { sessionId, turnId: TurnId.make(`t${world.nextTurn()}`) }
      world.turns.set(turn.turnId, turn)
      for (let call = random.int(plan.calls); call >= 0; call--) {
        const taskId = yield* startCall(play, turn, call)
        if (taskId !== undefined && plan.features.singleResults && random.chance(0.3)) yield* takeOne(play, taskId)
      }
      if (plan.features.interruptedTurns && random.chance(0.2)) {
        yield* replied(play, open.manager.onTurnInterrupted(turn))
      }
      if (random.chance(0.8)) yield* drainTurn(play, turn)
      if (random.chance(0.5)) yield* takeLate(play, sessionId)
    }
  })

/** Looks up a task that has ended, or any other: what it said, and what it has written. */
const lookUp = (play: Play, taskId: TaskId): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { open, world } = play
    const { handle } = open.manager
    const look = <A>(how: string, call: Effect.Effect<A, unknown>, note: (value: A, began: number) => void) =>
      Effect.suspend(() => {
        const found = world.kept.lookUp(open, taskId, how)
        return Effect.matchEffect(replied(play, call, note), {
          onSuccess: () => Effect.sync(() => found(true)),
          onFailure: () => Effect.sync(() => found(false))
        })
      })
    const dice = world.random.next()
    if (dice < 0.3) return look("get", handle.get(taskId), (snapshot, began) => world.show(open, snapshot, began))
    if (dice < 0.5) return look("result", handle.result(taskId), () => {})
    return look("output", handle.output(taskId), (output) => world.kept.showOutput(open, taskId, output))
  })

/** Pages through the settled tasks. */
const readHistory = (play: Play): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { open, world } = play
    const { plan, random } = world
    const sessionId = random.chance(0.5) ? sessionOf(random.int(plan.sessions)) : undefined
    const limit = 1 + random.int(4)
    const read = world.kept.page(open, sessionId)
    const ids: Array<TaskId> = []
    let before: number | undefined = undefined
    do {
      const began = world.now()
      // it shows rows, and waits for no write
      const page: TaskHistoryPage = yield* noting(
        open.manager.handle.history({ before, limit, filter: { sessionId } }),
        ({ tasks }) => {
          for (const snapshot of tasks) world.show(open, snapshot, began)
        }
      )
      for (const { id } of page.tasks) ids.push(id)
      before = page.next
    } while (before !== undefined)
    read(ids)
  })

/** Looks, answers, cancels, moves, closes. */
export const host = (play: Play): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { open, world } = play
    const { plan, random } = world
    const { handle } = open.manager
    for (let action = random.int(8); action > 0; action--) {
      yield* pause(world)
      const ended = world.anyEnded()
      if (ended !== undefined && random.chance(0.5)) yield* lookUp(play, ended)
      if (random.chance(0.15)) yield* readHistory(play)
      const known = yield* shown(play, handle.list())
      const one = random.pickFrom(known)
      if (one !== undefined && plan.features.writing && random.chance(0.3)) yield* lookUp(play, one.id)
      const dice = random.next()
      if (dice < 0.3) yield* answer(play, false)
      else if (dice < 0.5) yield* takeLate(play, sessionOf(random.int(plan.sessions)))
      else if (one === undefined) continue
      else if (dice < 0.6) yield* lookUp(play, one.id)
      else if (dice < 0.7) yield* Effect.ignore(replied(play, handle.detach(one.id)))
      else if (dice < 0.8) {
        yield* Effect.ignore(replied(play, handle.setDeliveryMode(one.id, random.pick(["Manual", "ToLoop"]))))
      } else if (dice < 0.9 && plan.features.cancels) yield* Effect.ignore(replied(play, handle.cancel(one.id)))
      else if (plan.features.closings && dice > 0.95) {
        const closed = world.close(open, one.sessionId)
        yield* replied(play, open.manager.closeSession(one.sessionId), closed)
      }
    }
  })

/** Goes on with what an earlier process has left. */
export const recover = (play: Play): Effect.Effect<void> =>
  Effect.forEach([...play.world.turns.values()], (turn) => drainTurn(play, turn), {
    concurrency: "unbounded",
    discard: true
  })

/** Until everything that has settled is too old, as far as it becomes so. */
const waitUntilGone = (play: Play): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { open, world } = play
    const { settled, sweepEvery } = world.plan.keeping
    yield* readHistory(play)
    // a sweep looks twice at what it has looked at, and a group may take a while
    if (settled < Infinity) yield* Effect.sleep(settled + 3 * sweepEvery + 5 * tick)
    yield* replied(play, open.manager.handle.list())
    const page = yield* open.manager.handle.history()
    const shown = yield* replied(play, open.manager.handle.list())
    world.kept.checkGone(Math.max(page.tasks.length, shown.length))
  })

/** Until what nobody takes has waited for longer than it may. */
const waitUntilDropped = ({ world }: Play): Effect.Effect<void> => {
  const { sweepEvery, undelivered } = world.plan.keeping
  const slack = 3 * sweepEvery + 5 * tick
  return undelivered === Infinity
    ? Effect.void
    : Effect.zipRight(
      Effect.sleep(undelivered + slack),
      Effect.sync(() => world.kept.checkDropped(undelivered + slack))
    )
}

/** Until nothing is live and nothing is undelivered. */
export const drainEverything = (play: Play): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { open, world } = play
    if (world.random.chance(0.3)) yield* waitUntilDropped(play)
    const recovering = yield* Effect.fork(recover(play))
    for (let round = 0; round < 200; round++) {
      const live = yield* shown(
        play,
        open.manager.handle.list({ status: ["Queued", "Running", "Cancelling", "Suspended"] })
      )
      yield* answer(play, true)
      for (let session = 0; session < world.plan.sessions; session++) yield* takeLate(play, sessionOf(session))
      if (live.length === 0) {
        yield* Fiber.join(recovering)
        yield* recover(play)
        yield* replied(play, open.manager.handle.list())
        if (world.database.undelivered === 0) return yield* waitUntilGone(play)
      }
      yield* Effect.sleep(tick)
    }
    world.violate("nothing is lost", `${world.database.undelivered} updates are never delivered`)
  })

/**
 * The concurrent manager against a page of plain code. Random commands go to both; after each of them the answer, every
 * event, every task and what was taken must be the same. A counterexample is printed as the commands that lead to it.
 */
import {
  Clock,
  Deferred,
  Effect,
  FastCheck as fc,
  Fiber,
  FiberRef,
  HashSet,
  Layer,
  Option,
  TestClock,
  TestContext
} from "effect"
import {
  ApprovalRequired,
  type ContinuePolicy,
  CurrentTask,
  type DeliveryMode,
  type InterruptReceipt,
  RoutingDecision,
  RoutingPolicy,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerLive,
  type TaskResolution,
  ToolCallId,
  type ToolError,
  ToolExecutor,
  type ToolRequest,
  type TurnTaskUpdate
} from "effect-task-manager"
import { assert, it } from "vitest"
import { isFull } from "./support/fullMode.js"
import { approvalRequest, sessionId, toolError, turnRef } from "./support/world.js"

// ---- the model ----

interface ModelTask {
  readonly id: string
  readonly session: string
  readonly turn: string
  kind: "Foreground" | "Background"
  status: "Running" | "Suspended" | "Completed" | "Failed" | "Cancelled"
  launch: number
  mode: DeliveryMode
  policy: ContinuePolicy
  readonly detachAfter: number
  readonly timeout: number
  detachAt: number
  timeoutAt: number
  /** Its session was closed: what it still gives is dropped. */
  closed: boolean
}

interface Start {
  readonly session: string
  readonly turn: string
  readonly route: "fg" | "bg" | "detach"
  readonly mode: DeliveryMode
  readonly policy: ContinuePolicy
  readonly timeout: boolean
}

const append = (queues: Map<string, Array<string>>, key: string, text: string): void => {
  queues.set(key, [...queues.get(key) ?? [], text])
}

class Model {
  now = 0
  readonly tasks: Array<ModelTask> = []
  readonly turns = new Map<string, Array<string>>()
  readonly loops = new Map<string, Array<string>>()
  manual: Array<{ readonly session: string; readonly text: string }> = []
  readonly interrupted = new Set<string>()
  events: Array<string> = []

  private toLoop(task: ModelTask, text: string): void {
    append(this.loops, task.session, text)
    if (task.policy === "RequestContinue") this.events.push(`ContinueRequested ${task.id}`)
  }

  private withdraw(task: ModelTask): void {
    for (const queues of [this.turns, this.loops]) {
      for (const [key, texts] of queues) queues.set(key, texts.filter((text) => !text.startsWith(`${task.id} asks`)))
    }
  }

  private settle(task: ModelTask, status: "Completed" | "Failed" | "Cancelled", text: string): void {
    this.withdraw(task)
    task.status = status
    task.detachAt = task.timeoutAt = Infinity
    this.events.push(`${status} ${task.id}`)
    if (task.closed) return
    const said = `${task.id} ${text}`
    if (task.kind === "Foreground") append(this.turns, `${task.session}/${task.turn}`, said)
    else if (task.mode === "Manual") this.manual.push({ session: task.session, text: said })
    else this.toLoop(task, said)
  }

  private launch(task: ModelTask): void {
    task.status = "Running"
    task.timeoutAt = this.now + task.timeout
    task.detachAt = task.kind === "Foreground" ? this.now + task.detachAfter : Infinity
    this.events.push(`Started ${task.id}`)
  }

  private cancelText(task: ModelTask): string {
    return task.status === "Suspended" ? "cancelled asking" : "cancelled running"
  }

  start(options: Start): string {
    const number = this.tasks.length + 1
    const task: ModelTask = {
      id: `task-${number}`,
      session: options.session,
      turn: options.turn,
      kind: options.route === "bg" ? "Background" : "Foreground",
      status: "Running",
      launch: 1,
      mode: options.mode,
      policy: options.policy,
      // no two deadlines fall together: the clock only rests on hundreds
      detachAfter: options.route === "detach" ? 200 + number : Infinity,
      timeout: options.timeout ? 450 + number : Infinity,
      detachAt: Infinity,
      timeoutAt: Infinity,
      closed: false
    }
    this.tasks.push(task)
    if (this.interrupted.has(`${task.session}/${task.turn}`)) this.settle(task, "Cancelled", "cancelled before")
    else this.launch(task)
    return `Pending ${task.kind}`
  }

  /** The tool of the current launch ends. */
  end(task: ModelTask, how: "complete" | "fail" | "die" | "ask"): string {
    if (task.status !== "Running") return "no launch"
    if (how === "complete") this.settle(task, "Completed", `ok #${task.launch}`)
    else if (how === "fail") this.settle(task, "Failed", "failed")
    else if (how === "die") this.settle(task, "Failed", "died")
    else {
      task.status = "Suspended"
      task.detachAt = task.timeoutAt = Infinity
      this.events.push(`AwaitingApproval ${task.id}`)
      if (task.kind === "Background") this.toLoop(task, `${task.id} asks #${task.launch}`)
      else append(this.turns, `${task.session}/${task.turn}`, `${task.id} asks #${task.launch}`)
    }
    return "ended"
  }

  approve(task: ModelTask, how: "approve" | "approveWrong" | "approveStale"): string {
    // what is not suspended shows no token; a stale one is of an earlier launch
    if (task.status !== "Suspended") {
      return how === "approveStale" && task.launch > 1 ? "ApprovalMismatch asking" : "ApprovalMismatch status"
    }
    if (how === "approveWrong") return "ApprovalMismatch input"
    if (how === "approveStale") return "ApprovalMismatch asking"
    this.withdraw(task)
    task.launch++
    this.launch(task)
    return `Pending ${task.kind}`
  }

  reject(task: ModelTask): string {
    if (task.status !== "Suspended") return "TaskNotSuspended"
    this.settle(task, "Failed", "rejected")
    return "rejected"
  }

  cancel(task: ModelTask): string {
    if (task.status === "Running" || task.status === "Suspended") this.settle(task, "Cancelled", this.cancelText(task))
    return "done"
  }

  private toBackground(task: ModelTask): void {
    task.kind = "Background"
    task.detachAt = Infinity
    this.events.push(`Detached ${task.id}`)
    append(this.turns, `${task.session}/${task.turn}`, `${task.id} detached`)
  }

  detach(task: ModelTask): string {
    if (task.status !== "Running") return "TaskNotRunning"
    if (task.kind === "Background") return "false"
    this.toBackground(task)
    return "true"
  }

  configure(task: ModelTask, change: { readonly mode?: DeliveryMode; readonly policy?: ContinuePolicy }): string {
    if (task.status !== "Running" && task.status !== "Suspended") return "TaskNotRunning"
    task.mode = change.mode ?? task.mode
    task.policy = change.policy ?? task.policy
    return "set"
  }

  private cancelAll(tasks: ReadonlyArray<ModelTask>): ReadonlyArray<string> {
    // those that are suspended settle in the step that decides, the others when their tools have ended
    for (const task of tasks) if (task.status === "Suspended") this.cancel(task)
    for (const task of tasks) if (task.status === "Running") this.cancel(task)
    return tasks.map(({ id }) => id).sort()
  }

  interruptTurn(session: string, turn: string): string {
    const of = this.tasks.filter((task) =>
      task.session === session && task.turn === turn && !task.closed &&
      (task.status === "Running" || task.status === "Suspended")
    )
    this.interrupted.add(`${session}/${turn}`)
    const kept = of.filter(({ kind }) => kind === "Background").map(({ id }) => id).sort()
    return `cancelled ${this.cancelAll(of.filter(({ kind }) => kind === "Foreground"))} kept ${kept}`
  }

  closeSession(session: string): string {
    const of = this.tasks.filter((task) => task.session === session && !task.closed)
    for (const task of of) task.closed = true
    const live = of.filter(({ status }) => status === "Running" || status === "Suspended")
    const cancelled = this.cancelAll(live)
    this.loops.delete(session)
    this.manual = this.manual.filter((each) => each.session !== session)
    for (const key of [...this.turns.keys(), ...this.interrupted]) {
      if (!key.startsWith(`${session}/`)) continue
      this.turns.delete(key)
      this.interrupted.delete(key)
    }
    this.events.push(`SessionClosed ${session}`)
    return `cancelled ${cancelled} kept `
  }

  /** Undefined where the wait would not end. */
  waitForTurn(session: string, turn: string): string | undefined {
    const key = `${session}/${turn}`
    const [first, ...rest] = this.turns.get(key) ?? []
    if (first !== undefined) {
      this.turns.set(key, rest)
      return first
    }
    const isActive = this.tasks.some((task) =>
      task.session === session && task.turn === turn && !task.closed && task.kind === "Foreground" &&
      task.status === "Running"
    )
    if (isActive) return undefined
    this.interrupted.delete(key)
    return "none"
  }

  takeLoop(session: string): string {
    const texts = this.loops.get(session) ?? []
    this.loops.delete(session)
    return texts.join(", ")
  }

  drain(session: string | undefined): string {
    const isMeant = (each: { readonly session: string }) => session === undefined || each.session === session
    const taken = this.manual.filter(isMeant)
    this.manual = this.manual.filter((each) => !isMeant(each))
    return taken.map(({ text }) => text).join(", ")
  }

  /** The moments within `millis` from now at which something is due. */
  deadlines(millis: number): ReadonlyArray<number> {
    return this.tasks.flatMap(({ detachAt, timeoutAt }) => [detachAt, timeoutAt])
      .filter((deadline) => deadline <= this.now + millis)
      .sort((a, b) => a - b)
  }

  advanceTo(moment: number): void {
    this.now = moment
    for (const task of this.tasks) {
      if (task.detachAt <= moment) this.toBackground(task)
      if (task.timeoutAt <= moment) this.settle(task, "Failed", "timed out")
    }
  }

  live(): ReadonlyArray<string> {
    return this.tasks.map(({ id, kind, launch, mode, policy, status }) =>
      `${id} ${kind} ${status} #${launch} ${mode} ${policy}`
    )
  }
}

// ---- the manager, in the words of the model ----

const said: Record<string, string> = {
  "The tool call was cancelled before it started.": "cancelled before",
  "The tool call was cancelled while it was running. It may have had effects.": "cancelled running",
  "The tool call was cancelled while it waited for approval.": "cancelled asking",
  "The tool call was not approved and did not go on.": "rejected",
  "The tool failed because of an internal error.": "died",
  "no luck": "failed"
}

const resolutionText = (resolution: TaskResolution): string => {
  if (resolution._tag === "Approval") return `${resolution.approval.taskId} asks ${resolution.approval.approval.id}`
  const [part] = resolution.item.parts
  const text = part?._tag === "ToolResult" && part.output._tag === "Text" ? part.output.text : "?"
  return `${resolution.taskId} ${text.startsWith("The tool was stopped") ? "timed out" : said[text] ?? text}`
}

const updateText = (update: TurnTaskUpdate): string =>
  update._tag === "Detached" ? `${update.snapshot.id} detached` : resolutionText(update.resolution)

const receiptText = ({ cancelled, kept }: InterruptReceipt): string =>
  `cancelled ${cancelled.map(({ id }) => id).sort()} kept ${kept.map(({ id }) => id).sort()}`

type End = Effect.Effect<string, ToolError | ApprovalRequired>

/** Tools that do what the test says, and a policy that routes as the call's metadata says. */
const makeTools = () => {
  const gates = new Map<string, Deferred.Deferred<End>>()
  const gate = (taskId: string, launch: number) =>
    Effect.gen(function*() {
      const key = `${taskId}#${launch}`
      const known = gates.get(key) ?? (yield* Deferred.make<End>())
      gates.set(key, known)
      return known
    })
  const Tools = ToolExecutor.fromHandlers({
    tool: () =>
      Effect.gen(function*() {
        const { launch, taskId } = yield* CurrentTask
        return yield* Effect.flatten(Effect.flatMap(gate(taskId, launch), Deferred.await))
      })
  })
  const Policy = RoutingPolicy.layer(({ metadata }) => {
    const options = { timeout: Number(metadata["timeout"]) }
    const after = Number(metadata["detachAfter"])
    return metadata["kind"] === "Background"
      ? RoutingDecision.Background(options)
      : after === Infinity
      ? RoutingDecision.Foreground(options)
      : RoutingDecision.ForegroundThenDetachAfter({ ...options, duration: after })
  })
  return { gate, layer: Layer.merge(Layer.provide(TaskManagerLive, Policy), Tools) }
}

const requestOf = (task: ModelTask): ToolRequest => ({
  ...turnRef(task.turn, task.session),
  callId: ToolCallId.make(`call-${task.id}`),
  toolName: "tool",
  input: { of: task.id },
  metadata: { kind: task.kind, detachAfter: task.detachAfter, timeout: task.timeout }
})

// ---- commands ----

type Command =
  | Start & { readonly _tag: "start" }
  | { readonly _tag: "complete" | "fail" | "die" | "ask"; readonly pick: number }
  | {
    readonly _tag: "approve" | "approveWrong" | "approveStale" | "reject" | "cancel" | "detach"
    readonly pick: number
  }
  | { readonly _tag: "setMode"; readonly pick: number; readonly mode: DeliveryMode }
  | { readonly _tag: "setPolicy"; readonly pick: number; readonly policy: ContinuePolicy }
  | {
    readonly _tag: "waitForTurn" | "failToConsumeTurn" | "interruptTurn"
    readonly session: string
    readonly turn: string
  }
  | { readonly _tag: "takeLoop" | "failToConsumeLoop" | "drainOf" | "closeSession"; readonly session: string }
  | { readonly _tag: "drain" }
  | { readonly _tag: "adjust"; readonly millis: number }

const session = fc.constantFrom("s", "other")
const turn = fc.constantFrom("t", "t2")
const pick = fc.nat(12)
const mode = fc.constantFrom<[DeliveryMode, DeliveryMode]>("ToLoop", "Manual")
const policy = fc.constantFrom<[ContinuePolicy, ContinuePolicy]>("NotifyOnly", "RequestContinue")

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 7,
    arbitrary: fc.record({
      _tag: fc.constant("start" as const),
      session,
      turn,
      route: fc.constantFrom("fg" as const, "bg" as const, "detach" as const),
      mode,
      policy,
      timeout: fc.boolean()
    })
  },
  {
    weight: 5,
    arbitrary: fc.record({
      _tag: fc.constantFrom("complete" as const, "fail" as const, "die" as const, "ask" as const, "ask" as const),
      pick
    })
  },
  {
    weight: 6,
    arbitrary: fc.record({
      _tag: fc.constantFrom(
        "approve" as const,
        "approve" as const,
        "approveWrong" as const,
        "approveStale" as const,
        "reject" as const,
        "cancel" as const,
        "detach" as const
      ),
      pick
    })
  },
  { weight: 1, arbitrary: fc.record({ _tag: fc.constant("setMode" as const), pick, mode }) },
  { weight: 1, arbitrary: fc.record({ _tag: fc.constant("setPolicy" as const), pick, policy }) },
  {
    weight: 4,
    arbitrary: fc.record({
      _tag: fc.constantFrom("waitForTurn" as const, "waitForTurn" as const, "failToConsumeTurn" as const),
      session,
      turn
    })
  },
  { weight: 1, arbitrary: fc.record({ _tag: fc.constant("interruptTurn" as const), session, turn }) },
  {
    weight: 3,
    arbitrary: fc.record({
      _tag: fc.constantFrom("takeLoop" as const, "failToConsumeLoop" as const, "drainOf" as const),
      session
    })
  },
  { weight: 1, arbitrary: fc.record({ _tag: fc.constantFrom("drain" as const) }) },
  { weight: 1, arbitrary: fc.record({ _tag: fc.constant("closeSession" as const), session }) },
  {
    weight: 2,
    arbitrary: fc.record({ _tag: fc.constant("adjust" as const), millis: fc.constantFrom(100, 300, 1_000) })
  }
)

const commandText = ({ _tag, ...fields }: Command): string => `${_tag} ${Object.values(fields).join(" ")}`.trimEnd()

/** Lets every fiber that can go on do so. */
const settle = Effect.forEach(Array.from({ length: 12 }), () => Effect.yieldNow(), { discard: true })

const describeError = (error: { readonly _tag: string; readonly field?: string }): string =>
  error.field === undefined ? error._tag : `${error._tag} ${error.field}`

const runCommands = (commands: ReadonlyArray<Command>, trace: Array<string>) => {
  const model = new Model()
  const tools = makeTools()

  const program = Effect.gen(function*() {
    const { handle, ...manager } = yield* TaskManager
    const events = yield* handle.subscribe
    const ended = (task: ModelTask, end: End) =>
      Effect.flatMap(tools.gate(task.id, task.launch), (gate) => Effect.as(Deferred.succeed(gate, end), "ended"))
    const answer = <A, E extends { readonly _tag: string }, R>(
      effect: Effect.Effect<A, E, R>,
      text: (value: A) => string
    ) => Effect.match(effect, { onFailure: describeError, onSuccess: text })

    /** The token that a task was last approved with. */
    const answered = new Map<TaskId, string>()

    /** What the model expects, and the effect that must answer the same. */
    const both = (command: Command): readonly [string, Effect.Effect<string, never, ToolExecutor>] | undefined => {
      switch (command._tag) {
        case "start": {
          const expected = model.start(command)
          const task = model.tasks[model.tasks.length - 1]
          if (task === undefined) return undefined
          const request = requestOf({ ...task, kind: command.route === "bg" ? "Background" : "Foreground" })
          const launch = TaskLaunchRequest.plain({
            request,
            deliveryMode: command.mode,
            continuePolicy: command.policy
          })
          return [
            expected,
            answer(manager.startTask(launch), (out) => out._tag === "Pending" ? `Pending ${out.kind}` : out._tag)
          ]
        }
        case "interruptTurn":
          return [
            model.interruptTurn(command.session, command.turn),
            answer(manager.onTurnInterrupted(turnRef(command.turn, command.session)), receiptText)
          ]
        case "closeSession":
          return [
            model.closeSession(command.session),
            answer(manager.closeSession(sessionId(command.session)), receiptText)
          ]
        case "waitForTurn": {
          const expected = model.waitForTurn(command.session, command.turn)
          return expected === undefined ? undefined : [
            expected,
            answer(
              manager.waitForTurn(turnRef(command.turn, command.session)),
              Option.match({ onNone: () => "none", onSome: updateText })
            )
          ]
        }
        case "failToConsumeTurn": {
          const [expected] = model.turns.get(`${command.session}/${command.turn}`) ?? []
          return expected === undefined ? undefined : [
            expected,
            Effect.merge(Effect.flip(
              manager.consumeTurnUpdate(
                turnRef(command.turn, command.session),
                (update) => Effect.fail(updateText(update))
              )
            )).pipe(Effect.map(String))
          ]
        }
        case "takeLoop":
          return [
            model.takeLoop(command.session),
            answer(
              manager.takePendingLoopUpdates(sessionId(command.session)),
              ({ resolutions }) => resolutions.map(resolutionText).join(", ")
            )
          ]
        case "failToConsumeLoop":
          return [
            (model.loops.get(command.session) ?? []).join(", "),
            Effect.merge(Effect.flip(
              manager.consumePendingLoopUpdates(
                sessionId(command.session),
                ({ resolutions }) => Effect.fail(resolutions.map(resolutionText).join(", "))
              )
            )).pipe(Effect.map(String))
          ]
        case "drain":
          return [
            model.drain(undefined),
            answer(handle.drainReadyItems, (items) => items.map(resolutionText).join(", "))
          ]
        case "drainOf":
          return [
            model.drain(command.session),
            answer(
              handle.drainReadyItemsOf(sessionId(command.session)),
              (items) => items.map(resolutionText).join(", ")
            )
          ]
        case "adjust": {
          // one deadline after the other, so that what is due has one order
          const end = model.now + command.millis
          const moments = [...model.deadlines(command.millis), end]
          return [
            "adjusted",
            Effect.forEach(moments, (moment) =>
              Effect.gen(function*() {
                const now = yield* Clock.currentTimeMillis
                yield* TestClock.adjust(moment - now)
                yield* settle
                model.advanceTo(moment)
              })).pipe(Effect.as("adjusted"))
          ]
        }
      }
      const task = model.tasks[command.pick % Math.max(model.tasks.length, 1)]
      if (task === undefined) return undefined
      const taskId = TaskId.make(task.id)
      switch (command._tag) {
        case "complete":
        case "fail":
        case "die":
        case "ask": {
          if (task.status !== "Running") return undefined
          const ends: Record<typeof command._tag, End> = {
            complete: Effect.succeed(`ok #${task.launch}`),
            fail: toolError(),
            die: Effect.die("secret"),
            ask: new ApprovalRequired({ approval: { ...approvalRequest(`#${task.launch}`) } })
          }
          const effect = ended(task, ends[command._tag])
          return [model.end(task, command._tag), effect]
        }
        case "approve":
        case "approveWrong":
        case "approveStale": {
          const request = requestOf({ ...task, kind: task.kind })
          const approval = approvalRequest(`#${task.launch}`)
          const start = Effect.flatMap(handle.listSuspended, (suspended) => {
            const shown = suspended.find((asked) => asked.taskId === taskId)
            const asking = command._tag === "approveStale" ? answered.get(taskId) : shown?.approval.asking
            if (command._tag === "approve" && asking !== undefined) answered.set(taskId, asking)
            return manager.startTask(TaskLaunchRequest.approved({
              taskId,
              request: { ...request, input: { of: command._tag === "approveWrong" ? "something else" : task.id } },
              approval: { ...approval, ...(asking === undefined ? undefined : { asking }) }
            }))
          })
          return [
            model.approve(task, command._tag),
            answer(start, (out) => out._tag === "Pending" ? `Pending ${out.kind}` : out._tag)
          ]
        }
        case "reject":
          return [model.reject(task), answer(manager.rejectApproval({ taskId }), () => "rejected")]
        case "cancel":
          return [model.cancel(task), answer(handle.cancel(taskId), () => "done")]
        case "detach":
          return [model.detach(task), answer(handle.detach(taskId), String)]
        case "setMode":
          return [model.configure(task, command), answer(handle.setDeliveryMode(taskId, command.mode), () => "set")]
        case "setPolicy":
          return [
            model.configure(task, command),
            answer(handle.setContinuePolicy(taskId, command.policy), () => "set")
          ]
      }
    }

    for (const command of commands) {
      const pair = both(command)
      if (pair === undefined) continue
      const [expected, effect] = pair
      trace.push(`${commandText(command)} -> ${expected}`)
      const answering = yield* Effect.fork(effect)
      yield* command._tag === "adjust" ? Fiber.await(answering) : settle
      const exit = Option.getOrUndefined(yield* Fiber.poll(answering))
      const answered = exit === undefined ? "no answer" : yield* exit
      assert.strictEqual(answered, expected, "the answer")

      const told = [...(yield* events.takeAll)].map((event) => `${event._tag} ${event.taskId ?? event.sessionId}`)
      const many = command._tag === "closeSession" || command._tag === "interruptTurn"
      assert.deepStrictEqual(many ? told.sort() : told, many ? model.events.sort() : model.events, "the events")
      model.events = []

      const tasks = (yield* handle.list()).map((task) =>
        `${task.id} ${task.kind} ${task.status} #${task.launch} ${task.deliveryMode} ${task.continuePolicy}`
      )
      assert.sameMembers(tasks, [...model.live()], "the tasks")
      const suspended = (yield* handle.listSuspended).map(({ taskId }) => String(taskId))
      assert.sameMembers(
        suspended,
        model.tasks.filter(({ status }) => status === "Suspended").map(({ id }) => id),
        "the suspended tasks"
      )
    }
  })
  return program.pipe(
    Effect.scoped,
    Effect.provide(Layer.provideMerge(tools.layer, TestContext.TestContext)),
    // tools die by the hundred here, and each is warned of
    Effect.locally(FiberRef.currentLoggers, HashSet.empty())
  )
}

it("the manager behaves like the model", async () => {
  const trace: { lines: Array<string> } = { lines: [] }
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 40, size: "max" }), async (commands) => {
      trace.lines = []
      await Effect.runPromise(runCommands(commands, trace.lines))
    }),
    {
      numRuns: isFull ? 300 : 50,
      asyncReporter: async (out) => {
        if (!out.failed) return
        const [commands = []] = out.counterexample ?? []
        // once more, for the trace of the smallest counterexample
        trace.lines = []
        const error = await Effect.runPromise(runCommands(commands, trace.lines)).catch((cause: unknown) => cause)
        const message = error instanceof Error ? error.message : String(error)
        throw new Error(
          `seed ${out.seed}, path ${out.counterexamplePath}\n  ${trace.lines.join("\n  ")}\n${message}`,
          { cause: error }
        )
      }
    }
  )
})

import { describe, it } from "@effect/vitest"
import { type Duration, Effect, Layer, Option, Stream } from "effect"
import {
  type SessionId,
  type TaskLaunchRequest,
  TaskLimitReached,
  TaskManager,
  TaskManagerConfig,
  TaskManagerLive,
  type TaskManagerSettings,
  TaskManagerSimple,
  TaskManagerTest,
  TaskResolution,
  type TaskSnapshot
} from "effect-task-manager"
import { type ConformanceCase, ConformanceFailure, conformanceSuite } from "effect-task-manager/testing"
import { assert } from "vitest"
import { oneIn, oneInOfEachSection } from "./support/fullMode.js"
import { together } from "./support/together.js"

const inlineOnly = { startsConcurrently: false, background: false }

// each case has a manager and a clock of its own, and mostly waits for the event loop
const runAll = (layerName: string, cases: ReadonlyArray<ConformanceCase>): void => {
  const runOf = together(cases.map(({ run }) => run))
  describe(layerName, () => {
    for (const section of new Set(cases.map(({ section }) => section))) {
      describe(section, () => {
        for (const { name, run } of cases.filter((one) => one.section === section)) it.live(name, () => runOf(run))
      })
    }
  })
}

// `npm test` asks some cases of each section; what only the simple manager can do is all asked
runAll("TaskManagerLive", oneInOfEachSection(4, conformanceSuite({ layer: TaskManagerLive })))
const simple = conformanceSuite({ layer: TaskManagerSimple, capabilities: inlineOnly })
const isAboutSimple = ({ section }: ConformanceCase): boolean => section === "4.7 The simple manager"
runAll("TaskManagerSimple", [
  ...simple.filter(isAboutSimple),
  ...oneInOfEachSection(16, simple.filter((one) => !isAboutSimple(one)))
])
runAll("TaskManagerTest", oneInOfEachSection(16, conformanceSuite({ layer: TaskManagerTest })))

// a broken manager is waited for
describe("the suite itself", () => {
  type Manager = TaskManager["Type"]

  /** `TaskManagerLive` with some of its methods replaced. */
  const broken = (
    replace: (manager: Manager) => { readonly loop?: Partial<Manager>; readonly host?: Partial<Manager["handle"]> }
  ): Layer.Layer<TaskManager> =>
    Layer.effect(
      TaskManager,
      Effect.map(TaskManager, (manager) => {
        const { host, loop } = replace(manager)
        return TaskManager.of({ ...manager, ...loop, handle: { ...manager.handle, ...host } })
      })
    ).pipe(Layer.provide(TaskManagerLive))

  /** `TaskManagerLive` with settings of its own in place of some that it was given. */
  const deaf = (replace: (given: TaskManagerSettings) => Partial<TaskManagerSettings>): Layer.Layer<TaskManager> =>
    Layer.provide(
      TaskManagerLive,
      Layer.effect(TaskManagerConfig, Effect.map(TaskManagerConfig, (given) => ({ ...given, ...replace(given) })))
    )

  /** `TaskManagerLive` that counts for itself what maxLive is about. */
  const countingLive = (
    isCounted: (task: TaskSnapshot, starting: TaskLaunchRequest) => boolean
  ): Layer.Layer<TaskManager> =>
    Layer.effect(
      TaskManager,
      Effect.gen(function*() {
        const manager = yield* TaskManager
        const { maxLive } = yield* TaskManagerConfig
        return TaskManager.of({
          ...manager,
          startTask: (launch) =>
            Effect.flatMap(manager.handle.list(), (tasks) =>
              launch._tag === "Plain" && tasks.filter((task) =>
                    isCounted(task, launch)
                  ).length >= maxLive
                ? new TaskLimitReached({ limit: "maxLive", max: maxLive })
                : manager.startTask(launch))
        })
      })
    ).pipe(Layer.provide(deaf(() => ({ maxLive: Infinity }))))

  const isLive = ({ settledAt }: TaskSnapshot): boolean => settledAt === undefined

  /** `TaskManagerLive` that counts for itself what is undelivered: results that settled, less those that were taken. */
  const countingUndelivered = (
    replace: (
      manager: Manager,
      taken: (sessionId: SessionId, count: number) => void
    ) => { readonly loop?: Partial<Manager>; readonly host?: Partial<Manager["handle"]> },
    isCounted: (task: TaskSnapshot, starting: TaskLaunchRequest) => boolean = ({ sessionId, status }, { request }) =>
      sessionId === request.sessionId && (status === "Completed" || status === "Suspended")
  ): Layer.Layer<TaskManager> =>
    Layer.effect(
      TaskManager,
      Effect.gen(function*() {
        const manager = yield* TaskManager
        const { maxUndelivered } = yield* TaskManagerConfig
        const taken = new Map<SessionId, number>()
        const { host, loop } = replace(manager, (sessionId, count) => {
          taken.set(sessionId, (taken.get(sessionId) ?? 0) + count)
        })
        return TaskManager.of({
          ...manager,
          ...loop,
          handle: { ...manager.handle, ...host },
          startTask: (launch) =>
            Effect.flatMap(manager.handle.list(), (tasks) =>
              launch._tag === "Plain" &&
                tasks.filter((task) => isCounted(task, launch)).length -
                      (taken.get(launch.request.sessionId) ?? 0) >= maxUndelivered
                ? new TaskLimitReached({ limit: "maxUndelivered", max: maxUndelivered })
                : manager.startTask(launch))
        })
      })
    ).pipe(Layer.provide(deaf(() => ({ maxUndelivered: Infinity }))))

  /** Counts what the loop queue and the turns give, and nothing else. */
  const takenFromLoop = (
    manager: Manager,
    taken: (sessionId: SessionId, count: number) => void
  ): Partial<Manager> => ({
    takePendingLoopUpdates: (sessionId) =>
      Effect.tap(
        manager.takePendingLoopUpdates(sessionId),
        ({ resolutions }) => Effect.sync(() => taken(sessionId, resolutions.length))
      )
  })

  const caseOf = (
    layer: Layer.Layer<TaskManager>,
    name: string,
    patience?: Duration.DurationInput
  ): ConformanceCase => {
    const found = conformanceSuite({ layer, patience }).find((one) => one.name === name)
    assert(found !== undefined, `there is no case "${name}"`)
    return found
  }

  const layers: ReadonlyArray<readonly [fault: string, layer: Layer.Layer<TaskManager>, caughtBy: string]> = [
    [
      "detach always says false and does nothing",
      broken(() => ({ host: { detach: () => Effect.succeed(false) } })),
      "detach, Running fg: goes to the background"
    ],
    [
      "waitForTurn drops the first update",
      broken((manager) => ({
        loop: {
          waitForTurn: (turn, options) =>
            Effect.zipRight(manager.waitForTurn(turn, options), manager.waitForTurn(turn, options))
        }
      })),
      "a turn's updates come in the order they happened, not in that of the starts"
    ],
    [
      "waitForTurn never returns",
      broken(() => ({ loop: { waitForTurn: () => Effect.never } })),
      "waitForTurn of a turn that never was: None"
    ],
    [
      "waitForTurn does not look at its cancellation",
      broken((manager) => ({ loop: { waitForTurn: (turn) => manager.waitForTurn(turn) } })),
      "a cancellation ends a wait with None, and cancels no task"
    ],
    [
      "an update is taken before its reader is sure to get it",
      broken((manager) => ({
        loop: {
          waitForTurn: (turn, options) =>
            Effect.tap(manager.waitForTurn(turn, options), () => Effect.yieldNow().pipe(Effect.repeatN(3)))
        }
      })),
      "interrupting a caller in the moment its update arrives: it or the next caller has the update"
    ],
    [
      "consumeTurnUpdate does not put back",
      broken((manager) => ({
        loop: {
          consumeTurnUpdate: (turn, use) =>
            Effect.flatMap(
              manager.waitForTurn(turn),
              Option.match({
                onNone: () => Effect.succeedNone,
                onSome: (update) => Effect.asSome(use(update))
              })
            )
        }
      })),
      "consumeTurnUpdate whose `use` fails puts the update back in front"
    ],
    [
      "takeResult delivers a result that stays in its queue",
      broken((manager) => ({
        loop: {
          takeResult: (id) =>
            Effect.map(
              manager.handle.result(id),
              Option.map((part) =>
                TaskResolution.Item({ taskId: id, item: { kind: "Tool", parts: [part], metadata: {} } })
              )
            )
        }
      })),
      "takeResult takes a background result (ToLoop) from between others"
    ],
    [
      "consumeResult does not put back",
      broken((manager) => ({
        loop: {
          consumeResult: (id, use) =>
            Effect.flatMap(
              manager.takeResult(id),
              Option.match({
                onNone: () => Effect.succeedNone,
                onSome: (item) => Effect.asSome(use(item))
              })
            )
        }
      })),
      "consumeResult puts a background result (Manual) back at its place"
    ],
    [
      "waitForTask waits for all of the tasks",
      broken((manager) => ({
        loop: {
          waitForTask: (ids) => Effect.forEach(ids, (id) => manager.waitForTask([id]), { discard: true })
        }
      })),
      "waitForTask returns once one of the tasks is settled, its result in its queue"
    ],
    [
      "steer says nothing where too much waits",
      broken((manager) => ({
        host: {
          steer: (id, message) => Effect.catchTag(manager.handle.steer(id, message), "TaskInboxFull", () => Effect.void)
        }
      })),
      "too much that is unread is refused, and said when it is read"
    ],
    [
      "output is that of the first launch alone",
      broken((manager) => ({
        host: { output: (id) => Effect.map(manager.handle.output(id, { start: 0, maxBytes: 6 }), (first) => first) }
      })),
      "goes on when the task is resumed; what an earlier launch left behind is not heard"
    ],
    [
      "consumePendingLoopUpdates does not put back",
      broken((manager) => ({
        loop: {
          consumePendingLoopUpdates: (sessionId, use) => Effect.flatMap(manager.takePendingLoopUpdates(sessionId), use)
        }
      })),
      "consumePendingLoopUpdates whose `use` is interrupted puts the batch back in front, in order"
    ],
    [
      "takePendingLoopUpdates mixes sessions up",
      broken((manager) => {
        const sessions = new Set<Parameters<Manager["takePendingLoopUpdates"]>[0]>()
        return {
          loop: {
            startTask: (launch) =>
              Effect.suspend(() => {
                sessions.add(launch.request.sessionId)
                return manager.startTask(launch)
              }),
            takePendingLoopUpdates: () =>
              Effect.map(
                Effect.forEach([...sessions], (sessionId) => manager.takePendingLoopUpdates(sessionId)),
                (all) => ({ resolutions: all.flatMap(({ resolutions }) => resolutions) })
              )
          }
        }
      }),
      "sessions with the same turn ids never see each other's results"
    ],
    [
      "waitForIdle returns at once",
      broken(() => ({ host: { waitForIdle: Effect.void } })),
      "waitForIdle waits for foreground and background, and by then every result and event is there"
    ],
    [
      "cancel does not wait",
      broken((manager) => ({ host: { cancel: (id) => Effect.asVoid(Effect.forkDaemon(manager.handle.cancel(id))) } })),
      "cancel returns when the tool's finalizers have run"
    ],
    [
      "cancel sends the task to the background first",
      broken((manager) => ({
        host: { cancel: (id) => Effect.zipRight(Effect.ignore(manager.handle.detach(id)), manager.handle.cancel(id)) }
      })),
      "cancel, Running fg: Cancelled, one cancelled result to its destination"
    ],
    [
      "onTurnInterrupted cancels the background too",
      broken((manager) => ({
        loop: {
          onTurnInterrupted: (turn) =>
            Effect.tap(
              manager.onTurnInterrupted(turn),
              () =>
                Effect.flatMap(manager.handle.list(turn), (tasks) =>
                  Effect.forEach(tasks, ({ id }) => Effect.ignore(manager.handle.cancel(id))))
            )
        }
      })),
      "onTurnInterrupted, Running bg: kept"
    ],
    [
      "what is approved is not compared with what was asked",
      broken((manager) => ({
        loop: {
          startTask: (launch) =>
            launch._tag === "Plain" ? manager.startTask(launch) : Effect.flatMap(
              manager.handle.listSuspended,
              (suspended) => {
                const asked = suspended.find(({ taskId }) => taskId === launch.taskId)
                return manager.startTask(asked === undefined ? launch : { ...launch, request: asked.toolRequest })
              }
            )
        }
      })),
      "startTask approved, Suspended fg, another input: ApprovalMismatch, still Suspended"
    ],
    [
      "rejectApproval does nothing",
      broken(() => ({ loop: { rejectApproval: () => Effect.void } })),
      "rejectApproval, Suspended bg: Failed(ApprovalRejected), error result to its destination"
    ],
    [
      "listSuspended is empty",
      broken(() => ({ host: { listSuspended: Effect.succeed([]) } })),
      "a tool that asks for approval: Suspended, and told with what it asks"
    ],
    [
      "drainReadyItemsOf drains every session",
      broken((manager) => ({ host: { drainReadyItemsOf: () => manager.handle.drainReadyItems } })),
      "drainReadyItemsOf takes those of one session"
    ],
    [
      "closeSession forgets to discard",
      broken((manager) => ({
        loop: {
          closeSession: (sessionId) =>
            Effect.map(
              Effect.flatMap(manager.handle.list({ sessionId }), (tasks) =>
                Effect.forEach(tasks, ({ id }) => Effect.ignore(manager.handle.cancel(id)))),
              () => ({ cancelled: [], kept: [] })
            )
        }
      })),
      "closeSession discards what was not delivered, of all three destinations, and the session id may be used again"
    ],
    [
      "watch is an event behind",
      broken((manager) => ({
        host: { watch: Effect.map(manager.handle.watch, (watch) => ({ ...watch, seq: watch.seq - 1 })) }
      })),
      "watch gives the live tasks and a subscription of one moment: the first event has seq + 1"
    ],
    [
      "handle.events loses an event",
      broken((manager) => ({
        host: { events: Stream.filter(manager.handle.events, ({ seq }) => seq !== 2) }
      })),
      "handle.events begins with the past events, and goes on with each new one"
    ],
    [
      "a subscription loses an event",
      broken((manager) => ({
        host: { subscribe: Effect.tap(manager.handle.subscribe, (queue) => Effect.forkScoped(queue.take)) }
      })),
      "seq counts all tasks of the manager in one order"
    ],
    [
      "changes has no value of now",
      broken((manager) => ({ host: { changes: Stream.drop(manager.handle.changes, 1) } })),
      "changes begins with the live tasks and tells each change"
    ],
    [
      "inbox has no list of now",
      broken((manager) => ({ host: { inbox: Stream.drop(manager.handle.inbox, 1) } })),
      "inbox gives what is asked now, then each change, over all sessions"
    ],
    [
      "an answer ends what has open questions",
      broken((manager) => ({
        loop: {
          answerApproval: (asked, answer) =>
            typeof answer === "object" && "answers" in answer
              ? Effect.zipRight(manager.answerApproval(asked, answer), manager.handle.cancel(asked.taskId)).pipe(
                Effect.as(undefined)
              )
              : manager.answerApproval(asked, answer)
        }
      })),
      "questions are shown with their schemas, answered one by one, and found by the next launch"
    ],
    [
      "answers are accepted one for one",
      broken((manager) => ({
        loop: {
          answerApproval: (asked, answer) =>
            typeof answer === "object" && "answers" in answer
              ? Effect.reduce(
                Object.entries(answer.answers),
                undefined as Effect.Effect.Success<ReturnType<typeof manager.answerApproval>>,
                (_, [id, value]) => manager.answerApproval(asked, { answers: { [id]: value } })
              )
              : manager.answerApproval(asked, answer)
        }
      })),
      "an answer that does not fit is refused with its field, and none of those that came with it counts"
    ],
    [
      "the configuration is not read",
      Layer.provide(TaskManagerLive, TaskManagerConfig.layer({})),
      "historyLimit bounds the settled tasks that are kept, oldest forgotten first; live ones are always kept"
    ],
    [
      "maxLive does not hold",
      deaf(() => ({ maxLive: Infinity })),
      "at maxLive startTask fails and names the limit, in any session; nothing of the call is left"
    ],
    [
      "maxLive counts each session for itself",
      countingLive((task, { request }) => isLive(task) && task.sessionId === request.sessionId),
      "at maxLive startTask fails and names the limit, in any session; nothing of the call is left"
    ],
    [
      "the limit is looked at before the id",
      countingLive(isLive),
      "an id in use is TaskAlreadyExists at a limit too"
    ],
    [
      "the wrong limit is named",
      broken((manager) => ({
        loop: {
          startTask: (launch) =>
            Effect.catchTag(
              manager.startTask(launch),
              "TaskLimitReached",
              ({ max }) => new TaskLimitReached({ limit: "maxUndelivered", max })
            )
        }
      })),
      "at maxLive startTask fails and names the limit, in any session; nothing of the call is left"
    ],
    [
      "an accepted task makes room for the next",
      broken((manager) => ({
        loop: {
          startTask: (launch) =>
            Effect.tapErrorTag(
              manager.startTask(launch),
              "TaskLimitReached",
              () =>
                Effect.flatMap(
                  manager.handle.listRunning,
                  (running) => Effect.forEach(running.slice(0, 1), ({ id }) => Effect.ignore(manager.handle.cancel(id)))
                )
            )
        }
      })),
      "what was accepted before a refusal goes on and is delivered"
    ],
    ...["completes", "fails", "dies", "is cancelled"].map((how) =>
      [
        `a task that ${how} stays live`,
        countingLive((task) => isLive(task) || !["Queued", "Running"].includes(task.status)),
        `a place under maxLive is free again when a task ${how}, and the refused call can be started`
      ] as const
    ),
    [
      "the background is not live",
      countingLive((task) => isLive(task) && task.kind === "Foreground"),
      "a task in the background is live"
    ],
    [
      "a Suspended task is not live",
      countingLive((task) => isLive(task) && task.status !== "Suspended"),
      "a Suspended task is live; its resume is not refused"
    ],
    [
      "a resume is refused",
      broken((manager) => ({
        loop: {
          startTask: (launch) =>
            launch._tag === "Plain"
              ? manager.startTask(launch)
              : new TaskLimitReached({ limit: "maxLive", max: 1 })
        }
      })),
      "a Suspended task is live; its resume is not refused"
    ],
    [
      "a Queued task is not live",
      countingLive((task) => isLive(task) && task.status !== "Queued"),
      "a Queued task is live"
    ],
    [
      "a Cancelling task is not live",
      countingLive((task) => isLive(task) && task.status !== "Cancelling"),
      "a Cancelling task is live until its tool has ended"
    ],
    [
      "maxUndelivered does not hold",
      deaf(() => ({ maxUndelivered: Infinity })),
      "at maxUndelivered results that were not taken, startTask fails and names the limit"
    ],
    [
      "maxUndelivered counts all sessions",
      countingUndelivered(() => ({}), ({ status }) => status === "Completed"),
      "maxUndelivered counts each session for itself"
    ],
    [
      "what runs is undelivered",
      countingUndelivered(() => ({}), ({ sessionId }, { request }) => sessionId === request.sessionId),
      "what runs is not undelivered yet; what it gives beyond the limit is kept"
    ],
    ...([
      "taking the loop queue makes room under maxUndelivered",
      "drainReadyItems makes room under maxUndelivered",
      "drainReadyItemsOf makes room under maxUndelivered",
      "the results of a turn count until waitForTurn gives them",
      "closing a session makes room under maxUndelivered",
      "a request for approval counts until it is taken or answered; the answer is not refused"
    ].map((caughtBy) =>
      [
        `room is never made: ${caughtBy}`,
        // whatever was once given or asked stays counted; b is the call that room is to be made for
        countingUndelivered(() => ({}), ({ sessionId, startedAt, status }, { request }) =>
          sessionId === request.sessionId && startedAt !== undefined &&
          (status !== "Running" || request.callId === "b")),
        caughtBy
      ] as const
    )),
    [
      "a batch in hand counts as delivered",
      countingUndelivered((manager, taken) => ({
        loop: {
          ...takenFromLoop(manager, taken),
          consumePendingLoopUpdates: (sessionId, use) =>
            manager.consumePendingLoopUpdates(sessionId, (updates) => {
              taken(sessionId, updates.resolutions.length)
              return use(updates)
            })
        }
      })),
      "a batch counts while a consumer has it, until the consumer has succeeded"
    ],
    [
      "a batch that is put back counts as delivered",
      countingUndelivered((manager, taken) => ({
        loop: {
          ...takenFromLoop(manager, taken),
          consumePendingLoopUpdates: (sessionId, use) =>
            manager.consumePendingLoopUpdates(
              sessionId,
              (updates) =>
                Effect.ensuring(use(updates), Effect.sync(() => taken(sessionId, updates.resolutions.length)))
            )
        }
      })),
      "a batch counts while a consumer has it, until the consumer has failed"
    ],
    [
      "an update in hand counts as delivered",
      countingUndelivered((manager, taken) => ({
        loop: {
          consumeTurnUpdate: (turn, use) =>
            manager.consumeTurnUpdate(turn, (update) => {
              taken(turn.sessionId, 1)
              return use(update)
            })
        }
      })),
      "an update of a turn counts while a consumer has it, and when it is put back"
    ],
    ...[
      "text beyond maxResultBytes is cut in the middle, and the metadata says how much is missing",
      "structured output beyond maxResultBytes is cut, and the metadata says how much is missing",
      "parts share maxResultBytes, and the metadata says how much is missing",
      "a tool's metadata larger than maxResultBytes is left out, and says so",
      "the text of a ToolError is cut as well",
      "the text of an approval is cut as well",
      "progress is cut to maxResultBytes"
    ].map((caughtBy) =>
      [`maxResultBytes does not hold: ${caughtBy}`, deaf(() => ({ maxResultBytes: 1_048_576 })), caughtBy] as const
    ),
    ...[
      "structured output nested deeper than maxResultDepth is cut, and the metadata says so",
      "a tool's metadata deeper than maxResultDepth is left out, and says so"
    ].map((caughtBy) =>
      [`maxResultDepth does not hold: ${caughtBy}`, deaf(() => ({ maxResultDepth: 64 })), caughtBy] as const
    ),
    [
      "text that fits is cut",
      deaf(({ maxResultBytes }) => ({ maxResultBytes: maxResultBytes - 1 })),
      "text within maxResultBytes is left as it is"
    ],
    [
      "structured output that fits is cut",
      deaf(({ maxResultDepth }) => ({ maxResultDepth: maxResultDepth - 1 })),
      "structured output within maxResultDepth and maxResultBytes is left as it is"
    ],
    [
      "what was cut does not say so",
      broken((manager) => ({
        host: {
          result: (id) => Effect.map(manager.handle.result(id), Option.map((part) => ({ ...part, metadata: {} })))
        }
      })),
      "text beyond maxResultBytes is cut in the middle, and the metadata says how much is missing"
    ]
  ]

  const catching = oneIn(8, layers).map(([fault, layer, caughtBy]) => ({
    fault,
    run: Effect.gen(function*() {
      yield* caseOf(TaskManagerLive, caughtBy).run
      const failure = yield* Effect.flip(caseOf(layer, caughtBy, "200 millis").run)
      assert(failure instanceof ConformanceFailure)
      assert.include(failure.message, "expected")
    })
  }))
  const runOf = together(catching.map(({ run }) => run))
  for (const { fault, run } of catching) it.live(`catches a manager where ${fault}`, () => runOf(run))

  it.live("catches a manager whose construction dies", () =>
    Effect.gen(function*() {
      const layer = Layer.effect(TaskManager, Effect.dieMessage("no database"))
      const failure = yield* Effect.flip(caseOf(layer, "waitForIdle of an idle manager returns at once").run)
      assert.include(failure.message, "no database")
    }))

  it.live("catches an inline manager that is said to start concurrently", () =>
    Effect.gen(function*() {
      const failure = yield* Effect.flip(
        caseOf(TaskManagerSimple, "a tool that succeeds: Running at once, then Completed", "200 millis").run
      )
      assert.strictEqual(failure.what, "startTask of a returns")
    }))

  it.effect("a case runs under a TestClock too, and leaves it alone", () =>
    Effect.gen(function*() {
      const clock = yield* Effect.clock
      yield* caseOf(TaskManagerLive, "the default grace period is 5 seconds").run
      assert.strictEqual(yield* Effect.clock, clock)
      assert.strictEqual(yield* clock.currentTimeMillis, 0)
    }))

  it("leaves out what a layer cannot do", () => {
    const all = conformanceSuite({ layer: TaskManagerLive })
    const names = (capabilities: Parameters<typeof conformanceSuite>[0]["capabilities"]) =>
      conformanceSuite({ layer: TaskManagerLive, capabilities }).map(({ name, section }) => `${section}: ${name}`)
    assert.isAbove(all.length, 300)
    assert.deepStrictEqual(names({ detach: false }).filter((name) => name.includes(": detach, ")), [])
    assert.deepStrictEqual(names({ approvals: false }).filter((name) => name.includes(", Suspended")), [])
    assert.deepStrictEqual(
      names({ backpressure: false, resultLimits: false }).filter((name) => name.includes("result limits: ")),
      []
    )
    assert.isAtLeast(names(inlineOnly).filter((name) => name.includes("result limits: ")).length, 30)
    assert.deepStrictEqual(names({}).filter((name) => name.includes("The simple manager")), [])
    assert.isTrue(names(inlineOnly).some((name) => name.includes("The simple manager")))
  })

  it("names every case once in its section", () => {
    const names = [
      ...conformanceSuite({ layer: TaskManagerLive }),
      ...conformanceSuite({ layer: TaskManagerSimple, capabilities: inlineOnly })
    ].map(({ name, section }) => `${section}: ${name}`)
    const concurrent = conformanceSuite({ layer: TaskManagerLive }).map(({ name, section }) => `${section}: ${name}`)
    assert.strictEqual(new Set(concurrent).size, concurrent.length)
    assert.isAbove(new Set(names).size, concurrent.length)
  })
})

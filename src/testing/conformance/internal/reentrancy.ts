/** docs/contract.md, 4.6: a tool may use the manager that runs it. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { TaskManagerError } from "../../../errors.js"
import { SessionId, TaskId } from "../../../model/ids.js"
import { TaskLaunchRequest } from "../../../model/Task.js"
import * as brief from "./brief.js"
import { equal } from "./check.js"
import { section } from "./define.js"
import { toolError } from "./tools.js"
import { requestOf, theTurn, turnOf, type World } from "./World.js"

const { cases, test } = section("4.6 Re-entrancy")

/** In a tool every error of the manager is a failed call. */
const inTool = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.mapError(effect, (error) => toolError("ExecutionFailed", error._tag))

const self = TaskId.make("a")

for (
  const [what, act] of [
    ["cancels itself", (w: World) => w.handle.cancel(self)],
    ["interrupts its own turn", (w: World) => w.manager.onTurnInterrupted(theTurn)],
    ["closes its own session", (w: World) => w.manager.closeSession(theTurn.sessionId)]
  ] as const
) {
  test(`a tool that ${what} does not wait for itself: Cancelled`, {}, function*(w) {
    const a = yield* w.start("a", { tool: (_task, told) => Effect.zipRight(inTool(act(w)), told) })
    yield* w.hasStatus(a, "Cancelled")
  })
  test(`a tool that ${what} from a region it made uninterruptible goes on to its end: Cancelled`, {}, function*(w) {
    let went = false
    const a = yield* w.start("a", {
      tool: () =>
        Effect.uninterruptible(Effect.zipRight(
          inTool(act(w)),
          Effect.sync(() => {
            went = true
            return "ignored"
          })
        ))
    })
    yield* w.hasStatus(a, "Cancelled")
    yield* equal("the call returned inside the tool", went, true)
  })
  test(`a tool that ${what} from a finalizer does not wait for itself`, {}, function*(w) {
    const a = yield* w.start("a", {
      tool: (_task, told) => Effect.ensuring(told, Effect.ignore(act(w)))
    })
    yield* a.succeed()
    yield* w.soon("the manager is idle", w.handle.waitForIdle)
  })
  test(`a fiber that a tool forked ${what} and does not wait for the task`, {}, function*(w) {
    const done = yield* Deferred.make<void>()
    yield* w.start("a", {
      tool: (_task, told) =>
        Effect.zipRight(
          Effect.forkDaemon(Effect.zipRight(Effect.ignore(act(w)), Deferred.succeed(done, undefined))),
          Effect.uninterruptible(told)
        )
    })
    yield* w.soon("the call returns", Deferred.await(done))
  })
}

test("a tool cancels the task that it runs under, and does not wait for it", {}, function*(w) {
  w.define("child", (_task, told) => Effect.zipRight(inTool(w.handle.cancel(self)), told))
  const a = yield* w.start("a", {
    stubborn: false,
    tool: (_task, told) =>
      Effect.zipRight(
        inTool(w.startTask(TaskLaunchRequest.plain({
          request: requestOf("child", { turn: turnOf("s", "child") }),
          taskId: TaskId.make("child")
        }))),
        told
      )
  })
  yield* w.soon("the child begins", w.began("child"))
  yield* w.settle
  yield* w.hasStatus(a, "Cancelled")
})

test("two tools that cancel each other both end", {}, function*(w) {
  const go = yield* Deferred.make<void>()
  const cancels = (other: string) => () =>
    Effect.zipRight(Deferred.await(go), Effect.as(inTool(w.handle.cancel(TaskId.make(other))), "done"))
  const a = yield* w.start("a", { tool: cancels("b") })
  const b = yield* w.start("b", { turn: turnOf("s", "t2"), tool: cancels("a") })
  yield* Deferred.succeed(go, undefined)
  yield* w.soon("the manager is idle", w.handle.waitForIdle)
  yield* equal(
    "both are settled",
    [yield* w.status(a), yield* w.status(b)].map((status) => status === "Cancelled" || status === "Completed"),
    [true, true]
  )
})

const sessionOfB = "other"

/** How a tool stops another one, and waits for its end. */
const stops: ReadonlyArray<readonly [what: string, stop: (w: World) => Effect.Effect<unknown, TaskManagerError>]> = [
  ["cancels", (w) => w.handle.cancel(TaskId.make("b"))],
  ["interrupts the turn of", (w) => w.manager.onTurnInterrupted(turnOf(sessionOfB, "t2"))],
  ["closes the session of", (w) => w.manager.closeSession(SessionId.make(sessionOfB))]
]

/** What the other one waits for before it ends. `hears`: its wait ends first, so that who stops it hears of its end. */
const endings: ReadonlyArray<
  readonly [what: string, hears: boolean, wait: (w: World) => Effect.Effect<unknown, TaskManagerError>]
> = [
  ["waits for its task", true, (w) => w.manager.waitForTask([self])],
  ["waits for its turn", true, (w) => w.manager.waitForTurn(theTurn)],
  ["waits for idle", true, (w) => w.handle.waitForIdle],
  ["cancels it too", false, (w) => w.handle.cancel(self)],
  ["interrupts its turn too", false, (w) => w.manager.onTurnInterrupted(theTurn)],
  ["closes its session too", false, (w) => w.manager.closeSession(theTurn.sessionId)]
]

for (const [what, stop] of stops) {
  for (const [how, hears, wait] of endings) {
    test(`a tool that ${what} one which ${how} in its finalizer: both end`, {
      needs: ["startsConcurrently"],
      audit: false
    }, function*(w) {
      const go = yield* Deferred.make<void>()
      const found: Array<string> = []
      const b = yield* w.start("b", {
        turn: turnOf(sessionOfB, "t2"),
        stubborn: false,
        tool: (_task, told) => Effect.onInterrupt(told, () => Effect.ignore(inTool(wait(w))))
      })
      yield* w.start("a", {
        tool: () =>
          Deferred.await(go).pipe(
            Effect.zipRight(inTool(stop(w))),
            Effect.zipRight(Effect.uninterruptible(inTool(w.handle.get(b.id)))),
            Effect.tap(({ status }) => Effect.sync(() => found.push(status))),
            Effect.as("went on")
          )
      })
      yield* Deferred.succeed(go, undefined)
      yield* w.soon("the manager is idle", w.handle.waitForIdle)
      if (hears) yield* equal("how it found the other one", found, ["Cancelled"])
    })
  }
}

test("a tool detaches itself and goes on in the background", { needs: ["detach"] }, function*(w) {
  const a = yield* w.start("a", {
    tool: (task, told) => Effect.zipRight(inTool(w.handle.detach(task.taskId)), Effect.zipRight(told, task.kind))
  })
  yield* equal("its turn is told", yield* w.foreground(a), ["detached a"])
  yield* a.succeed()
  yield* w.delivers(a, { loop: ["result a ok Background"] })
})

test("a tool waits for idle: it is not counted itself", {}, function*(w) {
  const a = yield* w.start("a", { tool: () => Effect.as(w.handle.waitForIdle, "idle") })
  yield* w.soon("the manager is idle", w.handle.waitForIdle)
  yield* w.hasStatus(a, "Completed")
})

test("a tool that waits for idle waits for the others", {}, function*(w) {
  const a = yield* w.start("a", { tool: () => Effect.as(w.handle.waitForIdle, "idle") })
  const b = yield* w.start("b", { turn: turnOf("s", "t2") })
  // a may have found the manager idle before b began
  const c = yield* w.start("c", { turn: turnOf("s", "t3"), tool: () => Effect.as(w.handle.waitForIdle, "idle") })
  yield* w.hasStatus(c, "Running")
  yield* b.succeed()
  yield* w.soon("the manager is idle", w.handle.waitForIdle)
  yield* w.hasStatus(a, "Completed")
  yield* w.hasStatus(c, "Completed")
})

test("two tools that wait for idle do not wait for each other", {}, function*(w) {
  const go = yield* Deferred.make<void>()
  const tool = () => Effect.zipRight(Deferred.await(go), Effect.as(w.handle.waitForIdle, "idle"))
  const a = yield* w.start("a", { tool })
  const b = yield* w.start("b", { turn: turnOf("s", "t2"), tool })
  yield* Deferred.succeed(go, undefined)
  yield* w.soon("the manager is idle", w.handle.waitForIdle)
  yield* w.hasStatus(a, "Completed")
  yield* w.hasStatus(b, "Completed")
})

test("a tool waits for its own turn: None when nothing else of it runs", {}, function*(w) {
  const a = yield* w.start("a", {
    tool: () => Effect.map(w.manager.waitForTurn(theTurn), (update) => update._tag)
  })
  yield* w.soon("the manager is idle", w.handle.waitForIdle)
  yield* w.delivers(a, { foreground: ["result a ok None"] })
})

test(
  "two tools that wait for their own turn do not wait for each other",
  { needs: ["startsConcurrently"] },
  function*(w) {
    const go = yield* Deferred.make<void>()
    const tool = () => Effect.zipRight(Deferred.await(go), Effect.as(w.manager.waitForTurn(theTurn), "drained"))
    yield* w.start("a", { tool })
    yield* w.start("b", { tool })
    yield* Deferred.succeed(go, undefined)
    yield* w.soon("the manager is idle", w.handle.waitForIdle)
    yield* equal("both ended", (yield* w.ends).slice().sort(), ["a#1", "b#1"])
  }
)

test("a tool that consumes its own turn's updates does not wait for itself", {}, function*(w) {
  const a = yield* w.start("a", {
    tool: () => Effect.map(w.manager.consumeTurnUpdate(theTurn, () => Effect.void), (update) => update._tag)
  })
  yield* w.soon("the manager is idle", w.handle.waitForIdle)
  yield* w.delivers(a, { foreground: ["result a ok None"] })
})

const subTurn = turnOf("s", "sub")

/** A tool that starts a call of another turn and waits until that turn has drained. */
const delegates = (w: World, child: string) => () =>
  Effect.gen(function*() {
    const outcome = yield* inTool(w.startTask(TaskLaunchRequest.plain({
      request: requestOf(child, { turn: subTurn }),
      taskId: TaskId.make(child)
    })))
    if (outcome._tag === "Ready") return `got ${brief.resolution(outcome.resolution)}`
    const update = yield* w.manager.waitForTurn(subTurn)
    return `got ${Option.getOrUndefined(Option.map(update, brief.update)) ?? "nothing"}`
  })

for (const concurrency of [Infinity, 1]) {
  test(`a tool starts a task and waits for its turn, ${concurrency === 1 ? "with one place" : "without a limit"}`, {
    needs: concurrency === 1 ? ["concurrency"] : [],
    settings: { concurrency }
  }, function*(w) {
    w.define("child", () => Effect.succeed("42"))
    const a = yield* w.start("a", { tool: delegates(w, "child") })
    yield* w.soon("the child begins", w.began("child"))
    yield* w.soon("the manager is idle", w.handle.waitForIdle)
    yield* w.delivers(a, { foreground: ["result a ok got result child ok 42"] })
  })
}

test("with one place, tools that wait for each other's turns in a chain all end", {
  needs: ["concurrency", "startsConcurrently"],
  settings: { concurrency: 1 }
}, function*(w) {
  const step = (depth: number): Effect.Effect<string, ReturnType<typeof toolError>> =>
    depth === 0 ? Effect.succeed("bottom") : Effect.gen(function*() {
      const turn = turnOf("s", `depth-${depth}`)
      const name = `child-${depth}`
      w.define(name, () => step(depth - 1))
      yield* inTool(
        w.startTask(TaskLaunchRequest.plain({ request: requestOf(name, { turn }), taskId: TaskId.make(name) }))
      )
      yield* w.manager.waitForTurn(turn)
      return `above ${depth}`
    })
  const a = yield* w.start("a", { tool: () => step(6) })
  yield* w.soon("the manager is idle", w.handle.waitForIdle)
  yield* w.delivers(a, { foreground: ["result a ok above 6"] })
})

const elsewhere = turnOf("elsewhere", "sub")

/** What a tool may wait for while its own turn waits for it. */
const waits: ReadonlyArray<
  readonly [what: string, wait: (w: World, child: TaskId) => Effect.Effect<unknown, unknown>]
> = [
  ["another turn", (w) => w.manager.waitForTurn(elsewhere)],
  ["another turn's update, which it consumes", (w) => w.manager.consumeTurnUpdate(elsewhere, () => Effect.void)],
  ["idle", (w) => w.handle.waitForIdle],
  ["a task", (w, child) => w.manager.waitForTask([child])]
]

for (const [what, wait] of waits) {
  for (const first of ["the host", "the tool"]) {
    test(`a tool that waits for ${what} holds up its turn and idle; ${first} waits first`, {
      needs: ["startsConcurrently"]
    }, function*(w) {
      const go = yield* Deferred.make<void>()
      const child = yield* w.start("child", { turn: elsewhere })
      const a = yield* w.start("a", {
        tool: () =>
          Effect.zipRight(
            Deferred.await(go),
            Effect.mapError(wait(w, child.id), () => toolError("ExecutionFailed", ""))
          )
            .pipe(Effect.as("waited"))
      })
      if (first === "the tool") yield* Effect.zipRight(Deferred.succeed(go, undefined), w.settle)
      const turn = yield* w.fork(w.manager.waitForTurn(theTurn))
      const idle = yield* w.fork(w.handle.waitForIdle)
      yield* w.waits("waitForTurn waits", turn)
      yield* Deferred.succeed(go, undefined)
      yield* w.waits("waitForTurn waits while the tool waits", turn)
      yield* w.waits("waitForIdle waits while the tool waits", idle)
      yield* w.hasStatus(a, "Running")
      yield* child.succeed()
      const update = yield* w.soon("waitForTurn returns", Fiber.join(turn))
      yield* equal("the update", Option.map(update, brief.update), Option.some("result a ok waited"))
      yield* w.soon("waitForIdle returns", Fiber.join(idle))
    })
  }
}

/** How the tools of a circle wait for the next one. */
const inCircle: ReadonlyArray<
  readonly [how: string, wait: (w: World, next: string, index: number) => Effect.Effect<unknown, unknown>]
> = [
  ["each other's turns", (w, next) => w.manager.waitForTurn(turnOf("s", next))],
  ["each other's tasks", (w, next) => w.manager.waitForTask([TaskId.make(next)])],
  ["turns, tasks and idle", (w, next, index) =>
    index === 0
      ? w.handle.waitForIdle
      : index === 1
      ? w.manager.waitForTask([TaskId.make(next)])
      : w.manager.consumeTurnUpdate(turnOf("s", next), () => Effect.void)]
]

for (const [how, wait] of inCircle) {
  for (const names of [["a", "b"], ["a", "b", "c"]]) {
    for (const concurrency of [Infinity, 1]) {
      test(
        `${names.length} tools that wait for ${how} in a circle all end, ${
          concurrency === 1 ? "with one place" : "without a limit"
        }`,
        {
          needs: concurrency === 1 ? ["concurrency", "startsConcurrently"] : ["startsConcurrently"],
          settings: { concurrency }
        },
        function*(w) {
          const calls = []
          const go = yield* Deferred.make<void>()
          for (const [index, name] of names.entries()) {
            const next = names[(index + 1) % names.length] ?? name
            calls.push(
              yield* w.start(name, {
                turn: turnOf("s", name),
                begins: concurrency === Infinity || index === 0,
                tool: () =>
                  Effect.zipRight(
                    Deferred.await(go),
                    Effect.mapError(wait(w, next, index), () => toolError("ExecutionFailed", ""))
                  ).pipe(Effect.as("went on"))
              })
            )
          }
          const host = yield* w.fork(w.manager.waitForTurn(turnOf("s", "a")))
          yield* Deferred.succeed(go, undefined)
          yield* w.soon("the manager is idle", w.handle.waitForIdle)
          for (const call of calls) yield* w.hasStatus(call, "Completed")
          const update = yield* w.soon("the host is told", Fiber.join(host))
          // unless the tool of the circle that waits for this turn took the result
          if (names.length > 2 || Option.isSome(update)) {
            yield* equal("what it is told", Option.map(update, brief.update), Option.some("result a ok went on"))
          }
        }
      )
    }
  }
}

for (
  const [what, wait] of [
    ["its turn", (w: World) => w.manager.waitForTurn(theTurn)],
    ["idle", (w: World) => w.handle.waitForIdle]
  ] as const
) {
  test(`a tool that waits for what it started gets the result, also if that waits for ${what}`, {
    needs: ["startsConcurrently"]
  }, function*(w) {
    w.define("child", () => Effect.as(wait(w), "42"))
    const a = yield* w.start("a", { tool: delegates(w, "child") })
    yield* w.soon("the manager is idle", w.handle.waitForIdle)
    yield* w.delivers(a, { foreground: ["result a ok got result child ok 42"] })
  })
}

test("with one place, a tool that waits for idle lends its place to the queue", {
  needs: ["concurrency"],
  settings: { concurrency: 1 }
}, function*(w) {
  const go = yield* Deferred.make<void>()
  const a = yield* w.start("a", {
    tool: () => Effect.zipRight(Deferred.await(go), Effect.as(w.handle.waitForIdle, "idle"))
  })
  const b = yield* w.start("b", { turn: turnOf("s", "t2"), begins: false })
  yield* w.hasStatus(b, "Queued")
  yield* Deferred.succeed(go, undefined)
  yield* w.soon("b begins in the place of a", w.began("b"))
  yield* b.succeed()
  yield* w.soon("the manager is idle", w.handle.waitForIdle)
  yield* w.hasStatus(a, "Completed")
})

test("a waiting tool can be cancelled", {}, function*(w) {
  const b = yield* w.start("b", { turn: turnOf("s", "t2") })
  const a = yield* w.start("a", { tool: () => Effect.as(w.handle.waitForIdle, "idle") })
  yield* w.soon("cancel returns", w.handle.cancel(a.id))
  yield* w.hasStatus(a, "Cancelled")
  yield* w.hasStatus(b, "Running")
  yield* b.succeed()
  yield* w.soon("the manager is idle", w.handle.waitForIdle)
})

test("interrupting a turn whose tool waits for another turn returns", {}, function*(w) {
  const a = yield* w.start("a", { tool: delegates(w, "child") })
  yield* w.soon("the child begins", w.began("child"))
  const interrupting = yield* w.fork(w.manager.onTurnInterrupted(theTurn))
  yield* w.soon("onTurnInterrupted returns", Fiber.join(interrupting))
  yield* w.hasStatus(a, "Cancelled")
})

export const reentrancy = cases

/** What a task writes while it runs, as the host reads it. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TaskId } from "../../../model/ids.js"
import type { OutputRange } from "../../../model/TaskOutput.js"
import type { CurrentTask } from "../../../services/CurrentTask.js"
import { equal, failsWith, isTrue } from "./check.js"
import { section } from "./define.js"
import { isApproved, type Tool } from "./tools.js"
import { askingFor, type Call, turnOf, type World } from "./World.js"

const { cases, test } = section("Output of tasks")

const writing = (...chunks: ReadonlyArray<string>): Tool => (task, told) =>
  Effect.zipRight(Effect.forEach(chunks, (chunk) => task.write(chunk), { discard: true }), told)

const text = (w: World, call: Call, range?: OutputRange) =>
  Effect.map(w.handle.output(call.id, range), (output) => output.text)

test("is read while the task runs and after it has settled", {}, function*(w) {
  const a = yield* w.start("a", { tool: writing("one ", "two") })
  yield* equal("while it runs", yield* w.handle.output(a.id), { text: "one two", start: 0, end: 7, total: 7 })
  yield* a.succeed()
  yield* equal("afterwards", yield* w.handle.output(a.id), { text: "one two", start: 0, end: 7, total: 7 })
})

test("OutputGrew says once that there is more to read, until it is read", {}, function*(w) {
  const a = yield* w.start("a", { tool: writing("one ", "two ", "three") })
  yield* equal("the events", yield* w.eventsOf(a.id), ["Started", "OutputGrew"])
  const grew = (yield* w.events).find((event) => event._tag === "OutputGrew")
  yield* equal("its end", grew?.end, 4)
  yield* equal("what is read", yield* text(w, a, { start: 0 }), "one two three")
  yield* a.succeed()
  yield* equal("the events", yield* w.eventsOf(a.id), ["Started", "OutputGrew", "Completed"])
})

test("every reader of a log reaches its end, also if another one never reads", {}, function*(w) {
  const steps = yield* Effect.forEach([1, 2, 3], () => Deferred.make<void>())
  const a = yield* w.start("a", {
    tool: (task, told) =>
      Effect.forEach(
        steps,
        (step, index) =>
          Effect.zipRight(
            Effect.forEach(Array.from({ length: 10 }), (_, line) => task.write(`${index}.${line} `), { discard: true }),
            Deferred.await(step)
          ),
        { discard: true }
      ).pipe(Effect.zipRight(task.write("end")), Effect.zipRight(told))
  })
  yield* Effect.asVoid(Scope.extend(w.handle.subscribe, w.scope))
  const tail = () => {
    const seen = { text: "" }
    const readOn = Effect.suspend(() =>
      Effect.map(Effect.orDie(w.handle.output(a.id, { start: seen.text.length })), (piece) => {
        seen.text += piece.text
      })
    )
    return Effect.as(
      w.fork(
        Stream.runForEach(
          w.handle.eventsOf({ taskId: a.id }),
          (event) => event._tag === "OutputGrew" || event._tag === "Completed" ? readOn : Effect.void
        )
      ),
      seen
    )
  }
  const tails = [yield* tail(), yield* tail()]
  const whole = (parts: number) =>
    Array.from({ length: parts }, (_, index) => Array.from({ length: 10 }, (_, line) => `${index}.${line} `).join(""))
      .join("")
  for (const [index, step] of steps.entries()) {
    yield* w.settle
    yield* equal(`what was seen of part ${index}`, tails.map((seen) => seen.text), [whole(index + 1), whole(index + 1)])
    yield* Deferred.succeed(step, undefined)
  }
  yield* w.settle
  yield* a.succeed()
  yield* w.settle
  yield* equal("in the end", tails.map((seen) => seen.text), [`${whole(3)}end`, `${whole(3)}end`])
  const told = (yield* w.eventsOf(a.id)).filter((tag) => tag === "OutputGrew").length
  yield* isTrue("it did not get an event for every line", told <= 10)
})

test("of a task that writes nothing is empty; of an unknown one there is none", {}, function*(w) {
  const a = yield* w.start("a")
  yield* equal("nothing", yield* w.handle.output(a.id), { text: "", start: 0, end: 0, total: 0 })
  yield* failsWith("an unknown task", w.handle.output(TaskId.make("nobody")), "TaskNotFound")
})

test("is read in ranges that are cut between characters", {}, function*(w) {
  const a = yield* w.start("a", { tool: writing("ab\u20accd") })
  yield* equal("from 1, 4 bytes", yield* w.handle.output(a.id, { start: 1, maxBytes: 4 }), {
    text: "b\u20ac",
    start: 1,
    end: 5,
    total: 7
  })
  yield* equal("from 3", yield* text(w, a, { start: 3 }), "cd")
  yield* equal("the newest 4", yield* text(w, a, { maxBytes: 4 }), "cd")
  yield* equal("3 bytes from 1", yield* text(w, a, { start: 1, maxBytes: 3 }), "b")
  yield* equal("a whole character, where one byte is asked for", yield* text(w, a, { start: 2, maxBytes: 1 }), "\u20ac")
  yield* equal("beyond the end", yield* w.handle.output(a.id, { start: 99 }), { text: "", start: 7, end: 7, total: 7 })
})

for (
  const [what, range] of [
    ["a negative start", { start: -1 }],
    ["a fraction", { start: 0.5 }],
    ["a size that is not a number", { maxBytes: NaN }],
    ["an endless size", { maxBytes: Infinity }]
  ] as const
) {
  test(`${what} is a defect that names the field`, {}, function*(w) {
    const a = yield* w.start("a", { tool: writing("text") })
    const exit = yield* Effect.exit(w.handle.output(a.id, range))
    yield* isTrue("it dies", Exit.isFailure(exit) && String(exit.cause).includes(Object.keys(range).join()))
  })
}

test("keeps a character whole whose halves come in two writes in a row, and replaces others", {}, function*(w) {
  const a = yield* w.start("a", { tool: writing("\ud83d", "\ude80", "\ud83d", "x\ude80") })
  yield* equal("the text", yield* text(w, a), "\ud83d\ude80\ufffdx\ufffd")
})

test("keeps the newest outputBuffer bytes", {
  needs: ["config"],
  settings: { outputBuffer: 8 }
}, function*(w) {
  const a = yield* w.start("a", { tool: writing("0123456789", "ab") })
  yield* equal("the newest", yield* w.handle.output(a.id), { text: "456789ab", start: 4, end: 12, total: 12 })
  yield* equal("what is dropped is skipped", yield* text(w, a, { start: 0, maxBytes: 3 }), "456")
})

test("with outputBuffer 0 nothing is kept and all of it counted", {
  needs: ["config"],
  settings: { outputBuffer: 0 }
}, function*(w) {
  const a = yield* w.start("a", { tool: writing("abc") })
  yield* equal("the output", yield* w.handle.output(a.id), { text: "", start: 3, end: 3, total: 3 })
})

test("of settled tasks is forgotten oldest first beyond outputHistory, its length is not", {
  needs: ["config"],
  settings: { outputHistory: 8 }
}, function*(w) {
  const a = yield* w.start("a", { turn: turnOf("s", "a"), tool: writing("aaaa") })
  const b = yield* w.start("b", { turn: turnOf("s", "b"), tool: writing("bbbb") })
  const c = yield* w.start("c", { turn: turnOf("s", "c"), tool: writing("cccccc") })
  yield* b.succeed()
  yield* a.succeed()
  yield* equal("both are there", [yield* text(w, a), yield* text(w, b)], ["aaaa", "bbbb"])
  yield* equal("live output does not count", yield* text(w, c), "cccccc")
  yield* c.succeed()
  yield* equal("one is not enough", [yield* text(w, a), yield* text(w, b), yield* text(w, c)], ["", "", "cccccc"])
  yield* equal("the length", yield* w.handle.output(b.id), { text: "", start: 4, end: 4, total: 4 })
})

test("is forgotten with its task", { needs: ["config", "forgets"], settings: { historyLimit: 1 } }, function*(w) {
  const a = yield* w.start("a", { turn: turnOf("s", "a"), tool: writing("a") })
  yield* a.succeed()
  const b = yield* w.start("b", { turn: turnOf("s", "b"), tool: writing("b") })
  yield* b.succeed()
  yield* failsWith("the first", w.handle.output(a.id), "TaskNotFound")
  yield* equal("the second", yield* text(w, b), "b")
})

test("goes on when the task is resumed; what an earlier launch left behind is not heard", {
  needs: ["approvals"]
}, function*(w) {
  let left: CurrentTask["Type"] | undefined = undefined
  const a = yield* w.start("a", {
    tool: (task, told) => {
      if (isApproved(task)) return writing("second")(task, told)
      left = task
      return Effect.zipRight(task.write("first "), Effect.fail(askingFor("a")))
    }
  })
  const late = Effect.suspend(() => left?.write("late") ?? Effect.void)
  yield* late
  yield* w.foreground(a)
  yield* w.approve(a)
  yield* late
  yield* a.succeed()
  yield* late
  yield* equal("both launches", yield* text(w, a), "first second")
})

test("of a cancelled tool's finalizers is kept; what an abandoned tool writes is not", {
  needs: ["grace", "config"],
  settings: { cancelGracePeriod: "1 second" }
}, function*(w) {
  const go = yield* Deferred.make<void>()
  const a = yield* w.start("a", {
    tool: (task, told) => Effect.onInterrupt(told, () => task.write("killed"))
  })
  const b = yield* w.start("b", {
    turn: turnOf("s", "b"),
    tool: (task) =>
      Effect.uninterruptible(
        Effect.zipRight(
          task.write("before"),
          Effect.zipRight(Deferred.await(go), Effect.as(task.write("after"), "done"))
        )
      )
  })
  yield* w.handle.cancel(a.id)
  yield* equal("the finalizer", yield* text(w, a), "killed")
  yield* w.fork(w.handle.cancel(b.id))
  yield* w.advance("1 second")
  yield* w.hasStatus(b, "Cancelled")
  yield* Deferred.succeed(go, undefined)
  yield* w.settle
  yield* equal("the abandoned tool", yield* text(w, b), "before")
})

test("outlives its session", {}, function*(w) {
  const a = yield* w.start("a", { tool: writing("text") })
  yield* w.manager.closeSession(a.turn.sessionId)
  yield* equal("the text", yield* text(w, a), "text")
})

test("is there when the manager is shut down", { needs: ["answersAfterShutdown"] }, function*(w) {
  const a = yield* w.start("a", { tool: writing("text") })
  yield* w.shutdown
  yield* equal("the text", yield* text(w, a), "text")
  yield* isTrue("its result too", Option.isSome(yield* w.handle.result(a.id)))
})

export const output = cases

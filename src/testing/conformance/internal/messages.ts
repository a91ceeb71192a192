/** What is said to a running tool. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TaskId } from "../../../model/ids.js"
import { equal, failsWith, isTrue } from "./check.js"
import { section } from "./define.js"
import { nameOf, needsOf, reach, settingsOf, statesOf } from "./states.js"
import { isApproved, type Tool } from "./tools.js"
import { askingFor, type World } from "./World.js"

const { cases, test } = section("Messages to tools")

/** Reads what is said while it waits for the case. */
const listening = (heard: Array<string>): Tool => (task, told) =>
  Effect.zipRight(
    Effect.fork(Stream.runForEach(task.messages, (message) => Effect.sync(() => heard.push(message)))),
    told
  )

/** Steers a task that reads, or is expected to be refused. */
const steer = (w: World, id: TaskId, message = "stop at ten") => w.soon("steer returns", w.handle.steer(id, message))

test("a tool reads what is said to it, in order", {}, function*(w) {
  const heard: Array<string> = []
  const a = yield* w.start("a", { tool: listening(heard) })
  yield* w.settle
  for (const message of ["one", "two", "three"]) yield* steer(w, a.id, message)
  yield* w.settle
  yield* equal("what it heard", heard, ["one", "two", "three"])
  yield* a.succeed()
  yield* w.delivers(a, { foreground: ["result a ok done"] })
})

for (const state of statesOf("Queued", "Running", "Suspended")) {
  test(`steer, ${nameOf(state)}, the tool has not asked: TaskDoesNotListen`, {
    needs: needsOf(state),
    settings: settingsOf(state)
  }, function*(w) {
    const { call } = yield* reach(w, state)
    yield* failsWith("steer fails", steer(w, call.id), "TaskDoesNotListen")
  })
}

for (const state of statesOf("Cancelling", "Completed", "Failed", "Cancelled")) {
  test(`steer, ${nameOf(state)}: TaskNotRunning`, { needs: needsOf(state), settings: settingsOf(state) }, function*(w) {
    const { call } = yield* reach(w, state)
    const error = yield* failsWith("steer fails", steer(w, call.id), "TaskNotRunning")
    yield* equal("the status in the error", error.status, state.status)
  })
}

test("steer, unknown id: TaskNotFound", {}, function*(w) {
  yield* failsWith("steer fails", steer(w, TaskId.make("nobody")), "TaskNotFound")
})

test("what is said between two reads waits for the second", {}, function*(w) {
  const heard: Array<string> = []
  const pause = yield* Deferred.make<void>()
  const one = (messages: Stream.Stream<string>) =>
    Effect.flatMap(Stream.runCollect(Stream.take(messages, 1)), (read) => Effect.sync(() => heard.push(...read)))
  const a = yield* w.start("a", {
    tool: ({ messages }, told) =>
      one(messages).pipe(
        Effect.zipRight(Deferred.await(pause)),
        Effect.zipRight(one(messages)),
        Effect.zipRight(told)
      )
  })
  yield* w.settle
  yield* steer(w, a.id, "one")
  yield* w.settle
  yield* steer(w, a.id, "two")
  yield* Deferred.succeed(pause, undefined)
  yield* w.settle
  yield* equal("what it heard", heard, ["one", "two"])
  yield* a.succeed()
})

test("of several readers one has each message, and one that is interrupted gives it back", {}, function*(w) {
  const heard: Array<string> = []
  const readers: Array<Fiber.RuntimeFiber<void, unknown>> = []
  const a = yield* w.start("a", {
    tool: ({ messages }, told) =>
      Effect.gen(function*() {
        // the first one takes a message and does not come to its end
        readers.push(yield* Effect.fork(Stream.runForEach(messages, () => Effect.never)))
        yield* Effect.yieldNow()
        const rest = Stream.runForEach(messages, (message) => Effect.sync(() => heard.push(message)))
        readers.push(yield* Effect.fork(rest))
        return yield* told
      })
  })
  yield* w.settle
  for (const message of ["one", "two", "three"]) yield* steer(w, a.id, message)
  yield* w.settle
  yield* equal("what the others heard", heard.length, 2)
  const [first] = readers
  if (first !== undefined) yield* Fiber.interrupt(first)
  yield* w.settle
  yield* equal("what was heard in the end", [...heard].sort(), ["one", "three", "two"])
  yield* a.succeed()
})

test("too much that is unread is refused, and said when it is read", {}, function*(w) {
  const heard: Array<string> = []
  const pause = yield* Deferred.make<void>()
  const a = yield* w.start("a", {
    tool: ({ messages }, told) =>
      Stream.runForEach(
        messages,
        (message) => Effect.zipRight(Effect.sync(() => heard.push(message)), Deferred.await(pause))
      ).pipe(
        Effect.fork,
        Effect.zipRight(told)
      )
  })
  yield* w.settle
  for (let index = 0; index < 100; index++) yield* steer(w, a.id, `${index}`)
  const error = yield* failsWith("one more", steer(w, a.id, "too much"), "TaskInboxFull")
  yield* equal("how many wait", error.waiting, 100)
  yield* Deferred.succeed(pause, undefined)
  yield* w.settle
  yield* equal("how many were heard", heard.length, 100)
  yield* failsWith("one that is too long", steer(w, a.id, "x".repeat(1_048_577)), "TaskInboxFull")
  yield* steer(w, a.id, "now")
  yield* w.settle
  yield* equal("the last one", heard.at(-1), "now")
  yield* a.succeed()
})

test("what a launch has not read when it asks for approval waits for the next", { needs: ["approvals"] }, function*(w) {
  const heard: Array<string> = []
  const a = yield* w.start("a", {
    tool: (task, told) =>
      isApproved(task)
        ? listening(heard)(task, told)
        // it asks for messages, and fails while it has the first
        : Stream.runForEach(task.messages, () => Effect.fail(askingFor("a"))).pipe(Effect.zipRight(told))
  })
  yield* w.settle
  yield* steer(w, a.id, "one")
  yield* w.settle
  yield* w.foreground(a)
  yield* w.hasStatus(a, "Suspended")
  yield* steer(w, a.id, "two")
  yield* w.approve(a)
  yield* w.settle
  yield* equal("what the second launch heard", heard, ["one", "two"])
  yield* a.succeed()
})

test("messages end when the tool is stopped", {}, function*(w) {
  const ended = yield* Deferred.make<void>()
  const a = yield* w.start("a", {
    tool: ({ messages }, told) =>
      // it does not hear that it is interrupted
      Effect.uninterruptible(Effect.zipRight(Stream.runDrain(messages), Deferred.succeed(ended, undefined))).pipe(
        Effect.zipRight(told)
      )
  })
  yield* w.settle
  yield* w.soon("cancel returns", w.handle.cancel(a.id))
  yield* isTrue("it has come to the end", yield* Deferred.isDone(ended))
  yield* w.hasStatus(a, "Cancelled")
  yield* w.foreground(a)
})

test("what is left behind by a tool reads nothing any more", {}, function*(w) {
  const left = yield* Deferred.make<Stream.Stream<string>>()
  const a = yield* w.start("a", {
    tool: ({ messages }, told) => Effect.zipRight(Deferred.succeed(left, messages), told)
  })
  yield* a.succeed()
  const messages = yield* Deferred.await(left)
  yield* equal("what it reads", (yield* w.soon("it ends", Stream.runCollect(messages))).length, 0)
})

test("a message that is not a string is a defect that says so", {}, function*(w) {
  const a = yield* w.start("a", { tool: listening([]) })
  for (const message of [undefined, null, 5, { text: "no" }]) {
    // as a program without types may
    const exit = yield* Effect.exit(w.handle.steer(a.id, message as unknown as string))
    yield* isTrue(
      "the defect says what it takes",
      exit._tag === "Failure" && exit.cause._tag === "Die" && String(exit.cause.defect).includes("a string")
    )
  }
  yield* a.succeed()
})

export const messages = cases

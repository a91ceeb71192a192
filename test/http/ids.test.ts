/** Every id that the manager takes is found over HTTP, whatever it is made of. */
import { FetchHttpClient } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck as fc, Layer, Logger, Redacted } from "effect"
import { SessionId, TaskId, TaskLaunchRequest, TaskManager, ToolCallId, TurnId } from "effect-task-manager"
import { TaskManagerClient } from "effect-task-manager/http"
import { readText, writtenText } from "../../src/http/api/internal/addressText.js"
import { withServer } from "./support.js"

const odd = [
  ".",
  "..",
  "~",
  "~.",
  "~~",
  "~d800",
  "~~d800",
  "...",
  "./..",
  "../../tasks",
  "/",
  "//",
  "a/b",
  "%",
  "%2e",
  "%2E%2E",
  "%252F",
  "%zz",
  "a b+c",
  "?x=1#y",
  ";a=1",
  ":id",
  "*",
  "\\",
  "\u0000\n\r",
  "é/ü/日本/🌤",
  "\ud83c",
  "a\udf24b",
  "__proto__",
  "events",
  "x".repeat(101),
  "é".repeat(1_000)
]

describe("ids in an address", () => {
  it("are read as they were written, and are one part of a path", () => {
    const texts = fc.oneof(
      fc.string({ unit: fc.constantFrom("~", ".", "/", "%", "d", "8", "0", "\ud83c", "\udf24", "é") }),
      fc.string({ unit: "binary" })
    )
    const check = (text: string): void => {
      const written = writtenText(text)
      assert.strictEqual(readText(written), text)
      const path = `/api/tasks/${encodeURIComponent(written)}/result`
      assert.strictEqual(new URL(path, "http://127.0.0.1").pathname, path)
      assert.strictEqual(path.split("/").length, 5)
      assert.notStrictEqual(written, "")
    }
    odd.forEach(check)
    fc.assert(fc.property(texts, check), { numRuns: 300 })
    // what looks like it, and was not written by it, is text
    for (const text of ["~z", "~~", "~d8"]) assert.strictEqual(typeof readText(text), "string")
  })

  it.live("name the task, the session and the lane that they are of", () => {
    const audited: Array<unknown> = []
    const logger = Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ annotations }) => audited.push(Object.fromEntries(annotations)["id"]))
    )
    return withServer(
      (world) =>
        Effect.gen(function*() {
          const { handle, startTask } = yield* TaskManager
          const remote = yield* Effect.provide(
            TaskManagerClient,
            yield* Layer.build(
              TaskManagerClient.layer({ url: world.url, token: Redacted.make(world.token), patience: 0 }).pipe(
                Layer.provide(FetchHttpClient.layer)
              )
            )
          )
          for (const text of odd) {
            const id = TaskId.make(text)
            const sessionId = SessionId.make(text)
            const turnId = TurnId.make(text)
            yield* startTask(TaskLaunchRequest.plain({
              taskId: id,
              request: { sessionId, turnId, callId: ToolCallId.make(text), toolName: "hang", input: {}, metadata: {} }
            }))
            const [here] = yield* handle.list({ sessionId })
            assert.deepStrictEqual(yield* remote.get(id), here, text)
            for (const filter of [{ sessionId }, { turnId }, { callId: ToolCallId.make(text) }]) {
              assert.deepStrictEqual(yield* remote.list(filter), [yield* handle.get(id)], text)
            }
            assert.strictEqual((yield* remote.output(id)).text, "")
            yield* remote.setPriority(id, 1)
            assert.isTrue(yield* remote.detach(id))
            yield* remote.cancel(id)
            assert.strictEqual((yield* remote.result(id))._tag, "Some")
            const refused = yield* Effect.flip(remote.setConcurrency(text, 1))
            assert.deepStrictEqual([refused._tag, refused.lane], ["ConcurrencyRefused", text])
            const none = yield* Effect.flip(remote.get(TaskId.make(`${text}!`)))
            assert.deepStrictEqual([none._tag, none.taskId], ["TaskNotFound", TaskId.make(`${text}!`)])
            const events = yield* world.events(
              `/api/events?taskId=${encodeURIComponent(writtenText(text))}&sessionId=${
                encodeURIComponent(writtenText(text))
              }`
            )
            assert.strictEqual((yield* events.next)?.data.snapshot.id, text)
            events.close()
          }
          yield* Effect.flip(remote.setConcurrency("", 1))
          for (const text of [".", "..", "a/b", "~"]) assert.include(audited, text)
          // what no client of this library writes
          for (const path of ["/api/tasks/%E0%A4%A", "/api/tasks/~", "/api/tasks/%2e%2e/cancel"]) {
            assert.oneOf((yield* world.ask(path)).status, [400, 404], path)
          }
        }).pipe(Effect.scoped),
      {},
      { logger, config: { historyLimit: 1_000 } }
    )
  })
})

/** Calls of the tools of MCP servers, on the official server in memory. */
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { TaskManager } from "effect-task-manager"
import { describe } from "vitest"
import { z } from "zod"
import { assert, call, endOf, inMemory, progressOf, signal, specNames, start, world } from "./toolsSupport.js"

const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

const output = (content: ReadonlyArray<object>, more: object = {}) => ({ content: [...content], ...more }) as never

describe("a call", () => {
  it.live("gives text, structured content, images, sounds and resources, and an error as one", () => {
    const server = inMemory("s", (mcp) => {
      mcp.registerTool(
        "text",
        { inputSchema: { name: z.string() } },
        ({ name }) => output([{ type: "text", text: `Hello, ${name}!` }])
      )
      mcp.registerTool(
        "structured",
        { outputSchema: { sum: z.number() } },
        () => output([{ type: "text", text: "{\"sum\":3}" }], { structuredContent: { sum: 3 } })
      )
      mcp.registerTool("media", {}, () =>
        output([
          { type: "text", text: "a picture" },
          { type: "image", data: pixel, mimeType: "image/png" },
          { type: "audio", data: "UklGRg==", mimeType: "audio/wav" },
          { type: "resource", resource: { uri: "file:///a", mimeType: "text/plain", text: "of a" } },
          { type: "resource", resource: { uri: "file:///b", mimeType: "application/pdf", blob: "JVBERg==" } },
          { type: "resource_link", uri: "file:///c", name: "c" }
        ]))
      mcp.registerTool("fails", {}, () => output([{ type: "text", text: "no such file" }], { isError: true }))
    })
    return Effect.gen(function*() {
      assert.strictEqual(yield* call("s__text", { name: "Ada" }), "Completed: Hello, Ada!")
      const structured = yield* Effect.flatMap(start("s__structured"), endOf)
      assert.deepStrictEqual(structured.result.output, { _tag: "Structured", value: { sum: 3 } })
      const media = yield* Effect.flatMap(start("s__media"), endOf)
      assert.deepStrictEqual(media.result.output, {
        _tag: "Parts",
        parts: [
          { _tag: "Text", text: "a picture" },
          { _tag: "Media", mediaType: "image/png", data: pixel },
          { _tag: "Media", mediaType: "audio/wav", data: "UklGRg==" },
          { _tag: "Text", text: "of a" },
          { _tag: "Media", mediaType: "application/pdf", data: "JVBERg==" },
          { _tag: "Text", text: "[a resource: c: file:///c]" }
        ]
      })
      assert.strictEqual(yield* call("s__fails"), "ExecutionFailed: The tool failed: no such file")
      assert.match(yield* call("s__text", { name: 1 }), /^(ExecutionFailed|InvalidInput): /)
      assert.match(yield* call("s__texts"), /^NotFound: .*`s__text`/)
    }).pipe(Effect.provide(world({ servers: [server] })))
  })

  it.live("reports the progress of its server", () => {
    const seen = [signal<void>(), signal<void>()]
    const server = inMemory("s", (mcp) => {
      mcp.registerTool("count", {}, async (extra) => {
        const progressToken = extra._meta?.progressToken ?? ""
        for (const [index, { said }] of seen.entries()) {
          const progress = index + 1
          const params = { progressToken, progress, total: 4, message: `step ${progress}` }
          await extra.sendNotification({ method: "notifications/progress", params })
          await Effect.runPromise(said)
        }
        return output([])
      })
    })
    return Effect.gen(function*() {
      const task = yield* start("s__count")
      for (const [index, { say }] of seen.entries()) {
        yield* progressOf(task, index + 1)
        say()
      }
      assert.deepStrictEqual(yield* progressOf(task, 2), [
        { message: "step 1", fraction: 0.25 },
        { message: "step 2", fraction: 0.5 }
      ])
      assert.strictEqual((yield* endOf(task)).tag, "Completed")
    }).pipe(Effect.provide(world({ servers: [server] })))
  })

  it.live("that is cancelled is cancelled in its server", () => {
    const began = signal<void>()
    const stopped = signal<string>()
    const server = inMemory("s", (mcp) => {
      mcp.registerTool("hang", {}, (extra) => {
        began.say()
        return new Promise((resolve) => {
          extra.signal.addEventListener("abort", () => {
            stopped.say(String(extra.signal.reason))
            resolve(output([]))
          })
        })
      })
    })
    return Effect.gen(function*() {
      const { handle } = yield* TaskManager
      const task = yield* start("s__hang")
      yield* began.said
      yield* handle.cancel(task)
      assert.include(yield* stopped.said, "cancelled")
      assert.strictEqual((yield* endOf(task)).tag, "Cancelled")
    }).pipe(Effect.provide(world({ servers: [server] })))
  })

  it.live("has the tools that its servers have", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* specNames, ["one__a", "two__a"])
    }).pipe(Effect.provide(world({
      servers: ["one", "two"].map((name) => inMemory(name, (mcp) => void mcp.registerTool("a", {}, () => output([]))))
    }))))
})

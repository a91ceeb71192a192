import { FileSystem, KeyValueStore } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { SystemError } from "@effect/platform/Error"
import { describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Option } from "effect"
import {
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerConfig,
  TaskManagerLive,
  ToolError,
  ToolExecutor,
  ToolOutput
} from "effect-task-manager"
import { ResultStore, ResultStoreError } from "effect-task-manager/ai"
import { assert } from "vitest"
import { call, callOf, next } from "../../support/toolkit.js"

const id = (name: string) => TaskId.make(name)

const stores = {
  layerMemory: (maxBytes: number) => ResultStore.layerMemory({ maxBytes }),
  layerKeyValueStore: (maxBytes: number) =>
    ResultStore.layerKeyValueStore({ maxBytes }).pipe(Layer.provide(KeyValueStore.layerMemory))
}

for (const [name, make] of Object.entries(stores)) {
  describe(name, () => {
    it.effect("reads what was saved, whole and in ranges between characters", () =>
      Effect.gen(function*() {
        const store = yield* ResultStore
        yield* store.save(id("a"), "ab€d")
        assert.deepStrictEqual(
          yield* store.read(id("a"), {}),
          Option.some({ text: "ab€d", start: 0, end: 6, total: 6 })
        )
        assert.deepStrictEqual(
          yield* store.read(id("a"), { start: 3, maxBytes: 3 }),
          Option.some({ text: "d", start: 5, end: 6, total: 6 })
        )
        assert.deepStrictEqual(
          yield* store.read(id("a"), { maxBytes: 4 }),
          Option.some({ text: "ab", start: 0, end: 2, total: 6 })
        )
        assert.isTrue(Option.isNone(yield* store.read(id("b"), {})))
      }).pipe(Effect.provide(make(100))))

    it.effect("forgets the oldest beyond its size", () =>
      Effect.gen(function*() {
        const store = yield* ResultStore
        const kept = Effect.map(
          Effect.forEach(["a", "b", "c"], (one) => store.read(id(one), {})),
          (all) => all.map(Option.isSome)
        )
        yield* store.save(id("a"), "x".repeat(40))
        yield* store.save(id("b"), "x".repeat(60))
        assert.deepStrictEqual(yield* kept, [true, true, false])
        yield* store.save(id("c"), "x")
        assert.deepStrictEqual(yield* kept, [false, true, true])
        yield* store.save(id("c"), "x".repeat(100))
        assert.deepStrictEqual(yield* kept, [false, false, true])
        yield* store.save(id("c"), "xy")
        yield* store.save(id("a"), "x".repeat(98))
        assert.deepStrictEqual(yield* kept, [true, false, true])
      }).pipe(Effect.provide(make(100))))

    it.effect("of a text beyond its size the newest bytes are kept, counted as they were", () =>
      Effect.gen(function*() {
        const store = yield* ResultStore
        yield* store.save(id("a"), "0123456789ABCDE")
        assert.deepStrictEqual(
          yield* store.read(id("a"), {}),
          Option.some({ text: "56789ABCDE", start: 5, end: 15, total: 15 })
        )
        assert.deepStrictEqual(
          yield* store.read(id("a"), { start: 7, maxBytes: 2 }),
          Option.some({ text: "78", start: 7, end: 9, total: 15 })
        )
      }).pipe(Effect.provide(make(10))))

    it.effect("forgets what is removed, and counts it no more", () =>
      Effect.gen(function*() {
        const store = yield* ResultStore
        yield* store.remove(id("a"))
        yield* store.save(id("a"), "x".repeat(60))
        yield* store.save(id("b"), "x".repeat(40))
        yield* store.remove(id("a"))
        assert.isTrue(Option.isNone(yield* store.read(id("a"), {})))
        yield* store.save(id("c"), "x".repeat(60))
        assert.isTrue(Option.isSome(yield* store.read(id("b"), {})))
      }).pipe(Effect.provide(make(100))))

    it.effect("keeps no text of which it may keep nothing", () =>
      Effect.gen(function*() {
        const store = yield* ResultStore
        yield* store.save(id("a"), "text")
        assert.isTrue(Option.isNone(yield* store.read(id("a"), {})))
      }).pipe(Effect.provide(make(0))))

    it.effect("a task with the id of a forgotten one never has that one's text", () => {
      const request = (session: string, tool: string) => callOf(tool, null, { session })
      const long = "x".repeat(5000)
      const tools = ToolExecutor.fromHandlers({
        secret: () => Effect.succeed(`secret ${long}`),
        fail: () => new ToolError({ reason: "Unavailable", toolName: "fail", message: long })
      })
      return Effect.gen(function*() {
        const manager = yield* TaskManager
        const store = yield* ResultStore
        const launch = (session: string, tool: string) =>
          Effect.gen(function*() {
            yield* manager.startTask(
              TaskLaunchRequest.plain({ request: request(session, tool), taskId: id("reused") })
            )
            yield* next(request(session, tool))
          })
        yield* launch("one", "secret")
        assert.include(Option.getOrThrow(yield* store.read(id("reused"), {})).text, "secret")
        yield* launch("two", "fail")
        assert.isTrue(Option.isNone(yield* store.read(id("reused"), {})))
      }).pipe(
        Effect.provide(
          Layer.merge(ResultStore.executor(tools), TaskManagerLive).pipe(
            Layer.provide(TaskManagerConfig.layer({ maxResultBytes: 2048, historyLimit: 0 })),
            Layer.provideMerge(make(100_000))
          )
        )
      )
    })

    it.effect("a wrong size makes the layer die", () =>
      Effect.gen(function*() {
        for (const size of [-1, 1.5, Number.NaN]) {
          const exit = yield* Effect.exit(Layer.build(make(size)))
          assert.include(String(exit), "maxBytes of a result store must be an integer from 0")
        }
      }).pipe(Effect.scoped))
  })
}

describe("layerKeyValueStore", () => {
  const map = (backing: Map<string, string | Uint8Array>, fails = () => false) =>
    Layer.succeed(
      KeyValueStore.KeyValueStore,
      KeyValueStore.make({
        get: (key) => Effect.sync(() => Option.map(Option.fromNullable(backing.get(key)), String)),
        getUint8Array: () => Effect.succeedNone,
        set: (key, value) => fails() ? Effect.die("full") : Effect.sync(() => void backing.set(key, value)),
        remove: (key) => Effect.sync(() => void backing.delete(key)),
        clear: Effect.sync(() => backing.clear()),
        size: Effect.sync(() => backing.size)
      })
    )

  it.effect("removes what an earlier process left, and nothing else", () =>
    Effect.gen(function*() {
      const backing = new Map<string, string | Uint8Array>([["mine", "x"]])
      const layer = ResultStore.layerKeyValueStore({ maxBytes: 100 }).pipe(Layer.provide(map(backing)))
      yield* Effect.provide(Effect.flatMap(ResultStore, (store) => store.save(id("task-1"), "secret")), layer)
      assert.include([...backing.values()], "secret")
      const found = yield* Effect.provide(Effect.flatMap(ResultStore, (store) => store.read(id("task-1"), {})), layer)
      assert.isTrue(Option.isNone(found))
      assert.notInclude([...backing.values()], "secret")
      assert.strictEqual(backing.get("mine"), "x")
    }))

  it.effect("keeps no more in the store than it may", () =>
    Effect.gen(function*() {
      const backing = new Map<string, string | Uint8Array>()
      const store = yield* Effect.provide(
        ResultStore,
        ResultStore.layerKeyValueStore({ maxBytes: 1000 }).pipe(Layer.provide(map(backing)))
      )
      for (let at = 0; at < 50; at++) yield* store.save(id(`task-${at}`), "x".repeat(300))
      assert.strictEqual(backing.size, 3 + 1)
    }))

  it.effect("keeps nothing in the store of texts of which it may keep nothing", () =>
    Effect.gen(function*() {
      const backing = new Map<string, string | Uint8Array>()
      const store = yield* Effect.provide(
        ResultStore,
        ResultStore.layerKeyValueStore({ maxBytes: 0 }).pipe(Layer.provide(map(backing)))
      )
      for (let at = 0; at < 50; at++) yield* store.save(id(`task-${at}`), "text")
      assert.isAtMost(backing.size, 1)
    }))

  it.effect("does not read what could not be removed", () =>
    Effect.gen(function*() {
      const backing = new Map<string, string | Uint8Array>()
      let isBroken = false
      const failing = new SystemError({ module: "KeyValueStore", method: "remove", reason: "Busy" })
      const broken = Layer.map(map(backing), (context) => {
        const store = Context.get(context, KeyValueStore.KeyValueStore)
        return Context.make(KeyValueStore.KeyValueStore, {
          ...store,
          remove: (key) => Effect.suspend(() => isBroken ? failing : store.remove(key))
        })
      })
      const store = yield* Effect.provide(
        ResultStore,
        ResultStore.layerKeyValueStore({ maxBytes: 100 }).pipe(Layer.provide(broken))
      )
      yield* store.save(id("a"), "old")
      isBroken = true
      const error = yield* Effect.flip(store.remove(id("a")))
      assert.strictEqual(error.message, "The result store could not remove")
      assert.isTrue(Option.isNone(yield* store.read(id("a"), {})))
      isBroken = false
      yield* store.save(id("a"), "new")
      assert.strictEqual(Option.getOrThrow(yield* store.read(id("a"), {})).text, "new")
      assert.notInclude([...backing.values()], "old")
    }))

  it.scoped("keeps the text of any id in files", () =>
    Effect.gen(function*() {
      const files = yield* FileSystem.FileSystem
      const directory = yield* files.makeTempDirectoryScoped()
      const layer = ResultStore.layerKeyValueStore({ maxBytes: 1_000 }).pipe(
        Layer.provide(KeyValueStore.layerFileSystem(directory))
      )
      const ids = [
        "x".repeat(5_000),
        "\ud800",
        "\udc00\ud800",
        "../../etc/passwd",
        "/etc/passwd",
        "a/b",
        "a%2Fb",
        ".",
        "..",
        "CON",
        "nul\u0000",
        "line\nbreak",
        "\u20ac",
        "__proto__",
        "index"
      ].map(id)
      const store = yield* Effect.provide(ResultStore, layer)
      for (const [index, one] of ids.entries()) yield* store.save(one, `text ${index}`)
      for (const [index, one] of ids.entries()) {
        assert.strictEqual(Option.getOrThrow(yield* store.read(one, {})).text, `text ${index}`, one)
      }
      yield* store.save(ids[0]!, "new")
      assert.strictEqual(Option.getOrThrow(yield* store.read(ids[0]!, {})).text, "new")
      yield* store.remove(ids[1]!)
      assert.isTrue(Option.isNone(yield* store.read(ids[1]!, {})))
      // all of it in the directory, the index included
      assert.strictEqual((yield* files.readDirectory(directory)).length, ids.length)
      // and another process finds nothing of it
      const next = yield* Effect.provide(ResultStore, layer)
      for (const one of ids) assert.isTrue(Option.isNone(yield* next.read(one, {})))
      assert.strictEqual((yield* files.readDirectory(directory)).length, 1)
    }).pipe(Effect.provide(NodeContext.layer)))

  it.effect("an old text that cannot be removed keeps no other", () =>
    Effect.gen(function*() {
      const backing = new Map<string, string | Uint8Array>()
      const layer = ResultStore.layerKeyValueStore({ maxBytes: 100 }).pipe(
        Layer.provide(Layer.map(map(backing), (context) => {
          const store = Context.get(context, KeyValueStore.KeyValueStore)
          return Context.make(KeyValueStore.KeyValueStore, {
            ...store,
            remove: (key) => key.endsWith("bad") ? Effect.dieMessage("no such name") : store.remove(key)
          })
        }))
      )
      backing.set("effect-task-manager/results/index", JSON.stringify(["bad", "task/task-1"]))
      backing.set("effect-task-manager/results/task/task-1", "old")
      yield* Effect.provide(ResultStore, layer)
      assert.notInclude([...backing.values()], "old")
    }))

  it.effect("a damaged index counts as none", () =>
    Effect.gen(function*() {
      const backing = new Map<string, string | Uint8Array>([["effect-task-manager/results/index", "{"]])
      const layer = ResultStore.layerKeyValueStore({ maxBytes: 100 }).pipe(Layer.provide(map(backing)))
      yield* Effect.provide(Effect.flatMap(ResultStore, (store) => store.save(id("a"), "x")), layer)
    }))
})

describe("executor", () => {
  const big = "x".repeat(3000)
  const answers: Record<string, unknown> = {
    short: "short",
    text: big,
    json: { value: big },
    parts: ToolOutput.Parts({
      parts: [{ _tag: "Text", text: big }, { _tag: "Media", mediaType: "image/png", data: "AAAA" }]
    })
  }
  const tools = ToolExecutor.fromHandlers({
    answer: (request) => Effect.succeed(answers[String(request.input)]),
    fail: () => new ToolError({ reason: "Unavailable", toolName: "fail", message: big })
  })

  const saved = (store: (text: string) => Effect.Effect<void, ResultStoreError>) =>
    ResultStore.executor(tools).pipe(
      Layer.provide(Layer.succeed(ResultStore, {
        save: (_, text) => store(text),
        read: () => Effect.succeedNone,
        remove: () => Effect.void
      })),
      Layer.merge(TaskManagerLive),
      Layer.provide(TaskManagerConfig.layer({ maxResultBytes: 2048 }))
    )

  it.effect("saves what will be cut, as text, and nothing else", () => {
    const texts: Array<string> = []
    return Effect.gen(function*() {
      for (const name of Object.keys(answers)) yield* call(callOf("answer", name, { callId: name, turn: name }))
      yield* call(callOf("fail", null))
      assert.deepStrictEqual(texts, [big, JSON.stringify({ value: big }), `${big}\n[a file: image/png]`])
    }).pipe(Effect.provide(saved((text) => Effect.sync(() => void texts.push(text)))))
  })

  it.effect("a store that dies takes no result with it", () =>
    Effect.gen(function*() {
      assert.match(yield* call(callOf("answer", "text")), /bytes cut/)
    }).pipe(Effect.provide(saved(() => Effect.die(new URIError("malformed"))))))

  it.effect("a store of which a part dies and interrupts another takes no result with it", () =>
    Effect.gen(function*() {
      assert.match(yield* call(callOf("answer", "text")), /bytes cut/)
    }).pipe(
      Effect.provide(saved(() => Effect.all([Effect.never, Effect.die("broken")], { concurrency: 2, discard: true })))
    ))

  it.effect("a result that cannot be saved is a result all the same", () =>
    Effect.gen(function*() {
      assert.match(yield* call(callOf("answer", "text")), /bytes cut/)
    }).pipe(Effect.provide(saved(() => new ResultStoreError({ operation: "save", cause: "full" })))))
})

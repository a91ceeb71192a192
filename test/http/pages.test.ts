/** Lists of tasks, page by page, and what the server says of itself. */
import { OpenApi } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { SessionId, TaskManager } from "effect-task-manager"
import { TaskManagerApi } from "effect-task-manager/http"
import { start, withServer, type World } from "./support.js"

/** All pages of a query, as the ids of their tasks. */
const pages = (world: World, query: string) =>
  Effect.gen(function*() {
    const found: Array<ReadonlyArray<string>> = []
    let cursor: string | undefined = undefined
    do {
      const path: string = `/api/tasks?${query}${cursor === undefined ? "" : `&cursor=${cursor}`}`
      const { json, status, text } = yield* world.ask(path)
      assert.strictEqual(status, 200, text)
      found.push(json.tasks.map(({ id }: { readonly id: string }) => id))
      cursor = json.next
    } while (cursor !== undefined)
    return found
  })

const flat = (world: World, query: string) => Effect.map(pages(world, query), (all) => all.flat())

describe("pages of tasks", () => {
  it.live("show each task once, the live ones first, the newest first", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const settled: Array<string> = []
        for (let at = 0; at < 23; at++) settled.unshift(yield* start(`done-${at}`, "echo"))
        yield* (yield* TaskManager).handle.waitForIdle
        const live: Array<string> = []
        for (let at = 0; at < 11; at++) live.push(yield* start(`live-${at}`, "hang"))
        for (const limit of [1, 5, 11, 100]) {
          const all = yield* pages(world, `limit=${limit}`)
          assert.isTrue(all.every(({ length }) => length <= limit))
          const ids = all.flat()
          assert.deepStrictEqual(ids.slice(11), settled, String(limit))
          assert.sameMembers(ids.slice(0, 11), live)
        }
        // a task that settles meanwhile is not missing
        const first = yield* world.ask("/api/tasks?limit=5")
        const seen = new Set(first.json.tasks.map(({ id }: any) => id))
        const { handle } = yield* TaskManager
        yield* Effect.forEach(yield* handle.listRunning, ({ id }) => handle.cancel(id))
        let next = first.json.next
        while (next !== undefined) {
          const page = yield* world.ask(`/api/tasks?limit=5&cursor=${next}`)
          for (const { id } of page.json.tasks) seen.add(id)
          next = page.json.next
        }
        assert.strictEqual(seen.size, 34)
      })
    ))

  it.live("have the tasks that a filter means, and no others", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const other = SessionId.make("other")
        const a = yield* start("call-a", "echo")
        const b = yield* start("call-b", "echo", {}, { background: true })
        const c = yield* start("call-c", "write", "x", {}, other)
        const d = yield* start("call-d", "ask")
        yield* Effect.forEach(Array.from({ length: 40 }, (_, at) => at), (at) => start(`many-${at}`, "echo"))
        const one = (query: string) => flat(world, `${query}&limit=7`)
        assert.deepStrictEqual(yield* one("status=Running&status=Suspended"), [d, c])
        assert.deepStrictEqual(yield* one("kind=Background"), [b])
        assert.deepStrictEqual(yield* one(`sessionId=${other}`), [c])
        assert.deepStrictEqual(yield* one("turnId=turn-1&tool=write"), [c])
        assert.deepStrictEqual(yield* one("callId=call-a"), [a])
        assert.deepStrictEqual(yield* one("text=CALL-&status=Completed"), [b, a])
        assert.deepStrictEqual(yield* one("text=nothing"), [])
        assert.deepStrictEqual(yield* one("lane=fast"), [])
        assert.strictEqual((yield* one("text=many")).length, 40)
        assert.strictEqual((yield* one("status=Cancelled")).length, 0)
      })
    ))

  it.live("look at no more settled tasks than a bound", () =>
    withServer(
      (world) =>
        Effect.gen(function*() {
          const found = yield* start("needle", "echo")
          for (let at = 0; at < 2_600; at++) yield* start(`hay-${at}`, "echo")
          yield* (yield* TaskManager).handle.waitForIdle
          assert.deepStrictEqual(yield* pages(world, "text=needle&limit=10"), [[], [found]])
        }),
      {},
      { config: { historyLimit: 10_000, maxUndelivered: 10_000 } }
    ))
})

describe("what the server says of itself", () => {
  it.live("is an OpenAPI 3.1 document, and a page that needs no other server", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const { json } = yield* world.ask("/api/openapi.json")
        assert.strictEqual(json.openapi, "3.1.0")
        assert.deepStrictEqual(json, JSON.parse(JSON.stringify(OpenApi.fromApi(TaskManagerApi))))
        assert.notInclude(JSON.stringify(json), "HttpApiDecodeError")
        assert.deepStrictEqual(
          json.paths["/api/tasks/{id}/cancel"].post.responses["400"].content,
          { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } }
        )
        assert.deepStrictEqual(Object.keys(json.paths["/api/tasks/{id}"].get.responses["404"].content), [
          "application/problem+json"
        ])
        assert.isDefined(json.components.schemas.Problem)
        const docs = yield* world.ask("/api/docs")
        assert.strictEqual(docs.status, 200)
        assert.match(String(docs.headers["content-security-policy"]), /^default-src 'none'/)
        assert.notMatch(docs.text, /<(script|link|img)[^>]*(src|href)="https?:/)
      })
    ))

  it.live("is who asks and what is used", () =>
    withServer(
      (world) =>
        Effect.gen(function*() {
          yield* start("call-1", "echo")
          assert.deepStrictEqual((yield* world.ask("/api/caller")).json, {
            name: "default",
            scopes: ["read", "control", "approve"],
            sessions: false,
            inputs: false
          })
          assert.strictEqual((yield* world.ask("/api/usage")).json.launches, 1)
          assert.strictEqual((yield* world.ask("/api/usage?taskId=none")).status, 404)
          assert.strictEqual((yield* world.ask("/api/usage?lane=a&sessionId=b")).status, 409)
          assert.deepStrictEqual((yield* world.ask("/api/idle")).json, { idle: true })
          assert.strictEqual((yield* world.ask("/api/sessions")).json.sessions.length, 0)
          assert.strictEqual(
            (yield* world.ask("/api/sessions", { body: { sessionId: "s" } })).json.type,
            "urn:effect-task-manager:problem:NoAgentLoop"
          )
        }),
      {},
      { config: { ledger: true } }
    ))
})

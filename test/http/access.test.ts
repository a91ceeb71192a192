/** Whoever may not get in, and what they try. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { Cause, Clock, Effect, Exit, HashMap, Layer, Logger, Redacted } from "effect"
import { TaskManager } from "effect-task-manager"
import { connect } from "node:net"
import { buildBoard } from "../../scripts/board.js"
import { type Ask, served, sessionId, start, turnId, withServer, type World } from "./support.js"

const secret = "SECRET-4711"

const isProblem = (
  answer: { readonly headers: { readonly "content-type"?: string | undefined }; readonly json: any },
  status: number,
  name: string
) => {
  assert.strictEqual(answer.headers["content-type"], "application/problem+json")
  assert.strictEqual(answer.json.status, status)
  assert.strictEqual(answer.json.type, `urn:effect-task-manager:problem:${name}`)
}

const refused = (world: World, path: string, ask: Ask, status: number, name: string) =>
  Effect.map(world.ask(path, ask), (answer) => {
    assert.strictEqual(answer.status, status, `${path} ${answer.text}`)
    isProblem(answer, status, name)
    assert.notInclude(answer.text, secret)
    return answer
  })

describe("without a token", () => {
  // a clone has no files of the page before something makes them
  beforeAll(() => buildBoard("src"))

  it.live("there is nothing but the files of the page and the way in", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const id = yield* start("call-1", "hang")
        const everything = [
          ["GET", "/api/caller"],
          ["GET", "/api/tasks"],
          ["GET", `/api/tasks/${id}`],
          ["GET", `/api/tasks/${id}/output/stream`],
          ["GET", `/api/tasks/${id}/input`],
          ["GET", "/api/events"],
          ["GET", "/api/events/shared"],
          ["HEAD", "/api/events/shared"],
          ["POST", "/api/events/shared"],
          ["POST", "/api/turns/next"],
          ["POST", "/api/turns/keep"],
          ["POST", "/api/turns/end"],
          ["GET", "/api/approvals"],
          ["GET", "/api/sessions"],
          ["GET", "/api/sessions/one/events"],
          ["POST", "/api/sessions/one/messages"],
          ["GET", "/api/docs"],
          ["GET", "/api/openapi.json"],
          ["GET", "/nothing"],
          ["HEAD", "/api/tasks"],
          ["PUT", `/api/tasks/${id}/priority`],
          ["POST", `/api/tasks/${id}/cancel`],
          ["POST", `/api/approvals/${id}/answer`],
          ["DELETE", "/api/tasks"],
          ["OPTIONS", "/api/tasks"]
        ] as const
        for (const token of [null, "", "wrong", world.token.slice(1), `${world.token}0`]) {
          for (const [method, path] of everything) {
            const answer = yield* world.ask(path, {
              method,
              token,
              ...(method === "POST" || method === "PUT" ? { body: {} } : {})
            })
            assert.strictEqual(answer.status, 401, `${method} ${path}`)
            if (method !== "HEAD") isProblem(answer, 401, "Unauthorized")
          }
        }
        // in no other place than the header
        yield* refused(world, `/api/tasks?token=${world.token}`, { token: null }, 401, "Unauthorized")
        const { handle } = yield* TaskManager
        assert.strictEqual((yield* handle.get(id)).status, "Running")
        assert.strictEqual((yield* world.ask("/", { token: null })).status, 200)
      })
    ))

  it.live("other ways of writing a path lead to nothing more", () =>
    withServer((world) =>
      Effect.gen(function*() {
        for (
          const path of [
            "//api/tasks",
            "/api//tasks",
            "/board/../api/tasks",
            "/board/%2e%2e/api/tasks",
            "/%61pi/tasks",
            "/board/..%2fapi/tasks",
            "/API/tasks"
          ]
        ) {
          const { status, text } = yield* world.ask(path, { token: null })
          assert.oneOf(status, [401, 404], path)
          assert.notInclude(text, "tasks\":")
        }
      })
    ))
})

describe("scopes", () => {
  const tokens = (["read", "control", "approve"] as const).map((scope) => ({
    name: scope,
    token: Redacted.make(`token-of-${scope}-0123456789`),
    scopes: [scope]
  }))

  it.live("each allows what it says and nothing else", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const id = yield* start("call-1", "hang")
        const asking = yield* start("call-2", "ask")
        const consumer = "a consumer"
        const calls: Record<(typeof tokens)[number]["name"], ReadonlyArray<readonly [path: string, ask: Ask]>> = {
          read: [
            ["/api/tasks", {}],
            ["/api/sessions/none/events", {}],
            ["/api/events/shared", { body: { stream: "none", open: [], close: [] } }]
          ],
          control: [
            [`/api/tasks/${id}/cancel`, { body: {} }],
            ["/api/turns/next", { body: { consumer, turn: { sessionId, turnId }, number: 2 } }],
            ["/api/turns/keep", { body: { consumer } }],
            ["/api/turns/end", { body: { consumer, number: 2 } }]
          ],
          approve: [[`/api/approvals/${asking}/answer`, { body: { asking: "none", answer: "approve" } }]]
        }
        for (const has of ["read", "control", "approve"] as const) {
          for (const needs of ["read", "control", "approve"] as const) {
            for (const [path, ask] of calls[needs]) {
              const answer = yield* world.ask(path, { ...ask, token: `token-of-${has}-0123456789` })
              if (has === needs) assert.notInclude([401, 403], answer.status, path)
              else isProblem(answer, 403, "MissingScope")
            }
          }
        }
        const { handle } = yield* TaskManager
        assert.strictEqual((yield* handle.get(asking)).status, "Suspended")
      }), { tokens }))
})

describe("pages of others", () => {
  it.live("under a name that was bound to this address: refused by Host", () =>
    withServer((world) =>
      Effect.gen(function*() {
        for (
          const host of [
            "evil.example",
            "evil.example:80",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "0.0.0.0"
          ]
        ) {
          yield* refused(world, "/api/tasks", { headers: { host } }, 421, "UnknownHost")
          yield* refused(world, "/", { headers: { host }, token: null }, 421, "UnknownHost")
          yield* refused(
            world,
            "/login",
            { headers: { host }, token: null, body: { token: world.token } },
            421,
            "UnknownHost"
          )
        }
        for (const host of ["localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]:99"]) {
          assert.strictEqual((yield* world.ask("/api/tasks", { headers: { host } })).status, 200, host)
        }
      })
    ))

  it.live("of another origin, also with the cookie of the page: refused by Origin", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const id = yield* start("call-1", "hang")
        const login = yield* world.ask("/login", { token: null, body: { token: world.token } })
        const cookie = String(login.headers["set-cookie"]?.[0]?.split(";")[0])
        const own = world.url
        for (
          const origin of [
            "http://evil.example",
            "null",
            "http://127.0.0.1:1",
            "https://127.0.0.1.evil.example",
            "file://"
          ]
        ) {
          for (const token of [null, undefined]) {
            const ask = { headers: { origin, cookie }, ...(token === null ? { token } : {}) }
            yield* refused(world, "/api/tasks", ask, 403, "ForeignOrigin")
            yield* refused(world, "/api/events", ask, 403, "ForeignOrigin")
            yield* refused(world, `/api/tasks/${id}/cancel`, { ...ask, body: {} }, 403, "ForeignOrigin")
            yield* refused(world, "/login", { ...ask, body: { token: world.token } }, 403, "ForeignOrigin")
            const preflight = yield* world.ask("/api/tasks", {
              ...ask,
              method: "OPTIONS",
              headers: { ...ask.headers, "access-control-request-method": "POST" }
            })
            assert.strictEqual(preflight.status, 403)
            assert.isUndefined(preflight.headers["access-control-allow-origin"])
          }
        }
        // a script, an image or a form of another page of this machine brings the cookie, and no Origin
        for (const site of ["cross-site", "same-site"]) {
          yield* refused(
            world,
            "/api/tasks",
            { token: null, headers: { cookie, "sec-fetch-site": site } },
            403,
            "ForeignOrigin"
          )
        }
        // a cookie alone changes nothing: who asks has to be known
        yield* refused(
          world,
          `/api/tasks/${id}/cancel`,
          { token: null, body: {}, headers: { cookie } },
          401,
          "Unauthorized"
        )
        const { handle } = yield* TaskManager
        assert.strictEqual((yield* handle.get(id)).status, "Running")
        assert.strictEqual(
          (yield* world.ask(`/api/tasks/${id}/cancel`, { token: null, body: {}, headers: { cookie, origin: own } }))
            .status,
          204
        )
      })
    ))

  it.live("that are listed are let in with a token, and not with a cookie", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const origin = "https://admin.example"
        const login = yield* world.ask("/login", { token: null, body: { token: world.token } })
        const cookie = String(login.headers["set-cookie"]?.[0]?.split(";")[0])
        const answer = yield* world.ask("/api/tasks", { headers: { origin } })
        assert.strictEqual(answer.headers["access-control-allow-origin"], origin)
        assert.isUndefined(answer.headers["access-control-allow-credentials"])
        const preflight = yield* world.ask("/api/tasks", { token: null, method: "OPTIONS", headers: { origin } })
        assert.strictEqual(preflight.status, 204)
        assert.strictEqual(preflight.headers["access-control-allow-origin"], origin)
        yield* refused(world, "/api/tasks", { token: null, headers: { origin, cookie } }, 401, "Unauthorized")
        yield* refused(world, "/api/tasks", { headers: { origin: "https://other.example" } }, 403, "ForeignOrigin")
      }), { origins: ["https://admin.example"] }))
})

describe("the cookie of the page", () => {
  it.live("is SameSite=Strict and HttpOnly, and lets the page in", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const { headers, status } = yield* world.ask("/login", { token: null, body: { token: world.token } })
        assert.strictEqual(status, 204)
        const [cookie = ""] = headers["set-cookie"] ?? []
        assert.match(cookie, /^effect-task-manager-\d+=/)
        assert.match(cookie, /; HttpOnly/i)
        assert.match(cookie, /; SameSite=Strict/i)
        assert.notInclude(cookie, world.token)
        const pair = cookie.split(";")[0] ?? ""
        assert.strictEqual((yield* world.ask("/api/tasks", { token: null, headers: { cookie: pair } })).status, 200)
        // neither longer nor with another signature
        const [name = "", value = ""] = pair.split("=")
        const [until, signature = ""] = value.split(".")
        for (
          const forged of [
            `${Number(until) + 1}.${signature}`,
            `${until}.${signature.slice(1)}`,
            `${until}.`,
            "",
            "1.x",
            world.token
          ]
        ) {
          yield* refused(
            world,
            "/api/tasks",
            { token: null, headers: { cookie: `${name}=${forged}` } },
            401,
            "Unauthorized"
          )
        }
      })
    ))

  it.live("comes of the printed address once", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const token = new URL(world.pageUrl).hash.slice("#token=".length)
        assert.notStrictEqual(token, world.token)
        assert.strictEqual((yield* world.ask("/login", { token: null, body: { token } })).status, 204)
        yield* refused(world, "/login", { token: null, body: { token } }, 401, "Unauthorized")
        yield* refused(world, "/api/tasks", { token }, 401, "Unauthorized")
        yield* refused(world, "/login", { token: null, body: { token: secret } }, 401, "Unauthorized")
        yield* refused(world, "/login", { token: null, body: { other: secret } }, 400, "InvalidRequest")
      })
    ))

  it.live("is no longer good once its time is over, and is given back", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const login = yield* world.ask("/login", { token: null, body: { token: world.token } })
        const cookie = String(login.headers["set-cookie"]?.[0]?.split(";")[0])
        const expires = Number(cookie.slice(cookie.indexOf("=") + 1).split(".")[0])
        yield* Effect.repeat(Clock.currentTimeMillis, { until: (now) => now > expires })
        yield* refused(world, "/api/tasks", { token: null, headers: { cookie } }, 401, "Unauthorized")
        const logout = yield* world.ask("/logout", { token: null, body: {} })
        assert.match(String(logout.headers["set-cookie"]?.[0]), /Max-Age=0/)
      }), { pageSession: 1 }))
})

describe("what is sent", () => {
  it.live("is JSON, and says so", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const id = yield* start("call-1", "hang")
        const cancel = `/api/tasks/${id}/cancel`
        for (
          const type of [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json-patch+json",
            "text/plain; application/json"
          ]
        ) {
          yield* refused(world, cancel, { body: "{}", headers: { "content-type": type } }, 415, "NoJson")
        }
        yield* refused(world, cancel, { method: "POST" }, 415, "NoJson")
        yield* refused(world, cancel, { body: `{"${secret}` }, 400, "InvalidRequest")
        const { handle } = yield* TaskManager
        assert.strictEqual((yield* handle.get(id)).status, "Running")
      })
    ))

  it.live("is not larger than the bound, whatever its head says", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const id = yield* start("call-1", "hang")
        const path = `/api/tasks/${id}/messages`
        const text = "x".repeat(1_048_576)
        yield* refused(world, path, { body: { text } }, 413, "TooLarge")
        yield* refused(world, "/login", { token: null, body: { token: text } }, 413, "TooLarge")
        // in pieces, and never to its end: the server ends the connection
        const port = Number(new URL(world.url).port)
        const answer = yield* Effect.promise(() =>
          new Promise<string>((resolve) => {
            let answer = ""
            const socket = connect(port, "127.0.0.1")
            socket.write([
              `POST ${path} HTTP/1.1`,
              "host: 127.0.0.1",
              `authorization: Bearer ${world.token}`,
              "content-type: application/json",
              "transfer-encoding: chunked",
              "",
              `${(2 * text.length).toString(16)}\r\n${text}`
            ].join("\r\n"))
            socket.write(text)
            socket.on("data", (data) => answer += String(data)).on("error", () => {}).on("close", () => resolve(answer))
          })
        )
        assert.oneOf(answer.split("\r\n")[0], ["", "HTTP/1.1 413 Payload Too Large"])
        assert.strictEqual((yield* world.ask("/api/tasks")).status, 200)
      })
    ))

  it.live("is not shown again, wherever it is wrong", () =>
    withServer((world) =>
      Effect.gen(function*() {
        const id = yield* start("call-1", "hang")
        const wrong: ReadonlyArray<readonly [path: string, ask: Ask, status: number, field: string | undefined]> = [
          [`/api/tasks/${secret}`, {}, 404, undefined],
          [`/api/tasks/${secret}/cancel`, { body: {} }, 404, undefined],
          [`/api/lanes/${secret}/concurrency`, { method: "PUT", body: { limit: 1 } }, 409, undefined],
          [`/api/sessions/${secret}`, {}, 404, undefined],
          [`/${secret}`, {}, 404, undefined],
          [`/api/tasks?status=${secret}`, {}, 400, "status.0"],
          [`/api/tasks?kind=${secret}`, {}, 400, "kind"],
          [`/api/tasks?limit=${secret}`, {}, 400, "limit"],
          [`/api/tasks?limit=1001`, {}, 400, "limit"],
          [`/api/tasks?cursor=${secret}`, {}, 400, "cursor"],
          [`/api/tasks/${id}/output?start=${secret}`, {}, 400, "start"],
          [`/api/tasks/${id}/output?start=-1`, {}, 400, "start"],
          [`/api/events?after=${secret}`, {}, 400, "after"],
          [`/api/events?from=${secret}`, {}, 400, "from"],
          ["/api/events", { headers: { "last-event-id": secret } }, 400, "last-event-id"],
          [`/api/tasks/${id}/output/stream`, { headers: { "last-event-id": secret } }, 400, "last-event-id"],
          [`/api/tasks/${id}/priority`, { method: "PUT", body: { priority: secret } }, 400, "priority"],
          [`/api/tasks/${id}/priority`, { method: "PUT", body: {} }, 400, "priority"],
          [`/api/tasks/${id}/delivery-mode`, { method: "PUT", body: { deliveryMode: secret } }, 400, "deliveryMode"],
          [`/api/tasks/${id}/messages`, { body: { text: { [secret]: secret } } }, 400, "text"],
          [`/api/tasks/${id}/messages`, { body: JSON.stringify(secret) }, 400, "the request"],
          [`/api/approvals/${id}/answer`, { body: { asking: secret, answer: secret } }, 400, "answer"],
          [`/api/approvals/${id}/answer`, { body: { asking: secret, answer: "approve" } }, 409, undefined],
          ["/api/sessions", { body: { sessionId: "" } }, 400, "sessionId"],
          ["/api/sessions", { body: { sessionId: secret } }, 404, undefined]
        ]
        for (const [path, ask, status, field] of wrong) {
          const answer = yield* world.ask(path, ask)
          assert.strictEqual(answer.status, status, `${path} ${answer.text}`)
          assert.strictEqual(answer.headers["content-type"], "application/problem+json", path)
          assert.strictEqual(answer.json.field, field, `${path} ${answer.text}`)
          assert.notInclude(answer.text, secret, path)
        }
      })
    ))
})

describe("audit", () => {
  it.live("has a line for each write and for each refusal, without a secret", () => {
    const lines: Array<Record<string, unknown>> = []
    const collecting = Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ annotations, cause, message }) => {
        lines.push({
          message: JSON.stringify(message),
          cause: Cause.pretty(cause),
          ...Object.fromEntries(HashMap.toEntries(annotations))
        })
      })
    )
    return withServer(
      (world) =>
        Effect.gen(function*() {
          const id = yield* start("call-1", "hang")
          yield* world.ask("/login", { token: null, body: { token: world.token } })
          yield* world.ask(`/api/tasks/${id}/messages`, { body: { text: secret } })
          yield* world.ask(`/api/tasks/${id}/cancel`, { body: {} })
          yield* world.ask(`/api/tasks/${id}/cancel`, { body: {}, token: secret })
          yield* world.ask("/api/tasks")
          const written = lines.filter(({ message }) => String(message).includes("A write"))
          assert.deepStrictEqual(
            written.map(({ id: of, method, route, status, token }) => [token, method, route, of, status]),
            [
              ["default", "POST", "/login", undefined, 204],
              ["default", "POST", "/api/tasks/:id/messages", id, 409],
              ["default", "POST", "/api/tasks/:id/cancel", id, 204]
            ]
          )
          assert.deepStrictEqual(
            lines.filter(({ message }) => String(message).includes("refused")).map(({ status }) => status),
            [401]
          )
          const all = JSON.stringify(lines)
          assert.notInclude(all, secret)
          assert.notInclude(all, world.token)
        }),
      {},
      { logger: collecting }
    )
  })
})

describe("where it listens", () => {
  const opened = (host: string, hosts: ReadonlyArray<string>) =>
    Effect.exit(Effect.scoped(Layer.build(served({ hosts }, { host }))))

  it.live("is loopback, unless the names are given under which it is asked", () =>
    Effect.gen(function*() {
      const exit = yield* opened("0.0.0.0", [])
      assert.isTrue(Exit.isFailure(exit) && Cause.pretty(exit.cause).includes("TaskManagerHttpOptions.hosts"))
      assert.isTrue(Exit.isSuccess(yield* opened("0.0.0.0", ["tasks.example"])))
      assert.isTrue(Exit.isSuccess(yield* opened("::1", [])))
    }))
})

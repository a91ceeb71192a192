/** The MCP server on a real socket, for clients of 2026-07-28: what a task is told as, who is let in, and what becomes of clients that go. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Option, Redacted } from "effect"
import { TaskId } from "effect-task-manager"
import { request as httpRequest } from "node:http"
import { ask, callTool, startServer, taskIn, tasksExtension, token } from "./server/support.js"

const withoutTasks = { capabilities: { elicitation: {} } }
const cannotAsk = { capabilities: { extensions: { [tasksExtension]: {} } } }

const accept = (content: Readonly<Record<string, unknown>> = {}) => ({ action: "accept", content })

describe("tools", () => {
  it.scopedLive("are listed with what a client may know of them", () =>
    Effect.gen(function*() {
      const { url } = yield* startServer()
      const { body } = yield* ask(url, "tools/list")
      const echo = body.result.tools.find(({ name }: { readonly name: string }) => name === "echo")
      assert.deepEqual(echo.annotations, { title: "Echo", readOnlyHint: true })
      assert.strictEqual(echo.description, "Gives back what it is given")
      assert.strictEqual(echo.inputSchema.type, "object")
      assert.deepEqual(Object.keys(echo.inputSchema.properties), ["text"])
      assert.isUndefined(echo.execution)
    }))

  it.scopedLive("answer with texts, data and files", () =>
    Effect.gen(function*() {
      const { url } = yield* startServer()
      const data = yield* callTool(url, "data", {}, withoutTasks)
      assert.deepEqual(data.body.result.structuredContent, { size: 3 })
      assert.deepEqual(data.body.result.content, [{ type: "text", text: "{\"size\":3}" }])
      const picture = yield* callTool(url, "picture", {}, withoutTasks)
      assert.deepEqual(picture.body.result.content, [
        { type: "text", text: "seen" },
        { type: "image", data: "aGk=", mimeType: "image/png" },
        { type: "resource", resource: { uri: "part:2", mimeType: "application/pdf", blob: "aGk=" } }
      ])
    }))

  it.scopedLive("that there are not, and arguments that are none, are refused", () =>
    Effect.gen(function*() {
      const { url } = yield* startServer()
      for (const name of ["nothing", "__proto__", "toString"]) {
        assert.strictEqual((yield* callTool(url, name)).body.error.code, -32602)
      }
      const wrong = yield* ask(url, "tools/call", { name: "echo", arguments: [] })
      assert.strictEqual(wrong.body.error.code, -32602)
      // what the tool itself does not take is for the model
      assert.isTrue((yield* callTool(url, "echo", { text: 7 })).body.result.isError)
    }))
})

describe("a task", () => {
  it.scopedLive("is working and then completed, with its result, and its progress is told", () =>
    Effect.gen(function*() {
      const { gates, manager, url } = yield* startServer()
      const created = (yield* callTool(url, "wait")).body.result
      assert.strictEqual(created.resultType, "task")
      assert.strictEqual(created.status, "working")
      assert.strictEqual(created.ttlMs, 3_600_000)
      assert.strictEqual(created.pollIntervalMs, 20)
      assert.isUndefined(created.content)
      const working = yield* taskIn(url, created.taskId, "working")
      assert.strictEqual(working.statusMessage, "halfway")
      assert.isUndefined(working.result)
      // which tells its turn, and sends its result elsewhere
      yield* manager.handle.detach(TaskId.make(created.taskId))
      yield* Deferred.succeed(gates.go, undefined)
      const completed = yield* taskIn(url, created.taskId, "completed")
      assert.deepEqual(completed.result.content, [{ type: "text", text: "done" }])
      assert.isUndefined(completed.result.isError)
      // nothing is left in a queue of the manager
      const { sessionId, turnId } = yield* manager.handle.get(TaskId.make(created.taskId))
      assert.isTrue(Option.isNone(yield* manager.waitForTurn({ sessionId, turnId }, { timeout: 0 })))
      assert.lengthOf((yield* manager.takePendingLoopUpdates(sessionId)).resolutions, 0)
    }))

  it.scopedLive("that has failed is completed with an error, also one whose tool has died, which says nothing of its cause", () =>
    Effect.gen(function*() {
      const { url } = yield* startServer()
      for (const name of ["fail", "die"]) {
        const { taskId } = (yield* callTool(url, name)).body.result
        const completed = yield* taskIn(url, taskId, "completed")
        assert.isTrue(completed.result.isError)
        assert.isUndefined(completed.error)
        assert.notInclude(JSON.stringify(completed), "secret")
      }
    }))

  it.scopedLive("that has failed as the host says the protocol does is failed", () =>
    Effect.gen(function*() {
      const { url } = yield* startServer()
      const { taskId } = (yield* callTool(url, "lost")).body.result
      const failed = yield* taskIn(url, taskId, "failed")
      assert.deepEqual(failed.error, { code: -32050, message: "It is gone." })
      assert.isUndefined(failed.result)
      assert.strictEqual((yield* callTool(url, "lost", {}, withoutTasks)).body.error.code, -32050)
    }))

  it.scopedLive("that is cancelled interrupts its tool, and nothing changes after that", () =>
    Effect.gen(function*() {
      const { gates, url } = yield* startServer()
      const { taskId } = (yield* callTool(url, "wait")).body.result
      const { body } = yield* ask(url, "tasks/cancel", { taskId })
      assert.deepEqual(Object.keys(body.result).sort(), ["_meta", "resultType"])
      yield* Deferred.await(gates.interrupted)
      const cancelled = yield* taskIn(url, taskId, "cancelled")
      yield* Deferred.succeed(gates.go, undefined)
      assert.isDefined((yield* ask(url, "tasks/cancel", { taskId })).body.result)
      assert.isDefined(
        (yield* ask(url, "tasks/update", { taskId, inputResponses: { "1": accept() } })).body.result
      )
      assert.deepEqual(yield* taskIn(url, taskId, "cancelled"), cancelled)
    }))

  it.scopedLive("waits for an approval as input that is required", () =>
    Effect.gen(function*() {
      const { url } = yield* startServer()
      const { taskId } = (yield* callTool(url, "deploy")).body.result
      const asking = yield* taskIn(url, taskId, "input_required")
      assert.deepEqual(asking.inputRequests, {
        "1": {
          method: "elicitation/create",
          params: {
            mode: "form",
            message: "Deploy to production",
            requestedSchema: { type: "object", properties: {} }
          }
        }
      })
      assert.notInclude(JSON.stringify(asking), "asking")
      yield* ask(url, "tasks/update", { taskId, inputResponses: { "2": accept(), other: accept() } })
      assert.strictEqual((yield* ask(url, "tasks/get", { taskId })).body.result.status, "input_required")
      yield* ask(url, "tasks/update", { taskId, inputResponses: { "1": accept() } })
      const completed = yield* taskIn(url, taskId, "completed")
      assert.strictEqual(completed.result.content[0].text, "deployed")
    }))

  for (const action of ["decline", "cancel"]) {
    it.scopedLive(`is not approved by the answer ${action}`, () =>
      Effect.gen(function*() {
        const { url } = yield* startServer()
        const { taskId } = (yield* callTool(url, "deploy")).body.result
        yield* taskIn(url, taskId, "input_required")
        yield* ask(url, "tasks/update", { taskId, inputResponses: { "1": { action } } })
        assert.isTrue((yield* taskIn(url, taskId, "completed")).result.isError)
      }))
  }

  it.scopedLive("asks its questions as forms, takes the answers one by one, and checks them", () =>
    Effect.gen(function*() {
      const { url } = yield* startServer()
      const { taskId } = (yield* callTool(url, "configure")).body.result
      const asking = yield* taskIn(url, taskId, "input_required")
      const schemas = Object.entries<any>(asking.inputRequests).map(([key, { params }]) => [
        key,
        params.requestedSchema.properties.answer
      ])
      assert.deepEqual(schemas.map(([key]) => key), ["1.region", "1.replicas"])
      assert.deepInclude(schemas[0]?.[1], { type: "string", enum: ["eu", "us"] })
      assert.deepInclude(schemas[1]?.[1], { type: "integer", minimum: 1, maximum: 9 })

      const update = (inputResponses: Readonly<Record<string, unknown>>) =>
        ask(url, "tasks/update", { taskId, inputResponses })
      for (const response of [accept({ answer: "mars" }), accept({}), { action: "perhaps" }, accept()]) {
        assert.strictEqual((yield* update({ "1.region": response })).body.error.code, -32602)
      }
      yield* update({ "1.region": accept({ answer: "eu" }) })
      const half = (yield* ask(url, "tasks/get", { taskId })).body.result
      assert.strictEqual(half.status, "input_required")
      assert.deepEqual(Object.keys(half.inputRequests), ["1.replicas"])
      yield* update({ "1.replicas": accept({ answer: 3 }) })
      assert.strictEqual((yield* taskIn(url, taskId, "completed")).result.content[0].text, "3 in eu")
    }))

  it.scopedLive("of a client that cannot ask its user is rejected where it asks", () =>
    Effect.gen(function*() {
      const { url } = yield* startServer()
      const { taskId } = (yield* callTool(url, "deploy", {}, cannotAsk)).body.result
      assert.isTrue((yield* taskIn(url, taskId, "completed", cannotAsk)).result.isError)
    }))

  it.scopedLive("is forgotten at the end of its time, and cancelled if it is live then", () =>
    Effect.gen(function*() {
      const { gates, url } = yield* startServer({ ttl: "300 millis" })
      const created = (yield* callTool(url, "wait")).body.result
      assert.strictEqual(created.ttlMs, 300)
      yield* Deferred.await(gates.interrupted)
      const { body } = yield* ask(url, "tasks/get", { taskId: created.taskId }).pipe(
        Effect.repeat({ until: ({ body }) => body.error !== undefined })
      )
      assert.strictEqual(body.error.code, -32602)
    }))

  it.scopedLive("is what it is, also where events of it were missed", () =>
    Effect.gen(function*() {
      const { url } = yield* startServer({}, "127.0.0.1", { eventBuffer: 1 })
      const failed = (yield* callTool(url, "burst", { end: "fail" })).body.result
      assert.isTrue((yield* taskIn(url, failed.taskId, "completed")).result.isError)
      const asking = (yield* callTool(url, "burst", { end: "ask" })).body.result
      const { inputRequests } = yield* taskIn(url, asking.taskId, "input_required")
      const inputResponses = Object.fromEntries(Object.keys(inputRequests).map((key) => [key, accept()]))
      yield* ask(url, "tasks/update", { taskId: asking.taskId, inputResponses })
      assert.strictEqual((yield* taskIn(url, asking.taskId, "completed")).result.content[0].text, "done")
    }))

  it.scopedLive("whose result the history does not keep is not found", () =>
    Effect.gen(function*() {
      const { gates, url } = yield* startServer({}, "127.0.0.1", { historyLimit: 0 })
      const { taskId } = (yield* callTool(url, "wait")).body.result
      yield* Deferred.succeed(gates.go, undefined)
      const { body } = yield* ask(url, "tasks/get", { taskId }).pipe(
        Effect.repeat({ until: ({ body }) => body.error !== undefined })
      )
      assert.strictEqual(body.error.code, -32602)
    }))

  it.scopedLive("is refused where there are too many", () =>
    Effect.gen(function*() {
      const { gates, url } = yield* startServer({ maxTasks: 1 })
      const { taskId } = (yield* callTool(url, "wait")).body.result
      assert.strictEqual((yield* callTool(url, "data", {}, withoutTasks)).body.error.code, -32603)
      yield* Deferred.succeed(gates.go, undefined)
      // its result is kept
      yield* taskIn(url, taskId, "completed")
      assert.strictEqual((yield* callTool(url, "data", {}, withoutTasks)).body.error.code, -32603)
    }))
})

describe("a call", () => {
  it.scopedLive("of a client without tasks waits until its tool has ended, and tells of progress", () =>
    Effect.gen(function*() {
      const { gates, url } = yield* startServer({ maxTasks: 1 })
      yield* Effect.forkScoped(Effect.zipRight(Deferred.await(gates.started), Deferred.succeed(gates.go, undefined)))
      const { body } = yield* callTool(url, "wait", {}, { ...withoutTasks, meta: { progressToken: "p" } })
      const messages = String(body).split("\n").filter((line) => line.startsWith("data: ")).map((line) =>
        JSON.parse(line.slice(6))
      )
      assert.deepEqual(messages[0].params, { progressToken: "p", progress: 0.5, total: 1, message: "halfway" })
      assert.strictEqual(messages.at(-1).result.content[0].text, "done")
      // and then nothing of it is kept
      assert.isDefined((yield* callTool(url, "data", {}, withoutTasks)).body.result)
    }))

  it.scopedLive("of a tool that only runs as a task is refused without tasks", () =>
    Effect.gen(function*() {
      const { url } = yield* startServer()
      const { body, status } = yield* callTool(url, "fail", {}, withoutTasks)
      assert.strictEqual(status, 400)
      assert.strictEqual(body.error.code, -32021)
      for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
        assert.strictEqual((yield* ask(url, method, { taskId: "x" }, withoutTasks)).body.error.code, -32021)
      }
    }))

  it.scopedLive("that asks is made again with the answers", () =>
    Effect.gen(function*() {
      const { url } = yield* startServer()
      for (const [name, more] of [["configure", withoutTasks], ["configure_at_once", {}]] as const) {
        const asked = (yield* callTool(url, name, {}, more)).body.result
        assert.strictEqual(asked.resultType, "input_required")
        assert.isUndefined(asked.taskId)
        const again = (fields: Readonly<Record<string, unknown>>) =>
          ask(url, "tools/call", { name, requestState: asked.requestState, ...fields }, more)
        const region = { "1.region": accept({ answer: "us" }) }
        assert.strictEqual((yield* again({ name: "data", inputResponses: region })).body.error.code, -32602)
        assert.strictEqual((yield* again({ requestState: "guessed", inputResponses: region })).body.error.code, -32602)
        // it is no task
        const { error } = (yield* ask(url, "tasks/get", { taskId: asked.requestState })).body
        assert.strictEqual(error.code, -32602)
        const next = (yield* again({ inputResponses: region })).body.result
        if (name === "configure_at_once") {
          assert.strictEqual(next.content[0].text, "in us")
          continue
        }
        assert.deepEqual(Object.keys(next.inputRequests), ["1.replicas"])
        const last = (yield* again({ inputResponses: { "1.replicas": accept({ answer: 2 }) } })).body.result
        assert.strictEqual(last.content[0].text, "2 in us")
      }
    }))

  it.scopedLive("whose client goes interrupts its tool, and nothing of it is kept", () =>
    Effect.gen(function*() {
      const { gates, manager, url } = yield* startServer({ maxTasks: 1 })
      const controller = new AbortController()
      const waiting = yield* callTool(url, "wait", {}, { ...withoutTasks, signal: controller.signal }).pipe(
        Effect.exit,
        Effect.fork
      )
      yield* Deferred.await(gates.started)
      controller.abort()
      yield* Deferred.await(gates.interrupted)
      assert.strictEqual((yield* waiting.await)._tag, "Success")
      yield* manager.handle.waitForIdle
      const { body } = yield* callTool(url, "data", {}, withoutTasks).pipe(
        Effect.repeat({ until: ({ body }) => body.result !== undefined })
      )
      assert.isDefined(body.result)
    }))
})

describe("nobody is let in", () => {
  /** `fetch` does not send a `Host` of one's own. */
  const withHeaders = (port: number, headers: Record<string, string>) =>
    Effect.async<number | undefined>((resume) => {
      const request = httpRequest({ host: "127.0.0.1", port, path: "/mcp", method: "POST", headers }, (response) => {
        response.resume().on("end", () => resume(Effect.succeed(response.statusCode)))
      })
      request.end("{}")
    })

  it.scopedLive("by another name, from a page, and without the token", () =>
    Effect.gen(function*() {
      const { port, url } = yield* startServer({ origins: ["https://chat.example"] })
      const good = { authorization: `Bearer ${token}`, "content-type": "application/json", host: `localhost:${port}` }
      assert.strictEqual(yield* withHeaders(port, good), 400)
      for (const host of ["evil.example", `evil.example:${port}`, "localhost.evil.example"]) {
        assert.strictEqual(yield* withHeaders(port, { ...good, host }), 403)
      }
      for (const origin of ["https://evil.example", "null", `http://localhost:${port}`, "https://chat.example.evil"]) {
        assert.strictEqual(yield* withHeaders(port, { ...good, origin }), 403)
      }
      assert.strictEqual(yield* withHeaders(port, { ...good, origin: "https://chat.example" }), 400)
      for (const wrong of [undefined, "", "x", `${token}x`, token.slice(1)]) {
        const { headers, status } = yield* ask(url, "tools/list", {}, { token: wrong })
        assert.strictEqual(status, 401)
        assert.strictEqual(headers.get("www-authenticate"), "Bearer")
      }
      assert.strictEqual(yield* withHeaders(port, { ...good, authorization: `Basic ${token}` }), 401)
    }))

  it.scopedLive("but a page of an origin that is, whose browser asks first", () =>
    Effect.gen(function*() {
      const page = "https://chat.example"
      const { url } = yield* startServer({ origins: [page, "https://other.example"] })
      const preflight = (origin: string) =>
        Effect.promise(() =>
          fetch(url, {
            method: "OPTIONS",
            headers: {
              origin,
              "access-control-request-method": "POST",
              "access-control-request-headers": "authorization,content-type,mcp-session-id"
            }
          })
        )
      const { headers, status } = yield* preflight(page)
      assert.strictEqual(status, 204)
      assert.strictEqual(headers.get("access-control-allow-origin"), page)
      assert.include(headers.get("access-control-allow-headers"), "authorization")
      assert.isNull((yield* preflight("https://evil.example")).headers.get("access-control-allow-origin"))
      const told = yield* ask(url, "tools/list", {}, { headers: { origin: page } })
      assert.strictEqual(told.headers.get("access-control-allow-origin"), page)
      assert.include(told.headers.get("access-control-expose-headers"), "mcp-session-id")
      assert.strictEqual(told.status, 200)
    }))

  it.scopedLive("without a token that was made, which is said once", () =>
    Effect.gen(function*() {
      const said: Array<string> = []
      const console = yield* Effect.console
      const listening = {
        ...console,
        error: (...words: ReadonlyArray<unknown>) => Effect.sync(() => said.push(words.join(" ")))
      }
      const { url } = yield* startServer({ token: undefined }).pipe(
        Effect.withConsole({ ...listening } as typeof console)
      )
      assert.lengthOf(said, 1)
      const made = /^The bearer token of the MCP server is ([0-9a-f]{32})$/.exec(said[0] ?? "")?.[1]
      assert.strictEqual((yield* ask(url, "tools/list", {}, { token: made })).status, 200)
      assert.strictEqual((yield* ask(url, "tools/list")).status, 401)
    }))

  it.scopedLive("from other machines, unless it is said under which names", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(startServer({}, "0.0.0.0"))
      assert.include(String(Exit.isFailure(exit) && Cause.squash(exit.cause)), "reached by other machines")
      const { port, url } = yield* startServer({ hosts: ["mcp.example"] }, "0.0.0.0")
      assert.strictEqual((yield* ask(url, "tools/list")).status, 403)
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", host: "mcp.example" }
      assert.strictEqual(yield* withHeaders(port, headers), 400)
    }))

  it.live("with options that are out of range", () =>
    Effect.gen(function*() {
      for (
        const wrong of [
          { maxTasks: 0 },
          { ttl: -1 },
          { pollInterval: 0 },
          { maxBodyBytes: 0 },
          { maxSessions: 1.5 },
          { sessionIdle: 0 },
          { token: Redacted.make("") },
          { token: Redacted.make("two words") },
          { token: {} },
          { token: { one: Redacted.make("two_words"), other: Redacted.make("two_words") } }
        ]
      ) {
        const exit = yield* Effect.exit(Effect.scoped(startServer(wrong)))
        const told = String(Exit.isFailure(exit) && Cause.squash(exit.cause))
        assert.match(told, /Mcp(Server|Http)Options\.\w+ takes/)
        assert.notMatch(told, /two.words/)
      }
    }))

  it.scopedLive("to the tasks of another client", () =>
    Effect.gen(function*() {
      const { url } = yield* startServer({ token: { one: Redacted.make("1"), other: Redacted.make("2") } })
      const { taskId } = (yield* callTool(url, "deploy", {}, { token: "1" })).body.result
      yield* taskIn(url, taskId, "input_required", { token: "1" })
      const params = { taskId, inputResponses: { "1": accept() } }
      for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
        assert.deepEqual((yield* ask(url, method, params, { token: "2" })).body.error, {
          code: -32602,
          message: "Failed to retrieve task: Task not found"
        })
      }
      assert.strictEqual(
        (yield* ask(url, "tasks/get", { taskId }, { token: "1" })).body.result.status,
        "input_required"
      )
      const { requestState } = (yield* callTool(url, "configure_at_once", {}, { token: "1" })).body.result
      const stolen = { name: "configure_at_once", requestState, inputResponses: {} }
      assert.strictEqual((yield* ask(url, "tools/call", stolen, { token: "2" })).body.error.code, -32602)
    }))

  it.scopedLive("with bodies that are not a request", () =>
    Effect.gen(function*() {
      const { url } = yield* startServer({ maxBodyBytes: 10_000 })
      const post = (body: string | ReadableStream, headers: Record<string, string> = {}) =>
        Effect.promise(async () => {
          const response = await fetch(url, {
            method: "POST",
            headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...headers },
            body,
            // a body whose length is not said before
            ...(body instanceof ReadableStream ? { duplex: "half" } : {})
          } as RequestInit)
          await response.text()
          return response.status
        })
      assert.strictEqual(yield* post("{"), 400)
      assert.strictEqual(yield* post("7"), 400)
      assert.strictEqual(yield* post("{}", { "content-type": "text/plain" }), 415)
      assert.strictEqual(yield* post(JSON.stringify("x".repeat(20_000))), 413)
      let pieces = 0
      const long = new ReadableStream({
        pull: (controller) => pieces++ < 10 ? controller.enqueue(new Uint8Array(5_000)) : controller.close()
      })
      assert.strictEqual(yield* post(long), 413)
      assert.strictEqual((yield* ask(url, "tasks/get", { taskId: "nothing" })).body.error.code, -32602)
      assert.strictEqual((yield* ask(url, "tasks/get")).body.error.code, -32602)
      assert.strictEqual((yield* ask(url, "tasks/list")).body.error.code, -32601)
      assert.strictEqual(
        (yield* ask(url, "tools/call", {}, { headers: { "mcp-name": "echo" } })).body.error.code,
        -32602
      )
      assert.strictEqual((yield* ask(`${url}/other`, "tools/list")).status, 404)
    }))
})

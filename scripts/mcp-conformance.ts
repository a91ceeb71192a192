/** Runs the task scenarios of the official MCP conformance suite against a server on a socket: `npm run mcp-conformance`. */
import { HttpMiddleware, HttpServer, HttpServerRequest } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Redacted } from "effect"
import { McpServer } from "effect-task-manager/mcp"
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { conformanceOptions, ConformanceTools } from "../test/mcp/server/conformanceTools.js"

const scenarios = [
  "tasks-lifecycle",
  "tasks-capability-negotiation",
  "tasks-wire-fields",
  "tasks-request-state-removal",
  "tasks-mrtr-input",
  "tasks-request-headers",
  "tasks-dispatch-and-envelope",
  "tasks-required-task-error",
  "tasks-mrtr-composition"
]
const wanted = 44

const suite = fileURLToPath(import.meta.resolve("@modelcontextprotocol/conformance/dist/index.js"))
const hook = new URL("../test/mcp/server/suite/globHook.mjs", import.meta.url).href

const token = "conformance"

/** The suite has no token of its own. */
const withToken = HttpMiddleware.make((app) =>
  HttpServerRequest.HttpServerRequest.pipe(
    Effect.map((request) =>
      request.modify({ headers: { ...request.headers, authorization: `Bearer ${token}` } as typeof request.headers })
    ),
    Effect.flatMap((request) => Effect.provideService(app, HttpServerRequest.HttpServerRequest, request))
  )
)

const run = (scenario: string, port: number, cwd: string) =>
  Effect.async<{ readonly passed: number; readonly text: string }>((resume) => {
    const child = execFile(
      process.execPath,
      ["--import", hook, suite, "server", "--url", `http://127.0.0.1:${port}/mcp`, "--scenario", scenario],
      { cwd, timeout: 60_000 },
      (error, stdout, stderr) => {
        const passed = Number(/Passed: (\d+)\/\d+, 0 failed/.exec(stdout)?.[1] ?? 0)
        const isGood = error === null && passed > 0
        resume(Effect.succeed({ passed, text: isGood ? "" : `${stdout}\n${stderr}` }))
      }
    )
    return Effect.sync(() => child.kill())
  })

const program = Effect.gen(function*() {
  const { address } = yield* HttpServer.HttpServer
  const port = address._tag === "TcpAddress" ? address.port : 0
  const { httpApp } = yield* McpServer
  yield* HttpServer.serveEffect(yield* httpApp({ token: Redacted.make(token) }), withToken)
  const cwd = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "mcp-conformance-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )
  const results = yield* Effect.forEach(scenarios, (scenario) => run(scenario, port, cwd), { concurrency: 5 })
  let passed = 0
  for (const [index, result] of results.entries()) {
    passed += result.passed
    console.log(`${scenarios[index]}: ${result.passed}${result.text === "" ? "" : `\n${result.text}`}`)
  }
  console.log(`${passed} of ${wanted} checks of the MCP task scenarios pass`)
  if (passed !== wanted || results.some(({ text }) => text !== "")) process.exitCode = 1
}).pipe(
  Effect.scoped,
  Effect.provide(McpServer.layer(conformanceOptions)),
  Effect.provide([ConformanceTools, NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 })])
)

await Effect.runPromise(program)

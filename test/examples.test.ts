/** The examples as a user starts them: child processes, against a server as strict as the real API. */
import { assert, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import type * as FsPromises from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { vi } from "vitest"
import { objects, stringAt } from "./support/providers/json.js"
import type { ProviderRequest } from "./support/providers/loopback.js"
import { startOpenAi } from "./support/providers/openai.js"
import { call, text } from "./support/providers/script.js"

const packageRoot = resolve(import.meta.dirname, "..")
// by its place: the examples run in another folder
const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href

/** Runs an example in a project of two files, with a model that calls both tools and reports what it gets. */
const runExample = async (example: string) => {
  const project = realpathSync(mkdtempSync(join(tmpdir(), "example-")))
  const server = await startOpenAi()
  try {
    mkdirSync(join(project, "src"))
    writeFileSync(join(project, "src", "a.ts"), "one\ntwo\nthree")
    writeFileSync(join(project, "src", "b.ts"), "one")
    server.otherwise((request) => {
      const messages = conversation(request)
      if (messages.length < 3) {
        return [
          call("list_files", { folder: "src" }),
          call("count_lines", { folder: "src" }),
          call("list_files", {
            folder: ".."
          })
        ]
      }
      return messages.some((message) => message.includes("<task-result"))
        ? [text("They have 4 lines.")]
        : [text("I am counting.")]
    })
    const child = spawn(process.execPath, ["--import", tsx, join(packageRoot, "examples", example)], {
      cwd: project,
      env: {
        ...process.env,
        OPENAI_BASE_URL: `${server.url}/v1`,
        OPENAI_API_KEY: server.apiKey,
        TSX_TSCONFIG_PATH: join(packageRoot, "tsconfig.json")
      },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    let errors = ""
    child.stdout.setEncoding("utf8").on("data", (piece: string) => {
      output += piece
    })
    child.stderr.setEncoding("utf8").on("data", (piece: string) => {
      errors += piece
    })
    const code = await new Promise((ended) => child.on("close", ended))
    return { code, errors, output, refusals: server.refusals(), requests: server.requests }
  } finally {
    await server.close()
    rmSync(project, { recursive: true })
  }
}

/** One line per message or item: what it is, and all of its text. */
const conversation = ({ body }: ProviderRequest): ReadonlyArray<string> =>
  objects(body["messages"] ?? body["input"]).map((message) =>
    [stringAt(message, "role"), stringAt(message, "type"), textIn(message["content"] ?? message["output"])].join(" ")
  )

const textIn = (content: unknown): string =>
  typeof content === "string"
    ? content
    : objects(content).map((part) => stringAt(part, "text")).join("")

const check = async (example: string) => {
  const { code, errors, output, refusals, requests } = await runExample(example)
  assert.deepStrictEqual({ code, errors, refusals }, { code: 0, errors: "", refusals: [] })
  assert.isTrue(output.endsWith("They have 4 lines.\n"), output)
  const last = conversation(requests.at(-1) ?? assert.fail("no request"))
  // the answers stand in the order of the calls
  const answers = last.filter((line) => /^tool |function_call_output/.test(line))
  assert.strictEqual(answers.length, 3)
  assert.include(answers[0], `["a.ts","b.ts"]`)
  assert.include(answers[1], "Runs in the background as task-2.")
  assert.include(answers[2], "The folder is not in the project.")
  const late = last.filter((line) => line.includes("<task-result"))
  assert.strictEqual(late.length, 1)
  assert.include(late[0], `{"files":2,"lines":4}`)
  assert.isTrue(late[0]?.startsWith("user"))
}

// of two tools that read a folder the second is always done first
vi.mock("node:fs/promises", async (importOriginal) => {
  const original = await importOriginal<typeof FsPromises>()
  const held: Array<() => void> = []
  return {
    ...original,
    readdir: async (path: string) => {
      const isFirst = path.endsWith("node_modules")
      const secondHasEnded = isFirst ? new Promise<void>((resolve) => held.push(resolve)) : undefined
      const names = await original.readdir(path)
      await secondHasEnded
      // not now: the tool has still to end
      if (!isFirst) setImmediate(() => setImmediate(() => held.splice(0).forEach((resume) => resume())))
      return names
    }
  }
})

/** Two calls of one id, which some models make, and then a text. */
const repeatsAnId = (body: { readonly [field: string]: unknown }) => {
  const calls = ["node_modules", "docs"].map((folder) => ({
    name: "list_files",
    arguments: JSON.stringify({ folder })
  }))
  const hasAnswers = JSON.stringify(body).includes("contract.md")
  if ("messages" in body) {
    const tool_calls = calls.map((of) => ({ id: "call_1", type: "function", function: of }))
    const message = hasAnswers ? { content: "Done." } : { content: null, tool_calls }
    return { choices: [{ message }] }
  }
  const said = [{ type: "output_text", text: "Done.", annotations: [] }]
  return {
    id: "resp_1",
    created_at: 1,
    model: "test",
    output: hasAnswers
      ? [{ id: "msg_1", type: "message", role: "assistant", status: "completed", content: said }]
      : calls.map((of, index) => ({
        id: `fc_${index}`,
        type: "function_call",
        call_id: "call_1",
        status: "completed",
        ...of
      })),
    usage: { input_tokens: 1, output_tokens: 1 }
  }
}

/** What the model is sent in the end, by an example that runs in this process against a model that is a function. */
const lastRequestOf = async (example: () => Promise<unknown>): Promise<{ readonly [field: string]: unknown }> => {
  let last: { readonly [field: string]: unknown } = {}
  vi.stubEnv("OPENAI_API_KEY", "test")
  vi.stubGlobal("fetch", async (_: unknown, { body }: { readonly body: string }) => {
    last = JSON.parse(body)
    return new Response(JSON.stringify(repeatsAnId(last)), { headers: { "content-type": "application/json" } })
  })
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined)
  try {
    await example()
    assert.deepStrictEqual(log.mock.calls, [["Done."]])
  } finally {
    vi.restoreAllMocks()
    vi.unstubAllGlobals()
    vi.unstubAllEnvs()
  }
  return last
}

describe("examples give two calls with one id their own results", () => {
  const examples = {
    "fetch-loop.ts": () => import("../examples/fetch-loop.js"),
    "vercel-ai-sdk.ts": () => import("../examples/vercel-ai-sdk.js")
  }
  for (const [name, example] of Object.entries(examples)) {
    it(name, async () => {
      const body = await lastRequestOf(example)
      const answers = objects(body["messages"] ?? body["input"])
        .filter((message) => message["role"] === "tool" || message["type"] === "function_call_output")
        .map((message) => textIn(message["content"] ?? message["output"]))
      assert.strictEqual(answers.length, 2)
      assert.include(answers[0], "\"effect\"")
      assert.include(answers[1], "contract.md")
    })
  }
})

describe("examples", () => {
  it("fetch-loop.ts: a bare loop on Chat Completions", () => check("fetch-loop.ts"))
  it("vercel-ai-sdk.ts: generateText on the Responses API", () => check("vercel-ai-sdk.ts"))
})

/** The agent's demo as a user starts it: a child process without a terminal, and without any key but those given here. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { existsSync } from "node:fs"
import { dirname } from "node:path"
import { type Bundle, bundle } from "./support/bundle.js"
import { asUsersStart, DemoProcess } from "./support/DemoProcess.js"
import { startAnthropic } from "./support/providers/anthropic.js"
import { startOpenAi } from "./support/providers/openai.js"
import { call, text } from "./support/providers/script.js"

const { HOME, PATH, TMPDIR } = process.env

let bundled: Bundle

beforeAll(async () => {
  bundled = await bundle("demo/agent/main.ts")
})

afterAll(() => bundled.remove())

const start = (
  args: ReadonlyArray<string>,
  keys: Readonly<Record<string, string>> = {},
  program: ReadonlyArray<string> = [bundled.path]
) => new DemoProcess(program, args, { env: { PATH, HOME, TMPDIR, ...keys } })

const run = async (...given: Parameters<typeof start>) => {
  const demo = start(...given)
  const code = await demo.ended
  return { code, errors: demo.errors, output: demo.output }
}

const assertClean = ({ output }: { readonly output: string }) => {
  const root = /^The repository: (.*) \(temporary/m.exec(output)?.[1] ?? ""
  assert.notStrictEqual(root, "")
  assert.isFalse(existsSync(dirname(root)), `${dirname(root)} is left`)
  assert.match(output, /^✓ no process is left of the \d+ commands that were started$/m)
  assert.match(output, /^✓ the temporary folder is removed$/m)
  // no terminal: no colour, no cursor tricks; and nothing of what the tools printed
  // oxlint-disable-next-line no-control-regex
  assert.notMatch(output, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
}

// most of the time of a demo is spent waiting
describe.concurrent("npm run demo:agent", () => {
  it("plays the script, and everything it checks of itself holds", async () => {
    const { code, errors, output } = await run([], {}, asUsersStart("agent/main.ts"))
    assert.strictEqual(code, 0, output + errors)
    assert.strictEqual(errors, "")
    assert.include(output, "No model is called: a script")
    assert.match(output, /Yes, says the demo for you\.$/m)
    assert.match(output, /Verdict: everything held \(13 of 13 checks\)/)
    // the time line: the test run goes to the background, and Esc ends what never would
    assert.match(output, /^call-1 +shell +█+▒+✓$/m)
    assert.match(output, /^call-5 +shell +█+⊘$/m)
    assert.match(output, /^ +▲ Esc$/m)
    assertClean({ output })
  })

  it("cleans up on SIGINT while the tests run in the background", async () => {
    const demo = start(["--scripted"], { OPENAI_API_KEY: "not-used" })
    await demo.waitFor(/detached +call-1 +shell/)
    demo.child.kill("SIGINT")
    assert.strictEqual(await demo.ended, 130, demo.output + demo.errors)
    assert.include(demo.output, "Interrupted.")
    assertClean(demo)
  })

  it.each([
    { name: "Anthropic", startServer: startAnthropic, path: "" },
    { name: "OpenAI", startServer: startOpenAi, path: "/v1" }
  ])("uses $name if there is a key, and never shows it", async ({ name, path, startServer }) => {
    const server = await startServer()
    try {
      const prefix = name.toUpperCase()
      const environment = { [`${prefix}_MODEL`]: "some-model", [`${prefix}_BASE_URL`]: `${server.url}${path}` }
      server.reply(
        text("I look, and delete."),
        call("read_file", { path: "README.md" }),
        call("shell", { command: "rm -r build", cwd: null, timeout_seconds: null })
      )
      server.reply(text("It is gone."))
      const { code, errors, output } = await run([], { ...environment, [`${prefix}_API_KEY`]: server.apiKey })
      assert.strictEqual(code, 0, output + errors)
      assert.deepStrictEqual(server.refusals(), [])
      assert.include(output, `The model is some-model of ${name}: ${prefix}_API_KEY is set.`)
      assert.match(output, /model +It is gone\.$/m)
      assert.notInclude(output + errors, server.apiKey)
      assertClean({ output })
    } finally {
      await server.close()
    }
  })

  it.each([
    { args: ["--bogus"], error: /^Unknown option '--bogus'/ },
    { args: ["--yes", "--no"], error: /^--yes and --no exclude each other/ }
  ])("refuses $args", async ({ args, error }) => {
    const { code, errors } = await run(args)
    assert.strictEqual(code, 2)
    assert.match(errors, error)
    assert.include(errors, "Usage: npm run demo:agent")
  })

  it("deletes nothing with --no", async () => {
    // an empty key is no key
    const { code, errors, output } = await run(["--no"], { ANTHROPIC_API_KEY: "" })
    assert.strictEqual(code, 0, output + errors)
    assert.include(output, "✓ it asked before it deleted, was told no, and deleted nothing")
    assertClean({ output })
  })
})

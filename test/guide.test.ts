/** docs/build-an-agent.md, followed: its files in a folder of their own, the program of its terminal, and the test it ends with. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import packageJson from "../package.json" with { type: "json" }
import { type Bundle, bundle } from "./support/bundle.js"
import { DemoProcess } from "./support/DemoProcess.js"
import { isFull } from "./support/fullMode.js"
import { startAnthropic } from "./support/providers/anthropic.js"
import { call, text } from "./support/providers/script.js"

const packageRoot = resolve(import.meta.dirname, "..")
const guide = readFileSync(join(packageRoot, "docs", "build-an-agent.md"), "utf8")
const { HOME, PATH } = process.env

const names: Array<string> = []
const bundles: Record<string, Bundle> = {}

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), "guide-"))
  for (const [, code = "", name = ""] of guide.matchAll(/^```ts\n(\/\/ (\S+)\n.*?)^```$/gms)) {
    names.push(name)
    writeFileSync(join(folder, name), code)
  }
  for (const name of isFull ? ["main.ts", "agent.test.ts"] : []) {
    bundles[name] = await bundle(join(folder, name))
  }
  rmSync(folder, { recursive: true, force: true })
  return () => Promise.all(Object.values(bundles).map(({ remove }) => remove()))
})

describe.concurrent("the guide", () => {
  it("has these files", () => {
    assert.deepStrictEqual(names, ["tools.ts", "agent.ts", "main.ts", "agent.test.ts"])
  })

  it("installs the versions that this package is tested with", () => {
    const [line = ""] = /^npm install \/path.*$/m.exec(guide) ?? []
    const [file, ...packages] = line.split(" ").slice(2)
    assert.strictEqual(file, `/path/to/${packageJson.name}-${packageJson.version}.tgz`)
    const versions: Readonly<Record<string, string>> = packageJson.devDependencies
    assert.deepStrictEqual(
      packages,
      ["effect", "@effect/ai", "@effect/ai-anthropic", "@effect/platform", "@effect/platform-node"].map((name) =>
        `${name}@${versions[name]?.split(".").slice(0, 2).join(".")}`
      )
    )
  })

  if (isFull) {
    it("ends with a test that passes: the agent survives Esc, detaches its test runs and asks before it deletes", async () => {
      const test = new DemoProcess(["--test"], [bundles["agent.test.ts"]?.path ?? ""], { env: { PATH, HOME } })
      assert.strictEqual(await test.ended, 0, test.output + test.errors)
      assert.match(test.output, /pass 2\b/)
    })

    it("has a program that shows a refused key at once, and approves by a whole line alone", async ({ onTestFinished }) => {
      const root = mkdtempSync(join(tmpdir(), "guide-"))
      const server = await startAnthropic()
      onTestFinished(async () => {
        await server.close()
        rmSync(root, { recursive: true, force: true })
      })
      server.fail(401)
      server.reply(call("shell", { command: "echo it is gone; rm -f x", cwd: null, timeout_seconds: null }))
      server.reply(text("I did it."))
      const program = new DemoProcess([bundles["main.ts"]?.path ?? ""], [], {
        cwd: root,
        env: { PATH, HOME, ANTHROPIC_API_KEY: server.apiKey, ANTHROPIC_BASE_URL: server.url },
        input: true
      })
      await program.waitFor(/What shall I do/)
      program.type("Hello\n")
      await program.waitFor(/\[Authentication: .*\(HTTP 401\)/)
      assert.notInclude(program.output + program.errors, server.apiKey)
      program.type("Delete x\n")
      await program.waitFor(/May it run\? .* rm -f x .*\(y\/n\)/)
      program.type("maybe\n")
      await program.waitFor(/Please answer y or n\./)
      assert.notInclude(program.output, "I did it.")
      program.type(" Yes\n")
      await program.waitFor(/I did it\./)
      await program.waitFor(/\[Completed\]/)
      program.child.stdin?.end()
      assert.strictEqual(await program.ended, 0, program.output + program.errors)
    })
  }
})

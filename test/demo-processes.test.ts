/** The demo as a user starts it: a child process, in real time. */
import { afterAll, beforeAll, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { assert } from "vitest"
import { type Bundle, bundle } from "./support/bundle.js"
import { asUsersStart, DemoProcess } from "./support/DemoProcess.js"

interface Row {
  readonly pid: number
  readonly parent: number
  readonly state: string
  readonly command: string
}

const processes = (): ReadonlyArray<Row> =>
  execFileSync("ps", ["-A", "-o", "pid=", "-o", "ppid=", "-o", "stat=", "-o", "args="], { encoding: "utf8" })
    .split("\n").flatMap((line) => {
      const [, pid, parent, state = "", command = ""] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s*(.*)$/.exec(line) ?? []
      return pid === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), state, command }]
    })

/** Everything that runs under a process. */
const descendants = (pid: number, rows = processes()): ReadonlyArray<Row> =>
  rows.filter((row) => row.parent === pid).flatMap((row) => [row, ...descendants(row.pid, rows)])

const stillAlive = (before: ReadonlyArray<Row>): ReadonlyArray<Row> =>
  processes().filter((row) => !row.state.startsWith("Z") && before.some(({ pid }) => pid === row.pid))

/** Looks at the process table until the demo runs a command like this one. */
const untilItRuns = async (demo: DemoProcess, command: string): Promise<ReadonlyArray<Row>> => {
  while (demo.child.exitCode === null) {
    const running = descendants(demo.pid)
    if (running.some((row) => row.command.includes(command))) return running
    await new Promise((next) => setTimeout(next, 20))
  }
  throw new Error(`never ran: ${command}\n${demo.output}`)
}

const assertProof = (demo: DemoProcess, calls: number): void => {
  const rows = demo.output.match(/^call-\d+ +task-\d+ +\w+ +\d+ +\d+ +(in its turn|later) +\w+$/gm) ?? []
  assert.strictEqual(rows.length, calls, demo.output)
  assert.strictEqual(new Set(rows.map((row) => row.split(" ")[0])).size, calls)
  for (const row of rows) assert.match(row, /^call-\d+ +task-\d+ +\w+ +\d+ +1 /)
  assert.include(demo.output, `${calls} tool calls, ${calls} results: every tool call id got exactly one result.`)
}

const assertClean = (demo: DemoProcess, root: string): void => {
  assert.isFalse(existsSync(dirname(root)), `${dirname(root)} is left`)
  assert.notMatch(demo.output, /FAILED|STILL THERE|LIVE/)
  // no terminal: no colour, no cursor tricks; and nothing of what the tools printed
  // oxlint-disable-next-line no-control-regex
  assert.notMatch(demo.output, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
}

let bundled: Bundle

beforeAll(async () => {
  bundled = await bundle("demo/main.ts")
})

afterAll(() => bundled.remove())

// most of the time of a demo is spent waiting
describe.concurrent("npm run demo", () => {
  it("runs the destructive command with --yes, and proves one result per call", async () => {
    const demo = new DemoProcess(asUsersStart("main.ts"), ["--yes"])
    const root = await demo.root()
    await demo.waitFor(/completed +call-\d+ +remove/)
    assert.isFalse(existsSync(join(root, "build")))
    assert.isTrue(existsSync(join(root, "src", "cart.mjs")))
    await demo.waitFor(/check +the background goes on/)
    const running = descendants(demo.pid)
    assert.strictEqual(await demo.ended, 0, demo.output + demo.errors)
    assert.deepStrictEqual(stillAlive(running), [])
    assertProof(demo, 16)
    assertClean(demo, root)
    assert.include(demo.output, "stands in for it")
    assert.match(demo.output, /Verdict: everything held \(12 of 12 checks\)/)
    assert.match(demo.output, /^call-\d+ +run_tests +█+▒+✓$/m)
    assert.match(demo.output, /^call-\d+ +load_test +█+⊘$/m)
    assert.strictEqual(demo.errors, "")
  })

  it("runs the read-only part on a repository of the user's and changes nothing in it", async ({ onTestFinished }) => {
    const outside = realpathSync(mkdtempSync(join(tmpdir(), "demo-test-")))
    onTestFinished(() => rmSync(outside, { recursive: true, force: true }))
    const root = join(outside, "mine")
    mkdirSync(root)
    const git = (...args: ReadonlyArray<string>) =>
      execFileSync("git", ["-c", "user.name=Me", "-c", "user.email=me@example.invalid", ...args], {
        cwd: root,
        encoding: "utf8"
      })
    git("init", "--quiet")
    writeFileSync(join(root, "README.md"), "`build/` is generated; delete it.\n")
    mkdirSync(join(root, "build"))
    writeFileSync(join(root, "build", "kept.txt"), "TODO\n")
    writeFileSync(join(root, "a\u001b[31mred\u001b[0m.md"), "a name that paints\n")
    git("add", ".")
    git("commit", "--quiet", "--message", "First \u001b[2J TODO")
    writeFileSync(join(root, "untracked.txt"), "mine\n")
    const state = () => ({
      status: git("--no-optional-locks", "status", "--porcelain"),
      head: git("rev-parse", "HEAD"),
      index: statSync(join(root, ".git", "index")).mtimeMs
    })
    const before = state()
    // relative to where the user called npm
    const demo = new DemoProcess([bundled.path], ["--repo", "mine"], { cwd: outside })
    assert.strictEqual(await demo.ended, 0, demo.output + demo.errors)
    assert.deepStrictEqual(state(), before)
    assert.isTrue(existsSync(join(root, "build", "kept.txt")))
    assert.include(demo.output, `The repository: ${root} (yours: only what reads it is run)`)
    assert.notMatch(demo.output, /\b(remove|run_tests|replace_text)\b/)
    assertProof(demo, 10)
    assertClean(demo, join(tmpdir(), "never-made", "x"))
  })

  it.each([
    { args: ["--repo", join(tmpdir(), "no-such-folder")], error: /is not the folder of a git repository/ },
    { args: ["--bogus"], error: /^Unknown option '--bogus'/ }
  ])("refuses $args", async ({ args, error }) => {
    const demo = new DemoProcess([bundled.path], args)
    assert.strictEqual(await demo.ended, 2)
    assert.match(demo.errors, error)
    assert.include(demo.errors, "Usage: npm run demo")
    assert.notInclude(demo.errors, "    at ")
  })

  it("ends every process and removes the folder on SIGINT in the middle of a turn", async () => {
    const demo = new DemoProcess([bundled.path], ["--yes"])
    const root = await demo.root()
    await demo.waitFor(/started +call-\d+ +load_test .*ignores SIGTERM/)
    const running = await untilItRuns(demo, `trap "" TERM`)
    assert.isAtLeast(stillAlive(running).length, 4)
    demo.child.kill("SIGINT")
    assert.strictEqual(await demo.ended, 130, demo.output + demo.errors)
    assert.deepStrictEqual(stillAlive(running), [])
    assertClean(demo, root)
    assert.match(demo.output, /Interrupted\.\n✓ no process is left/)
  })

  it("leaves the folder alone with --no", async () => {
    const demo = new DemoProcess([bundled.path], ["--no"])
    const root = await demo.root()
    await demo.waitFor(/failed +call-\d+ +remove/)
    assert.isTrue(existsSync(join(root, "build", "bundle.js")))
    assert.strictEqual(await demo.ended, 0, demo.output + demo.errors)
    assertProof(demo, 16)
    assertClean(demo, root)
    assert.match(demo.output, /rejects: the answer was given with --no/)
  })

  it("rejects and says so when there is nobody to ask", async () => {
    const demo = new DemoProcess([bundled.path], [])
    const root = await demo.root()
    await demo.waitFor(/rejects: there is no terminal to ask at/)
    await demo.waitFor(/failed +call-\d+ +remove/)
    assert.isTrue(existsSync(join(root, "build", "bundle.js")))
    assert.strictEqual(await demo.ended, 0, demo.output + demo.errors)
    assertProof(demo, 16)
    assertClean(demo, root)
  })

  it("cleans up on Ctrl-C at a terminal, which every process of the demo gets, also when pressed twice", async () => {
    const demo = new DemoProcess([bundled.path], ["--yes"], { ownGroup: true })
    const root = await demo.root()
    await demo.waitFor(/detached +call-\d+ +run_tests/)
    const running = await untilItRuns(demo, "cart.test.mjs")
    process.kill(-demo.pid, "SIGINT")
    process.kill(-demo.pid, "SIGINT")
    assert.strictEqual(await demo.ended, 130, demo.output + demo.errors)
    assert.deepStrictEqual(stillAlive(running), [])
    assertClean(demo, root)
  })

  it.each(["SIGTERM", "SIGHUP"] as const)("cleans up on %s", async (signal) => {
    const demo = new DemoProcess([bundled.path], ["--no"])
    const root = await demo.root()
    await demo.waitFor(/suspended +call-\d+ +remove/)
    const running = await untilItRuns(demo, "cart.test.mjs")
    demo.child.kill(signal)
    assert.strictEqual(await demo.ended, 143, demo.output + demo.errors)
    assert.deepStrictEqual(stillAlive(running), [])
    assertClean(demo, root)
  })
})

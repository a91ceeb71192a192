/** The demo of an agent that is killed, as a user starts it. It takes half a minute: only in `npm run test:full`. */
import { assert, describe, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { dirname } from "node:path"
import { asUsersStart, DemoProcess } from "./support/DemoProcess.js"

const start = (...args: ReadonlyArray<string>) => new DemoProcess(asUsersStart("durable/main.ts"), args)

// most of the time of a demo is spent waiting
describe.concurrent("npm run demo:durable", () => {
  it("is killed three times, goes on, and everything it checks of itself holds", async () => {
    const demo = start("--seed", "7")
    const code = await demo.ended
    assert.strictEqual(code, 0, demo.output + demo.errors)
    assert.strictEqual(demo.errors, "")
    assert.match(demo.output, /killed with SIGKILL \(3 of 3\)/)
    assert.match(demo.output, /Verdict: everything held \(9 of 9 checks\)/)
    const root = await demo.root()
    assert.isFalse(existsSync(dirname(root)), `${dirname(root)} is left`)
  })

  it("tells its processes nothing in arguments, which everybody on the machine can read", () => {
    const spawned = readFileSync(new URL("../demo/durable/main.ts", import.meta.url), "utf8").match(/spawn\([^{]*/g)
    assert.deepStrictEqual(spawned, ["spawn(process.execPath, [child], "])
  })

  it("refuses a seed that is no number", async () => {
    const demo = start("--seed", "x")
    assert.strictEqual(await demo.ended, 2)
    assert.match(demo.errors, /^--seed takes an integer from 0/)
    assert.include(demo.errors, "Usage: npm run demo:durable")
  })
})

/** The SDKs for servers and for clients are peers of their own: who uses one of them needs no other. */
import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { resolve } from "node:path"
import { promisify } from "node:util"

const packageRoot = resolve(import.meta.dirname, "..", "..")

const run = (without: ReadonlyArray<string>, program: string) =>
  promisify(execFile)(
    process.execPath,
    ["--import", "tsx", "--import", "./test/mcp/peers/without.mjs", `test/mcp/peers/${program}.ts`],
    { cwd: packageRoot, env: { ...process.env, WITHOUT: without.join(" ") } }
  ).then(({ stdout }) => stdout.trim(), (error: unknown) => String(error))

const client = ["@modelcontextprotocol/client", "@modelcontextprotocol/ext-tasks"]
const server = ["@modelcontextprotocol/server"]

describe("without the SDK", () => {
  it("for clients there is a server", async () => {
    assert.strictEqual(await run(client, "serves"), "listens")
    assert.include(await run(server, "serves"), "Cannot find package '@modelcontextprotocol/server'")
  }, 120_000)

  it("for servers there are tools", async () => {
    // after the warning that it is not there
    assert.match(await run(server, "calls"), /Connecting$/)
    assert.include(await run(client, "calls"), "Cannot find package '@modelcontextprotocol/client'")
  }, 120_000)
})

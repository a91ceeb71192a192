/** An MCP server on standard streams that does what a test wants, and hangs, dies or leaves processes behind. */
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js"
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js"
import { spawn } from "node:child_process"
import { appendFileSync } from "node:fs"
import { z } from "zod"

const [journal = "", ...flags] = process.argv.slice(2)
const note = (line: string) => appendFileSync(journal, `${line}\n`)
const text = (said: string) => ({ content: [{ type: "text" as const, text: said }] })

note(`started ${process.pid}`)
if (flags.includes("noisy")) process.stderr.write("x".repeat(1_000_000))
if (flags.includes("log")) process.stdout.write("This is a log, and no message\n")
if (flags.includes("deaf")) process.on("SIGTERM", () => {})

const server = new McpServer({ name: "test", version: "1" })
server.registerTool("pid", {}, () => text(String(process.pid)))
server.registerTool("env", { inputSchema: { name: z.string() } }, ({ name }) => text(process.env[name] ?? "not set"))
server.registerTool("hang", {}, (extra) =>
  new Promise((resolve) => {
    note("hangs")
    extra.signal.addEventListener("abort", () => {
      note("aborted")
      resolve(text("aborted"))
    })
  }))
server.registerTool("child", {}, () => {
  const child = spawn("sleep", ["1000"], { stdio: "ignore" })
  return text(String(child.pid))
})
server.registerTool("large", { inputSchema: { bytes: z.number() } }, ({ bytes }) => text("x".repeat(bytes)))
server.registerTool("grow", {}, () => {
  server.registerTool("grown", {}, () => text("grown"))
  return text("done")
})

await server.connect(new StdioServerTransport())
if (flags.includes("deaf")) {
  // it does not end with its input either
  setInterval(() => {}, 1_000)
}

/** The demo of the board as a user starts it: agents at work, asked over HTTP as the page does, and ended with Ctrl-C. */
import { assert, expect, it } from "@effect/vitest"
import { existsSync } from "node:fs"
import { dirname } from "node:path"
import { asUsersStart, DemoProcess } from "./support/DemoProcess.js"

const { HOME, PATH, TMPDIR } = process.env

it("shows real work behind a login, takes answers, and leaves nothing behind", async () => {
  const demo = new DemoProcess(asUsersStart("board/main.ts"), ["--scripted"], { env: { PATH, HOME, TMPDIR } })
  const [, root = ""] = await demo.waitFor(/^The repository: (.*) \(temporary/m)
  const [, url = "", token = ""] = await demo.waitFor(/The board: (http:\/\/127\.0\.0\.1:\d+)\/#token=(\S+)/)
  const json = { "content-type": "application/json", origin: url }
  const login = await fetch(`${url}/login`, { method: "POST", headers: json, body: JSON.stringify({ token }) })
  assert.strictEqual(login.status, 204)
  const cookie = login.headers.get("set-cookie")?.split(";")[0] ?? ""
  const ask = async (path: string): Promise<string> =>
    (await fetch(`${url}${path}`, { headers: { cookie, "sec-fetch-site": "same-origin" } })).text()
  assert.include(await ask("/"), "board/board.js")
  assert.include(await ask("/board/board.js"), "effect-task-manager")
  // what the first agent wants to delete waits for an answer, which lets it end
  await expect.poll(() => ask("/api/approvals"), { timeout: 60_000 }).toMatch(/rm -r build/)
  const { approvals: [asked] } = JSON.parse(await ask("/api/approvals"))
  const answer = await fetch(`${url}/api/approvals/${asked.taskId}/answer`, {
    method: "POST",
    headers: { ...json, cookie },
    body: JSON.stringify({ asking: asked.approval.asking, answer: "approve" })
  })
  assert.strictEqual(answer.status, 200)
  await expect.poll(() => ask(`/api/tasks/${asked.taskId}`), { timeout: 20_000 }).toContain("\"Completed\"")
  demo.child.kill("SIGINT")
  assert.strictEqual(await demo.ended, 130, demo.output + demo.errors)
  assert.strictEqual(demo.errors, "")
  assert.isFalse(existsSync(dirname(root)))
})

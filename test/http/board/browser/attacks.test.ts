/** What pages of others try from the browser of somebody who is logged in. */
import { afterAll, assert, beforeAll, it } from "@effect/vitest"
import type { TaskId } from "effect-task-manager"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import type { Page } from "playwright-core"
import { type Host, startHost } from "../host.js"
import { inBrowser } from "./browser.js"

// a name of the attacker that leads to this machine
const rebound = "rebound.example"

inBrowser("a page of somebody else", ({ visit }) => {
  let host: Host
  let attacker: Server
  let task: TaskId
  /** Logged in at the board. */
  let page: Page

  /** Where pages of the attacker are: of another site, and of this one with another port, for which cookies are sent. */
  const places = (): ReadonlyArray<string> => {
    const { port } = attacker.address() as AddressInfo
    return [`http://localhost:${port}/`, `http://127.0.0.1:${port}/`]
  }

  beforeAll(async () => {
    host = await startHost()
    task = await host.start("shell")
    attacker = createServer((_request, response) => {
      response.setHeader("content-type", "text/html").end("<!doctype html><title>attacker</title><body>")
    })
    await new Promise<void>((resolve) => attacker.listen(0, "127.0.0.1", resolve))
    const visitor = await visit(host)
    page = visitor.page
    await page.locator(".connection.is-Live").waitFor()
  })
  afterAll(async () => {
    attacker.closeAllConnections()
    attacker.close()
    await host.stop()
  })

  const staysRunning = async (): Promise<void> => {
    assert.strictEqual(await host.status(task), "Running")
    // the board is still logged in: it was not a lost login that saved it
    assert.strictEqual(await page.evaluate(async () => (await fetch("/api/caller")).status), 200)
  }

  /** Runs in a page of the attacker, in the browser of the victim. */
  const onEach = async (attack: (target: Page, address: string) => Promise<void>): Promise<void> => {
    for (const address of places()) {
      const target = await page.context().newPage()
      await target.goto(address)
      await attack(target, address)
      await target.close()
    }
    await staysRunning()
  }

  const cancel = (): string => `${host.url}/api/tasks/${task}/cancel`

  it("cannot send a form", () =>
    onEach(async (target, address) => {
      for (const encoding of ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]) {
        const answered = target.waitForResponse(cancel())
        await target.evaluate(([action, enctype]) => {
          const form = document.createElement("form")
          Object.assign(form, { method: "POST", action, enctype, target: "_self" })
          const field = document.createElement("input")
          Object.assign(field, { name: "{\"x\":\"", value: "\"}" })
          form.append(field)
          document.body.append(form)
          form.submit()
        }, [cancel(), encoding] as const)
        assert.strictEqual((await answered).status(), 403)
        await target.waitForURL(cancel())
        await target.goto(address)
      }
    }))

  it("cannot write with fetch, whatever it says of itself", () =>
    onEach(async (target) => {
      const outcomes = await target.evaluate(async (address) => {
        const tries: ReadonlyArray<RequestInit> = [
          { mode: "no-cors" },
          { mode: "no-cors", headers: { "content-type": "text/plain" } },
          { mode: "cors", headers: { "content-type": "application/json" } },
          { mode: "cors", headers: { "content-type": "application/json", authorization: "Bearer guessed" } }
        ]
        return Promise.all(tries.map(async (init) => {
          try {
            const response = await fetch(address, { method: "POST", credentials: "include", body: "{}", ...init })
            return response.type
          } catch {
            return "refused"
          }
        }))
      }, cancel())
      for (const outcome of outcomes) assert.include(["opaque", "refused"], outcome)
    }))

  it("cannot read tasks, neither with fetch, nor as a script, a picture or a frame", () =>
    onEach(async (target) => {
      const found = await target.evaluate(async (origin) => {
        const read = await fetch(`${origin}/api/tasks`, { credentials: "include" }).then(() => "read", () => "refused")
        const load = (element: HTMLElement, address: string): Promise<string> =>
          new Promise((resolve) => {
            element.addEventListener("load", () => resolve("loaded"))
            element.addEventListener("error", () => resolve("refused"))
            element.setAttribute("src", address)
            document.body.append(element)
          })
        const script = await load(document.createElement("script"), `${origin}/api/tasks`)
        const image = await load(document.createElement("img"), `${origin}/api/tasks`)
        return { read, script, image }
      }, host.url)
      assert.deepStrictEqual(found, { read: "refused", script: "refused", image: "refused" })
      await target.evaluate((origin) => {
        const frame = document.createElement("iframe")
        frame.src = origin
        document.body.append(frame)
      }, host.url)
      const frame = target.frames().at(-1)
      await frame?.waitForLoadState()
      // an error of the browser is there instead
      assert.notInclude(await frame?.content() ?? "", "board.js")
    }))

  it("cannot listen to events", () =>
    onEach(async (target) => {
      const heard = await target.evaluate((origin) =>
        new Promise<string>((resolve) => {
          const source = new EventSource(`${origin}/api/events?from=snapshot`, { withCredentials: true })
          source.addEventListener("snapshot", () => resolve("heard"))
          source.addEventListener("open", () => resolve("open"))
          source.addEventListener("error", () => {
            source.close()
            resolve("refused")
          })
        }), host.url)
      assert.strictEqual(heard, "refused")
    }))

  it("cannot come in under a name that leads here", async () => {
    const target = await page.context().newPage()
    const response = await target.goto(`http://${rebound}:${host.port}/`)
    assert.strictEqual(response?.status(), 421)
    const statuses = await target.evaluate(async () => [
      (await fetch("/api/tasks")).status,
      (await fetch("/api/events?from=snapshot")).status,
      (await fetch("/login", { method: "POST", headers: { "content-type": "application/json" }, body: "{}" })).status
    ])
    assert.deepStrictEqual(statuses, [421, 421, 421])
    await target.close()
    await staysRunning()
  })

  it("cannot get at a board that it has opened", async () => {
    const [address] = places()
    const target = await page.context().newPage()
    await target.goto(address ?? "")
    const opened = target.waitForEvent("popup")
    await target.evaluate((origin) => Object.assign(window, { board: window.open(origin) }), host.url)
    // the board has said that it stands alone: it looks as if it were closed, though it is not
    await target.waitForFunction(() => {
      const board: unknown = "board" in window ? window.board : undefined
      return typeof board === "object" && board !== null && "closed" in board && board.closed === true
    })
    const board = await opened
    await board.locator("#root *").first().waitFor()
    assert.isFalse(board.isClosed())
    await board.close()
    await target.close()
    await staysRunning()
  })

  // so that it was not something else that kept the attacks out
  it("is refused what the page of the board may do", async () => {
    const status = await page.evaluate(async (address) => {
      const headers = { "content-type": "application/json" }
      return (await fetch(address, { method: "POST", headers, body: "{}" })).status
    }, cancel())
    assert.strictEqual(status, 204)
    assert.strictEqual(await host.status(task), "Cancelled")
  })
}, [`--host-resolver-rules=MAP ${rebound} 127.0.0.1`])

/** The board in a browser, on a real server: what a person sees, and what each button does. */
import { assert, expect, it } from "@effect/vitest"
import { Redacted } from "effect"
import type { TaskId, TaskStatus } from "effect-task-manager"
import type { Page } from "playwright-core"
import { type Host, type HostOptions, startHost, token } from "../host.js"
import { inBrowser, keepPicture, type Visitor } from "./browser.js"

const row = (page: Page, id: TaskId) => page.locator(`[data-task="${id}"]`)

const sees = (page: Page, id: TaskId, status: TaskStatus): Promise<void> =>
  page.locator(`[data-task="${id}"][data-status="${status}"]`).waitFor()

/** Waits until it is so; a machine that is busy takes long. */
const eventually = <A>(look: () => A | Promise<A>) => expect.poll(look, { timeout: 30_000 })

const isLive = (page: Page): Promise<void> => page.locator(".connection.is-Live").waitFor()

const isClean = ({ complaints }: Visitor): void => {
  assert.deepStrictEqual(complaints, { errors: [], strangers: [] })
}

/** The tools of the rows, from the top. */
const tools = (page: Page): Promise<ReadonlyArray<string>> => page.locator(".line.task .tool").allInnerTexts()

const withHost = (options: HostOptions, test: (host: Host) => Promise<void>) => async () => {
  const host = await startHost(options)
  try {
    await test(host)
  } finally {
    await host.stop()
  }
}

inBrowser("the board", ({ visit }) => {
  it(
    "opens with its address once, and with a token after that",
    withHost({}, async (host) => {
      const first = await visit(host)
      await isLive(first.page)
      assert.strictEqual(first.page.url(), `${host.url}/`)
      assert.strictEqual(await first.page.title(), "Tasks")
      // the code was used
      const second = await visit(host)
      await second.page.getByLabel("Token").fill("a token that nobody knows")
      await second.page.getByRole("button", { name: "Open" }).click()
      await second.page.getByText("The server does not know this token.").waitFor()
      await second.page.getByLabel("Token").fill(token)
      await second.page.getByRole("button", { name: "Open" }).click()
      await isLive(second.page)
      // a page that is loaded again is still logged in
      await second.page.reload()
      await isLive(second.page)
      isClean(first)
      isClean(second)
    })
  )

  it(
    "cancels and detaches",
    withHost({}, async (host) => {
      const task = await host.start("shell")
      const visitor = await visit(host)
      const { page } = visitor
      await row(page, task).click()
      await page.getByRole("button", { name: "Detach", exact: true }).click()
      await page.locator(".happenings .is-Detached").waitFor()
      assert.strictEqual(await page.getByRole("button", { name: "Detach", exact: true }).count(), 0)
      await page.getByRole("button", { name: "Cancel", exact: true }).click()
      await sees(page, task, "Cancelled")
      assert.strictEqual(await host.status(task), "Cancelled")
      assert.strictEqual(await page.getByRole("button", { name: "Cancel", exact: true }).count(), 0)
      isClean(visitor)
    })
  )

  it(
    "counts what waits for an answer in its title; approves, and rejects with a reason",
    withHost({}, async (host) => {
      const one = await host.start("shell", { ask: "rm -r build" })
      const visitor = await visit(host)
      const { page } = visitor
      await page.waitForFunction(() => document.title === "(1) Tasks")
      const other = await host.start("shell", { ask: "git push --force" }, { session: "session-2" })
      await page.waitForFunction(() => document.title === "(2) Tasks")
      await page.getByRole("button", { name: "Approvals: 2 waiting" }).click()
      const inbox = page.getByLabel("Approvals", { exact: true })
      await inbox.locator(`[data-approval="${other}"]`).getByLabel("What is asked").getByText("git push --force")
        .waitFor()
      await inbox.locator(`[data-approval="${one}"]`).getByText("Input of the call").click()
      await inbox.locator(`[data-approval="${one}"]`).getByLabel("Input").getByText("\"ask\": \"rm -r build\"")
        .waitFor()
      await inbox.locator(`[data-approval="${one}"]`).getByRole("button", { name: "Approve" }).click()
      await sees(page, one, "Completed")
      await inbox.locator(`[data-approval="${other}"]`).getByRole("button", { name: "Reject…" }).click()
      await inbox.getByLabel("Why it is rejected").fill("not today")
      await inbox.getByRole("button", { name: "Reject", exact: true }).click()
      await sees(page, other, "Failed")
      await page.waitForFunction(() => document.title === "Tasks")
      await inbox.getByText("Nothing waits for an answer.").waitFor()
      await row(page, other).click()
      await page.locator(".lines").getByText("not today").waitFor()
      isClean(visitor)
    })
  )

  it(
    "answers questions, and says why an answer is refused",
    withHost({}, async (host) => {
      const task = await host.start("deploy", { ask: "Deploy to production", questions: true })
      const visitor = await visit(host)
      const { page } = visitor
      await row(page, task).click()
      const form = page.locator(".questions")
      await form.getByRole("button", { name: "Answer" }).click()
      await form.getByText("The answer is missing.").waitFor()
      await form.getByLabel("Where to?").selectOption({ label: "us" })
      await form.getByLabel("How many?").fill("4.5")
      await form.getByRole("button", { name: "Answer" }).click()
      await form.getByText("The answer must be a whole number.").waitFor()
      // what only the server knows
      await form.getByLabel("How many?").fill("40")
      await form.getByRole("button", { name: "Answer" }).click()
      await page.locator(".notice.is-bad").waitFor()
      await form.getByLabel("How many?").fill("4")
      await form.getByRole("button", { name: "Answer" }).click()
      await sees(page, task, "Completed")
      await page.locator(".lines").getByText("4 in us").waitFor()
      isClean(visitor)
    })
  )

  it(
    "shows the progress of a task, what it writes while it writes, and its end",
    withHost({}, async (host) => {
      const task = await host.start("build", {
        echo: true,
        progress: { fraction: 0.25, message: "3 of 12" },
        write: "first line\n"
      })
      const visitor = await visit(host)
      const { page } = visitor
      await row(page, task).click()
      const log = page.getByLabel("Log")
      await log.getByText("first line").waitFor()
      for (const line of ["second line", "third line"]) {
        await host.run(host.manager.handle.steer(task, `${line}\n`))
        await log.getByText(line).waitFor()
      }
      assert.strictEqual(await log.innerText(), "first line\nsecond line\nthird line\n")
      const quick = await host.start("list", { result: { files: 3 }, millis: 0 })
      await sees(page, quick, "Completed")
      await row(page, quick).click()
      await page.getByLabel("Result").getByText("\"files\": 3").waitFor()
      await page.locator(".happenings .is-Completed").waitFor()
      const slow = await host.start("crawl", { progress: { fraction: 0.5, message: "half of it" } })
      await row(page, slow).click()
      await page.getByText("half of it").first().waitFor()
      assert.strictEqual(await page.locator("progress").getAttribute("value"), "0.5")
      await host.run(host.manager.handle.cancel(slow))
      await page.locator(".badge.is-Cancelled").waitFor()
      isClean(visitor)
    })
  )

  it(
    "shows what a task was called with where the server does",
    async () => {
      for (const showInputs of [false, true]) {
        await withHost({ http: { showInputs } }, async (host) => {
          const task = await host.start("build", { echo: true, write: "<b>first</b>" })
          const visitor = await visit(host)
          const { page } = visitor
          await row(page, task).click()
          await page.getByLabel("Log").waitFor()
          const input = page.getByLabel("Input", { exact: true })
          if (showInputs) await input.getByText("\"write\": \"<b>first</b>\"").waitFor()
          else assert.strictEqual(await input.count(), 0)
          isClean(visitor)
        })()
      }
    }
  )

  it(
    "shows what a settled task was called with where the manager keeps that, and says where it does not",
    async () => {
      for (const keepInputs of [false, true]) {
        await withHost({ config: { keepInputs }, http: { showInputs: true } }, async (host) => {
          const task = await host.start("build", { result: "built", millis: 0 })
          const visitor = await visit(host)
          const { page } = visitor
          await sees(page, task, "Completed")
          await row(page, task).click()
          await (keepInputs
            ? page.getByLabel("Input", { exact: true }).getByText("\"result\": \"built\"")
            : page.getByText("It is not kept.")).waitFor()
          isClean(visitor)
        })()
      }
    }
  )

  it(
    "says that it is not up to date while lists cannot be read, although its events come, and reads them again",
    () => {
      const failing = new Set<"list" | "listSuspended" | "result">(["list"])
      return withHost({ failing }, async (host) => {
        const before = await host.start("shell")
        const visitor = await visit(host)
        const { page } = visitor
        const stale = page.locator(".connection.is-Stale")
        await stale.getByText("Not up to date").waitFor()
        await page.getByRole("alert").getByText("The tasks could not be read").waitFor()
        await page.getByText("The tasks could not be read.", { exact: true }).waitFor()
        // what is told is shown all the same
        const after = await host.start("fetch")
        await sees(page, after, "Running")
        assert.strictEqual(await row(page, before).count(), 0)
        assert.strictEqual(await stale.count(), 1)
        await keepPicture(page, "stale")
        failing.delete("list")
        await sees(page, before, "Running")
        await isLive(page)
        assert.strictEqual(await page.getByRole("alert").count(), 0)

        // what waits for an answer is read each time a task asks
        failing.add("listSuspended")
        const asks = await host.start("shell", { ask: "rm -r build" })
        await page.getByRole("alert").getByText("What waits for an answer could not be read").waitFor()
        await stale.waitFor()
        failing.delete("listSuspended")
        await page.getByRole("button", { name: "Try now" }).click()
        await isLive(page)
        await row(page, asks).click()
        await page.getByRole("button", { name: "Approve" }).waitFor()

        // and the details say what of them is missing
        failing.add("result")
        await host.run(host.manager.handle.cancel(before))
        await sees(page, before, "Cancelled")
        await row(page, before).click()
        await page.getByText("Not all of it could be read").waitFor()
        failing.delete("result")
        await page.getByRole("button", { name: "Try again" }).click()
        await page.getByLabel("Result").waitFor()
        assert.strictEqual(await page.getByText("Not all of it could be read").count(), 0)
        isClean(visitor)
      })()
    }
  )

  it(
    "filters, searches, and groups by session and by family",
    withHost({}, async (host) => {
      await host.start("shell", {}, { session: "one" })
      await host.start("fetch", { fail: "no network" }, { session: "two" })
      await host.start("agent", { child: "grep" }, { session: "two" })
      const visitor = await visit(host)
      const { page } = visitor
      await eventually(() => tools(page)).toHaveLength(4)
      await page.locator("[data-filter=Failed]").click()
      await eventually(() => tools(page)).toEqual(["fetch"])
      assert.strictEqual(await page.locator("[data-filter=Failed]").getAttribute("aria-pressed"), "true")
      await page.locator("[data-filter=Failed]").click()
      await page.getByLabel("Search").fill("session:two -status:failed")
      await eventually(async () => [...await tools(page)].sort()).toEqual(["agent", "grep"])
      await page.getByLabel("Group by").selectOption("family")
      await eventually(() => tools(page)).toEqual(["agent", "grep"])
      const indent = (name: string) =>
        page.locator(".line.task", { hasText: name }).locator(".name").evaluate((element) => element.style.paddingLeft)
      assert.deepStrictEqual([await indent("agent"), await indent("grep")], ["0px", "14px"])
      await page.getByLabel("Search").fill("")
      await page.getByLabel("Group by").selectOption("session")
      await page.locator(".group").filter({ hasText: "two" }).getByRole("button").click()
      await eventually(() => tools(page)).toEqual(["shell"])
      // where nothing matches, no bars of what was there before are left
      await page.getByLabel("Search").fill("nothing of that name")
      await page.getByText("No task matches.").waitFor()
      const heightOfBars = () =>
        page.locator("canvas.bars").evaluate((canvas) => canvas instanceof HTMLCanvasElement ? canvas.height : -1)
      await eventually(heightOfBars).toBe(0)
      isClean(visitor)
    })
  )

  it(
    "is used with the keyboard alone",
    withHost({}, async (host) => {
      const older = await host.start("older")
      const visitor = await visit(host)
      const { page } = visitor
      await sees(page, older, "Running")
      const newer = await host.start("newer")
      await sees(page, newer, "Running")
      await page.keyboard.press("j")
      await page.locator(`[data-task="${newer}"][aria-selected=true]`).waitFor()
      await page.keyboard.press("ArrowDown")
      await page.keyboard.press("Enter")
      await page.getByLabel("Details of the task").getByRole("heading", { name: "older" }).waitFor()
      await page.keyboard.press("Shift+D")
      await page.locator(".happenings .is-Detached").waitFor()
      await page.keyboard.press("Shift+C")
      await sees(page, older, "Cancelled")
      await page.keyboard.press("Escape")
      await eventually(() => page.getByLabel("Details of the task").count()).toBe(0)
      // what is focused is seen
      const outline = await page.locator(".scroller").evaluate((element) => [
        document.activeElement === element,
        getComputedStyle(element).outlineStyle
      ])
      assert.deepStrictEqual(outline, [true, "solid"])
      const selected = await page.locator(".scroller").getAttribute("aria-activedescendant")
      assert.strictEqual(await page.locator(`#${selected}`).getAttribute("data-task"), older)
      await page.keyboard.press("/")
      await page.keyboard.type("newer")
      await eventually(() => tools(page)).toEqual(["newer"])
      await page.keyboard.press("Escape")
      await page.keyboard.press("?")
      await page.getByRole("dialog").waitFor()
      await page.keyboard.press("Escape")
      await eventually(() => page.getByRole("dialog").count()).toBe(0)
      isClean(visitor)
    })
  )

  it(
    "zooms and moves the time line",
    withHost({}, async (host) => {
      await host.start("shell")
      const visitor = await visit(host)
      const { page } = visitor
      const length = page.locator(".zoom .span")
      await eventually(() => length.innerText()).toBe("1:00 min")
      await page.getByRole("button", { name: "Shorter" }).click()
      await eventually(() => length.innerText()).toBe("37 s")
      await page.keyboard.press("ArrowLeft")
      const live = page.getByRole("button", { name: "Live" })
      await eventually(() => live.getAttribute("aria-pressed")).toBe("false")
      await live.click()
      await eventually(() => live.getAttribute("aria-pressed")).toBe("true")
      // the colour of a bar that runs is somewhere on the canvas
      const isDrawn = () =>
        page.locator("canvas.bars").evaluate((element) => {
          if (!(element instanceof HTMLCanvasElement)) return false
          const pixels = element.getContext("2d")?.getImageData(0, 0, element.width, element.height).data ?? []
          for (let place = 0; place < pixels.length; place += 4) {
            if (pixels[place] === 63 && pixels[place + 1] === 124 && pixels[place + 2] === 240) return true
          }
          return false
        })
      await eventually(isDrawn).toBe(true)
      isClean(visitor)
    })
  )

  it(
    "keeps to the newest part of a log that is long",
    withHost({ config: { outputBuffer: 1_000_000 } }, async (host) => {
      const task = await host.start("build", { echo: true, write: "begin\n" })
      const visitor = await visit(host)
      const { page } = visitor
      await row(page, task).click()
      const log = page.getByLabel("Log")
      await log.getByText("begin").waitFor()
      for (let part = 0; part < 6; part++) {
        await host.run(host.manager.handle.steer(task, `${`${part}`.repeat(30_000)}\nend of ${part}\n`))
        await eventually(async () => (await log.innerText()).includes(`end of ${part}\n`)).toBe(true)
      }
      assert.notInclude(await log.innerText(), "begin")
      await page.getByRole("heading", { name: "the newest part" }).waitFor()
      isClean(visitor)
    })
  )

  it(
    "says that it cancels only where it cancels",
    withHost({}, async (host) => {
      const task = await host.start("shell")
      const visitor = await visit(host)
      const { page } = visitor
      await row(page, task).click()
      let goOn = () => {}
      const held = new Promise<void>((resolve) => goOn = resolve)
      await page.route("**/detach", async (route) => {
        await held
        await route.continue()
      })
      await page.getByRole("button", { name: "Detach", exact: true }).click()
      const cancel = page.getByLabel("Details of the task").getByRole("button", { name: /^Cancel/ })
      await eventually(() => cancel.isDisabled()).toBe(true)
      assert.strictEqual(await cancel.innerText(), "Cancel")
      goOn()
      await page.locator(".happenings .is-Detached").waitFor()
    })
  )

  it(
    "does not take what was typed into one request to another one, whose tool has given it the same id",
    withHost({}, async (host) => {
      const one = await host.start("shell", { ask: "rm -r build" })
      const other = await host.start("shell", { ask: "rm -r build" })
      const visitor = await visit(host)
      const { page } = visitor
      await page.getByRole("button", { name: "Approvals: 2 waiting" }).click()
      const inbox = page.getByLabel("Approvals", { exact: true })
      await inbox.locator(`[data-approval="${one}"]`).getByRole("button", { name: "Reject…" }).click()
      await inbox.getByLabel("Why it is rejected").fill("this one is wrong")
      await host.run(host.manager.handle.cancel(one))
      await eventually(() => inbox.locator(`[data-approval="${one}"]`).count()).toBe(0)
      await inbox.locator(`[data-approval="${other}"]`).waitFor()
      assert.strictEqual(await inbox.getByLabel("Why it is rejected").count(), 0)
      isClean(visitor)
    })
  )

  it(
    "shows of the open task what it did while the connection was lost",
    withHost({}, async (host) => {
      const task = await host.start("build", { echo: true, write: "first line\n" })
      const visitor = await visit(host)
      const { page } = visitor
      await row(page, task).click()
      await page.getByLabel("Log").getByText("first line").waitFor()
      await page.route("**/api/caller", (route) => route.abort())
      host.closeConnections()
      await page.locator(".connection.is-Lost").waitFor()
      await host.run(host.manager.handle.steer(task, "second line\n"))
      await host.run(host.manager.handle.cancel(task))
      await page.unroute("**/api/caller")
      await page.getByLabel("Log").getByText("second line").waitFor()
      await page.getByLabel("Failure").or(page.getByLabel("Result")).first().waitFor()
      assert.deepStrictEqual(visitor.complaints, { errors: [], strangers: [] })
    })
  )

  it(
    "goes on after the server was started again",
    withHost({}, async (host) => {
      const lost = await host.start("before")
      const visitor = await visit(host)
      const { page } = visitor
      await sees(page, lost, "Running")
      await host.stop()
      await page.locator(".connection.is-Lost").waitFor()
      const again = await startHost({ port: host.port })
      try {
        const found = await again.start("after", {}, { id: "another" })
        await isLive(page)
        await sees(page, found, "Running")
        await eventually(() => row(page, lost).count()).toBe(0)
        await row(page, found).click()
        await page.getByRole("button", { name: "Cancel", exact: true }).click()
        await sees(page, found, "Cancelled")
        assert.deepStrictEqual(visitor.complaints, { errors: [], strangers: [] })
      } finally {
        await again.stop()
      }
    })
  )

  it(
    "shows the same in two browsers side by side",
    withHost({}, async (host) => {
      const task = await host.start("shell")
      const asks = await host.start("shell", { ask: "rm -r build" })
      const one = await visit(host)
      const other = await visit(host, { address: host.url })
      await other.page.getByLabel("Token").fill(token)
      await other.page.getByRole("button", { name: "Open" }).click()
      await Promise.all([sees(one.page, task, "Running"), sees(other.page, task, "Running")])
      await row(one.page, task).click()
      await one.page.getByRole("button", { name: "Cancel", exact: true }).click()
      await sees(other.page, task, "Cancelled")
      // both have the request open; the one who is late is told
      await row(one.page, asks).click()
      await row(other.page, asks).click()
      const late = other.page.getByRole("button", { name: "Approve" })
      await late.waitFor()
      await one.page.getByRole("button", { name: "Approve" }).click()
      await sees(other.page, asks, "Completed")
      await eventually(() => late.count()).toBe(0)
      isClean(one)
      isClean(other)
    })
  )

  it(
    "offers no more than a login allows",
    withHost(
      { http: { tokens: [{ name: "reader", token: Redacted.make(token), scopes: ["read"] }] } },
      async (host) => {
        const task = await host.start("shell", { ask: "rm -r build" })
        const visitor = await visit(host)
        await row(visitor.page, task).click()
        await visitor.page.getByText("This login may not answer.").waitFor()
        const buttons = await visitor.page.getByLabel("Details of the task").getByRole("button").allInnerTexts()
        // to close it, and to go to the task
        assert.deepStrictEqual(buttons, ["", "shell"])
        isClean(visitor)
      }
    )
  )

  it(
    "shows hostile text as text",
    withHost({}, async (host) => {
      const markup = "<img src=x onerror=\"window.hacked=1\"><script>window.hacked=1</script>"
      const turned = "invoice\u202egpj.exe\u0000\u200b\u2066"
      const id = "task \"]'<b>/../%00"
      const task = await host.start(
        markup,
        { echo: true, progress: { message: `${markup}${turned}` }, write: `${markup}\n${turned}\n` },
        { session: markup, turn: turned, callId: markup, id }
      )
      const asks = await host.start(turned, { ask: `${markup}${turned}` }, { session: turned })
      await host.start("__proto__", {}, { session: "constructor" })
      await host.start("x".repeat(100_000))
      await host.start("fails", { fail: markup, result: markup }, { id: "fails" })
      const visitor = await visit(host)
      const { page } = visitor
      const line = page.locator(".line.task").filter({ hasText: "<img" }).first()
      await line.click()
      await page.getByLabel("Log").getByText("invoice\\u{202e}gpj.exe\\u{0}").waitFor()
      await page.getByRole("heading", { name: markup.slice(0, 20) }).waitFor()
      await page.getByLabel("Group by").selectOption("session")
      await page.locator(".group").filter({ hasText: "constructor" }).waitFor()
      await page.keyboard.press("a")
      await page.locator(`[data-approval="${asks}"]`).getByLabel("What is asked").getByText("invoice\\u{202e}gpj.exe")
        .waitFor()
      // a path is made of the id, whatever is in it
      await line.click()
      await page.getByRole("button", { name: "Cancel", exact: true }).click()
      await eventually(() => host.status(task)).toBe("Cancelled")
      const found = await page.evaluate(() => ({
        images: document.querySelectorAll("img, #root script, b").length,
        hacked: "hacked" in window
      }))
      assert.deepStrictEqual(found, { images: 0, hacked: false })
      const shown = await page.locator("body").innerText()
      for (const hidden of ["\u202e", "\u0000", "\u200b", "\u2066"]) assert.notInclude(shown, hidden)
      await keepPicture(page, "hostile")
      isClean(visitor)
    })
  )

  it(
    "tells what the server could not do",
    withHost({}, async (host) => {
      const task = await host.start("shell")
      const visitor = await visit(host)
      const { page } = visitor
      await row(page, task).click()
      await page.route("**/cancel", (route) => route.fulfill({ status: 500, json: { detail: "the disk is full" } }))
      await page.getByRole("button", { name: "Cancel", exact: true }).click()
      await page.getByText("Cancelling failed: the disk is full").waitFor()
      await sees(page, task, "Running")
    })
  )

  it(
    "can be read on a telephone, in the light and in the dark",
    withHost({}, async (host) => {
      for (const [place, name] of ["read_file", "shell", "edit_file", "run_tests", "web_search", "grep"].entries()) {
        await host.start(name, { background: place % 2 === 0 }, { session: `session-${place % 3}` })
      }
      const asks = await host.start("shell", { ask: "rm -r build && git push --force origin main" })
      const small = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true }
      const visitor = await visit(host, small)
      const { page } = visitor
      await sees(page, asks, "Suspended")
      const tooWide = () => page.evaluate(() => document.documentElement.scrollWidth > innerWidth)
      assert.isFalse(await tooWide())
      await keepPicture(page, "390")
      await row(page, asks).tap()
      await page.getByRole("button", { name: "Approve" }).waitFor()
      assert.isFalse(await tooWide())
      await keepPicture(page, "390-details")
      const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
      const light = await background()
      await page.emulateMedia({ colorScheme: "dark" })
      assert.notStrictEqual(await background(), light)
      await keepPicture(page, "390-dark")
      isClean(visitor)
    })
  )
})

/** Ten thousand live tasks and a thousand events a second: how long the page is busy at a time. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { isFull } from "../../../support/fullMode.js"
import { type Host, startHost } from "../host.js"
import { inBrowser, keepPicture } from "./browser.js"

const many = isFull ? 10_000 : 2_000

/** For how long events come, in milliseconds, and how many of them in a second. */
const during = isFull ? 10_000 : 1_500
const rate = 1_000

const tools = ["read_file", "shell", "edit_file", "web_search", "run_tests", "grep"]

const startMany = async (host: Host): Promise<void> => {
  for (let number = 0; number < many; number++) {
    const input = { background: number % 3 === 0, lane: `lane-${number % 5}` }
    await host.start(tools[number % tools.length] ?? "shell", input, { session: `session-${number % 40}` })
  }
}

/** Lets tasks come and go: each cancel and each start is about two events. */
const stir = async (host: Host): Promise<number> => {
  const live = (await host.run(host.manager.handle.listRunning)).map(({ id }) => id)
  const begin = performance.now()
  let made = 0
  while (performance.now() - begin < during) {
    const due = ((performance.now() - begin) / 1_000) * rate
    while (made < due) {
      const oldest = live.shift()
      if (oldest !== undefined) await host.run(host.manager.handle.cancel(oldest))
      const sessionId = { session: `session-${made % 40}` }
      live.push(await host.start(tools[made % tools.length] ?? "shell", { background: true }, sessionId))
      made += 3
    }
    await host.run(Effect.sleep(5))
  }
  return made
}

inBrowser(`the board with ${many} live tasks`, ({ visit }) => {
  it("shows them all, follows what happens, and is never busy for long", async () => {
    const host = await startHost({
      config: {
        lanes: { "lane-0": 5_000, "lane-1": 5_000, "lane-2": 5_000, "lane-3": 5_000, "lane-4": 5_000 },
        historyLimit: 2_000,
        eventBuffer: 65_536,
        cancelGracePeriod: 100
      }
    })
    try {
      await startMany(host)
      const { complaints, page } = await visit(host, { address: `${host.url}/board/icon.svg` })
      // before anything of the page has run
      await page.addInitScript(() => {
        const found: Array<number> = []
        Object.assign(window, { longTasks: found })
        new PerformanceObserver((list) => {
          for (const { duration } of list.getEntries()) found.push(Math.round(duration))
        }).observe({ type: "longtask", buffered: true })
      })
      const longTasks = (): Promise<ReadonlyArray<number>> =>
        page.evaluate(() => {
          const found: unknown = "longTasks" in window ? window.longTasks : []
          return Array.isArray(found) ? found.splice(0).map(Number) : []
        })
      await page.goto(host.page)
      await page.waitForFunction(
        (count) => document.querySelector(".total")?.textContent?.replace(/\D/g, "") === count,
        String(many)
      )
      const loading = await longTasks()
      const made = await stir(host)
      // what was told last is seen: the page has kept up
      const last = await host.start("the last one")
      await page.locator(`[data-task="${last}"]`).waitFor()
      const stirring = await longTasks()
      await keepPicture(page, `${many}-tasks`)
      // scrolled to the end, with only so many elements
      await page.locator(".scroller").evaluate((element) => element.scrollTo(0, element.scrollHeight))
      await page.locator(`[aria-rowcount]`).waitFor()
      const elements = await page.locator(".line").count()
      assert.isBelow(elements, 100)
      await page.getByLabel("Group by").selectOption("family")
      await page.getByLabel("Search").fill("shell")
      await page.getByLabel("Search").fill("shell lane-3")
      await page.getByLabel("Group by").selectOption("session")
      await page.keyboard.press("Escape")
      const using = await longTasks()
      assert.deepStrictEqual(complaints.errors, [])
      const worst = {
        loading: Math.max(0, ...loading),
        stirring: Math.max(0, ...stirring),
        using: Math.max(0, ...using)
      }
      const count = { loading: loading.length, stirring: stirring.length, using: using.length }
      console.log(
        `the board, ${many} live tasks, ${made} events: longest task of the main thread, in ms`,
        worst,
        "how many above 50 ms",
        count
      )
      // measured where nothing else runs beside it
      if (isFull) assert.isAtMost(Math.max(...Object.values(worst)), 100)
    } finally {
      await host.stop()
    }
  })
})

/** Ten thousand live tasks and a thousand events a second: how long the page is busy at a time. */
import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
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

const Traced = Schema.Struct({
  traceEvents: Schema.Array(Schema.Struct({
    name: Schema.String,
    pid: Schema.Number,
    tid: Schema.Number,
    tdur: Schema.optional(Schema.Number),
    args: Schema.optional(Schema.Unknown)
  }))
})

/**
 * How long the main threads of pages were busy at a time, in milliseconds of processor time: what else runs on the machine does not
 * count.
 */
const tasksOf = (trace: Buffer): ReadonlyArray<number> => {
  const { traceEvents } = Schema.decodeUnknownSync(Schema.parseJson(Traced))(trace.toString())
  const mains = new Set(
    traceEvents.filter(({ args, name }) => name === "thread_name" && JSON.stringify(args).includes("CrRendererMain"))
      .map(({ pid, tid }) => `${pid} ${tid}`)
  )
  return traceEvents.flatMap(({ name, pid, tdur, tid }) =>
    name === "RunTask" && tdur !== undefined && mains.has(`${pid} ${tid}`) ? [Math.round(tdur / 100) / 10] : []
  )
}

inBrowser(`the board with ${many} live tasks`, ({ browser, visit }) => {
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
      await browser().startTracing(page, { categories: ["disabled-by-default-devtools.timeline"] })
      await page.goto(host.page)
      await page.waitForFunction(
        (count) => document.querySelector(".total")?.textContent?.replace(/\D/g, "") === count,
        String(many)
      )
      const made = await stir(host)
      // what was told last is seen: the page has kept up
      const last = await host.start("the last one")
      await page.locator(`[data-task="${last}"]`).waitFor()
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
      assert.deepStrictEqual(complaints.errors, [])
      const lengths = tasksOf(await browser().stopTracing())
      const longest = Math.max(...lengths)
      console.log(
        `the board, ${many} live tasks, ${made} events: the longest task of its main thread took ${longest} ms, and`,
        `${lengths.filter((length) => length > 50).length} of ${lengths.length} more than 50 ms`
      )
      assert.isAbove(lengths.length, 100)
      // 100 ms is what it is held against, on an idle machine: docs/board.md; here twice that, for machines that are not
      if (isFull) assert.isAtMost(longest, 200)
    } finally {
      await host.stop()
    }
  })
})

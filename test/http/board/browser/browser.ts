/** Debian's Chromium, for tests that need a browser. */
import { afterAll, beforeAll, describe } from "@effect/vitest"
import { existsSync } from "node:fs"
import { mkdir } from "node:fs/promises"
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core"
import { buildBoard } from "../../../../scripts/board.js"
import type { Host } from "../host.js"

const executablePath = process.env["CHROMIUM_PATH"] ?? "/usr/bin/chromium"
const isThere = existsSync(executablePath)

const flags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync"
]

const launch = (more: ReadonlyArray<string> = []): Promise<Browser> =>
  chromium.launch({ executablePath, args: [...flags, ...more] })

/** What a page has said that it should not: errors, and requests to somewhere else. */
interface Complaints {
  readonly errors: Array<string>
  readonly strangers: Array<string>
}

export interface Visitor {
  readonly page: Page
  readonly complaints: Complaints
}

/** Opens the board in a browser of its own, logged in with the token. */
export type Visit = (host: Host, options?: BrowserContextOptions & { readonly address?: string }) => Promise<Visitor>

/**
 * Tests in a browser. Where there is none they are skipped, and say so: CI has one.
 *
 * Each visitor has cookies of its own.
 */
export const inBrowser = (
  name: string,
  tests: (tools: { readonly visit: Visit; readonly browser: () => Browser }) => void,
  more: ReadonlyArray<string> = []
): void => {
  if (!isThere) {
    console.warn(`SKIPPED, for there is no ${executablePath}: ${name}. Install it with: npm run browser:install`)
  }
  describe.skipIf(!isThere)(name, () => {
    let browser: Browser | undefined
    const running = (): Browser => {
      if (browser === undefined) throw new Error("the browser is started before the tests")
      return browser
    }
    beforeAll(async () => {
      await buildBoard("src")
      browser = await launch(more)
    })
    afterAll(() => browser?.close())

    const visit: Visit = async (host, { address, ...options } = {}) => {
      const context = await running().newContext({ viewport: { width: 1280, height: 800 }, ...options })
      const page = await context.newPage()
      page.setDefaultTimeout(20_000)
      const complaints: Complaints = { errors: [], strangers: [] }
      page.on("pageerror", (error) => complaints.errors.push(error.message))
      page.on("console", (message) => {
        // that a server is away is what some tests are about
        if (message.type() === "error" && !message.text().includes("Failed to load resource")) {
          complaints.errors.push(message.text())
        }
      })
      page.on("request", (request) => {
        const { origin, protocol } = new URL(request.url())
        if (origin !== host.url && protocol !== "data:") complaints.strangers.push(request.url())
      })
      await page.goto(address ?? host.page)
      return { page, complaints }
    }
    tests({ visit, browser: running })
  })
}

/** Keeps a picture of a page, for people: git ignores the folder. */
export const keepPicture = async (page: Page, name: string): Promise<void> => {
  await mkdir("screenshots", { recursive: true })
  await page.screenshot({ path: `screenshots/${name}.png` })
}

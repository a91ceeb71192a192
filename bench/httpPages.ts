/**
 * Pages of lists, with few and with many settled tasks, on two managers in one process: what a page takes of the processor of the server,
 * and nothing of its client. The task that is rare in everything is the oldest of all.
 */
import { Context, Effect, Layer } from "effect"
import { fork } from "node:child_process"
import { join } from "node:path"
import { managerWith, portOf, runCalls, runRareCall, serveOurs, Server, token } from "./httpServer.js"

const queries = {
  "all": "",
  "status": "&status=Failed",
  "session": "&sessionId=rare",
  "session, status": "&sessionId=bench&status=Failed",
  "turn": "&turnId=rare",
  "kind": "&kind=Background",
  "lane": "&lane=rare",
  "tool": "&tool=rare",
  "text": "&text=rare"
}

interface Answer {
  readonly found: number
  readonly next?: string
}

/** A list that is read page by page, and again from its beginning. */
interface Reader {
  readonly port: number
  readonly query: string
  cursor: string | undefined
  found: number
  readonly took: Array<number>
}

const percentile = (all: ReadonlyArray<number>, part: number): number =>
  [...all].sort((left, right) => left - right)[Math.floor(all.length * part)] ?? 0

const served = (tasks: number) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(
      managerWith({ historyLimit: tasks, historyBytes: 1_000_000_000, lanes: { rare: 1 } })
    )
    yield* Effect.provide(Effect.zipRight(runRareCall, runCalls(tasks - 1)), context)
    const server = yield* Layer.build(Server)
    yield* Effect.provide(serveOurs(), Context.merge(context, server))
    return yield* Effect.provide(portOf, server)
  })

export const measurePages = (tasks: number, pages: number): Promise<void> =>
  Effect.runPromise(
    Effect.gen(function*() {
      const few = yield* served(1_000)
      const many = yield* served(tasks)
      const child = fork(join(import.meta.dirname, "httpPager.mjs"), [token])
      const ask = (port: number, path: string): Promise<Answer> =>
        new Promise((resolve) => {
          child.once("message", resolve)
          child.send({ port, path })
        })
      const read = async (reader: Reader): Promise<void> => {
        const cursor = reader.cursor === undefined ? "" : `&cursor=${reader.cursor}`
        const before = process.cpuUsage()
        const { found, next } = await ask(reader.port, `/api/tasks?limit=100${reader.query}${cursor}`)
        const { system, user } = process.cpuUsage(before)
        reader.took.push((system + user) / 1_000)
        reader.found += found
        reader.cursor = next
      }
      console.log(`pages of 100, in ms of processor: median (p99) of 1000 tasks, of ${tasks} tasks, ratio`)
      for (const [name, query] of Object.entries(queries)) {
        const readers = [few, many].map((port): Reader => ({ port, query, cursor: undefined, found: 0, took: [] }))
        for (let page = 0; page < pages; page++) {
          // who begins changes from page to page
          for (const reader of page % 2 === 0 ? readers : [...readers].reverse()) {
            yield* Effect.promise(() => read(reader))
          }
        }
        const counted = readers.map(({ took }) => took.slice(Math.min(200, pages / 2)))
        const [medians, late] = [0.5, 0.99].map((part) => counted.map((took) => percentile(took, part)))
        const text = readers.map((_, index) => `${medians?.[index]?.toFixed(2)} (${late?.[index]?.toFixed(2)})`)
        const ratios = [medians, late].map((pair) => ((pair?.[1] ?? 0) / (pair?.[0] ?? 1)).toFixed(2))
        console.log(`  ${name.padEnd(16)} ${text.join("   ")}   ${ratios[0]} (${ratios[1]})`)
      }
      child.kill()
    }).pipe(Effect.scoped)
  )

/** The simulator of durable managers has to find mistakes: here they are put in, one at a time, and each has to be found. */
import { Effect } from "effect"
import { afterEach, assert, describe, it, vi } from "vitest"
import type * as Delivery from "../../src/machine/delivery.js"
import type * as Restore from "../../src/machine/restore.js"
import type * as JournalWriter from "../../src/runtime/journal/JournalWriter.js"
import type { JournalGroup } from "../../src/services/Journal.js"
import type * as MemoryDatabase from "./durable/MemoryDatabase.js"
import type { DurablePlan } from "./durable/plan.js"
import { findMistake } from "./findMistake.js"

interface Modules {
  "../../src/machine/delivery.js": typeof Delivery
  "../../src/machine/restore.js": typeof Restore
  "../../src/runtime/journal/JournalWriter.js": typeof JournalWriter
  "./durable/MemoryDatabase.js": typeof MemoryDatabase
}

type Mutation = { readonly [Name in keyof Modules]?: (original: Modules[Name]) => object }

const enough = 2_000

afterEach(() => {
  vi.resetModules()
})

const findsWith = (
  rules: ReadonlyArray<string>,
  mutation: Mutation,
  focus?: (plan: DurablePlan) => DurablePlan
) =>
  findMistake({
    mutations: mutation,
    load: async () => {
      const { simulateDurable } = await import("./durable/simulateDurable.js")
      return (seed) => simulateDurable({ seed, focus }).violations
    },
    isMeant: ({ rule }) => rules.includes(rule),
    seeds: enough,
    inARow: 100
  })

/** `rules`: what the mistake breaks; it may show in other ways before. */
const finds = (
  mistake: string,
  rules: ReadonlyArray<string>,
  mutation: Mutation,
  focus?: (plan: DurablePlan) => DurablePlan
): void => {
  it(mistake, async () => {
    const found = await findsWith(rules, mutation, focus)
    if (found === undefined) return assert.fail(`not found in ${enough} seeds`)
    console.log(`${mistake}: seed ${found.seed} (${found.rule}): ${found.message}`)
  }, 600_000)
}

/** The writer with a few of its members replaced, its private ones among them. */
const writerWith = (change: (writer: any) => void): Mutation => ({
  "../../src/runtime/journal/JournalWriter.js": (original) => {
    const Writer: any = original.JournalWriter
    return {
      JournalWriter: class extends Writer {
        constructor(...args: ReadonlyArray<unknown>) {
          super(...args)
          change(this)
        }
      }
    }
  }
})

/** Does something before a member of the writer is called. */
const before = (writer: any, name: string, act: () => void): void => {
  const original = writer[name].bind(writer)
  writer[name] = (...args: ReadonlyArray<unknown>) => {
    act()
    return original(...args)
  }
}

/** What comes back after a restart, changed. */
const restoreWith = (change: (table: any) => void): Mutation => ({
  "../../src/machine/restore.js": (original) => ({
    restore: (...[table, tasks]: Parameters<typeof Restore.restore>) => {
      const revivals = original.restore(table, tasks)
      change(table)
      return revivals
    }
  })
})

describe("the simulator finds mistakes of the writer", () => {
  finds(
    "a reply leaves before the write",
    ["written first"],
    writerWith((writer) => {
      writer.synced = Effect.void
    })
  )

  finds(
    "events leave before the write",
    ["written first"],
    writerWith((writer) => {
      const afterStep = writer.afterStep.bind(writer)
      writer.afterStep = () => {
        afterStep()
        const { letOut } = writer.owner.takeHeld()
        letOut()
        return "Hold"
      }
    })
  )

  finds(
    "a delivery leaves before the write",
    ["written first"],
    writerWith((writer) => {
      Object.defineProperty(writer, "lastWritten", { get: () => Infinity, set: () => {} })
    })
  )

  finds(
    "who waits for a delivery is not woken when it is written",
    ["woken", "hang"],
    writerWith((writer) => {
      before(writer, "groupWritten", () => {
        writer.owner = { ...writer.owner, arrived: () => {} }
      })
    })
  )

  finds(
    "who waits for a reply is not woken when a group is written",
    ["hang"],
    writerWith((writer) => {
      before(writer, "groupWritten", () => {
        writer.inFlightWaiters = []
      })
    })
  )

  finds(
    "a manager that is lost still tells",
    ["written first"],
    writerWith((writer) => {
      const afterStep = writer.afterStep.bind(writer)
      writer.afterStep = () => afterStep() === "Hold" ? "Hold" : "LetOut"
    })
  )

  finds(
    "what is taken is not acknowledged",
    ["taken once"],
    writerWith((writer) => {
      writer.acknowledged = () => {}
    })
  )

  finds(
    "a row that is written again undoes an acknowledgement",
    ["taken once"],
    writerWith((writer) => {
      const { rowOf } = writer
      writer.rowOf = (entry: any) => {
        const row = rowOf.call(writer, entry)
        const order = entry.sent.result?.delivery.order
        return row?.result === "AsStored" && order !== undefined ? { ...row, result: order } : row
      }
    }),
    (plan) => ({ ...plan, historyLimit: 1, faults: { ...plan.faults, slow: 0.6 } })
  )

  const retriesWith = (again: (group: JournalGroup) => JournalGroup): Mutation =>
    writerWith((writer) => {
      const { write } = writer.journal
      const seen = new Set<JournalGroup>()
      writer.journal = {
        ...writer.journal,
        write: (group: JournalGroup) => {
          const isFirst = !seen.has(group)
          seen.add(group)
          return write(isFirst ? group : again(group))
        }
      }
    })

  finds(
    "a write that is made again writes its rows twice",
    ["rows", "one run", "one end", "taken once"],
    retriesWith((group) => ({ ...group, rows: group.rows.map((row) => ({ ...row, number: row.number + 1_000 })) }))
  )

  finds(
    "a write that is made again leaves out its rows",
    ["written first", "nothing is lost", "rows"],
    retriesWith((group) => ({ ...group, rows: [] }))
  )
})

describe("the simulator finds mistakes of a restart", () => {
  finds(
    "events are numbered from the beginning",
    ["numbers"],
    restoreWith((table) => {
      table.seq = 0
    })
  )

  finds(
    "tasks are numbered from the beginning",
    ["numbers"],
    restoreWith((table) => {
      table.lastTaskNumber = 0
    })
  )

  finds(
    "deliveries are numbered from the beginning",
    ["numbers"],
    restoreWith((table) => {
      table.lastDelivery = 0
    })
  )

  finds("a task is launched twice", ["one run"], {
    "../../src/machine/restore.js": (original) => ({
      restore: (...args: Parameters<typeof Restore.restore>) => {
        const revivals = original.restore(...args)
        return [...revivals, ...revivals]
      }
    })
  })

  finds("a tool runs again that may not", ["one run"], {
    "../../src/machine/restore.js": (original) => ({
      isRunnable: (revival: Restore.Revival) => original.isRunnable(revival, true)
    })
  })

  finds("what nobody has taken does not come again", ["nothing is lost"], {
    "../../src/machine/delivery.js": () => ({ sendAgain: () => {} })
  })
})

describe("the simulator finds mistakes of the store", () => {
  finds("the epoch is not looked at", ["numbers", "taken once", "one end"], {
    "./durable/MemoryDatabase.js": (original) => ({
      MemoryDatabase: class extends original.MemoryDatabase {
        override isOwner(): boolean {
          return true
        }
      }
    })
  })
})

/** The simulator of durable managers has to find mistakes: here they are put in, one at a time, and each has to be found. */
import { Effect } from "effect"
import { afterEach, assert, describe, it, vi } from "vitest"
import type * as HostReads from "../../src/durable/internal/hostReads.js"
import type * as OutputRows from "../../src/durable/internal/outputRows.js"
import type * as Retention from "../../src/durable/internal/retention.js"
import type * as Delivery from "../../src/machine/delivery.js"
import type * as History from "../../src/machine/history.js"
import type * as Restore from "../../src/machine/restore.js"
import type * as JournalWriter from "../../src/runtime/journal/JournalWriter.js"
import type { JournalGroup, OutputChunk } from "../../src/services/Journal.js"
import type * as MemoryDatabase from "./durable/MemoryDatabase.js"
import type { DurablePlan } from "./durable/plan.js"
import { findMistake } from "./findMistake.js"

interface Modules {
  "../../src/durable/internal/hostReads.js": typeof HostReads
  "../../src/durable/internal/outputRows.js": typeof OutputRows
  "../../src/durable/internal/retention.js": typeof Retention
  "../../src/machine/history.js": typeof History
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
      writer.afterWrite = (answer: unknown) => answer
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
    "who was to go on later is forgotten when the next group is written",
    ["hang"],
    writerWith((writer) => {
      before(writer, "groupWritten", () => {
        writer.written = []
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
    // a row is written again when memory forgets its task, and the next process reads it
    (plan) => ({
      ...plan,
      lives: Array.from({ length: 3 }, () => ({ end: "Kill", after: 100, stoppedFor: 0 })),
      rounds: 6,
      calls: 6,
      historyLimit: 1,
      keeping: { ...plan.keeping, settled: 0 },
      faults: { ...plan.faults, fails: 0, diesBefore: 0, diesAfter: 0, slow: 0.9 },
      features: {
        ...plan.features,
        approvals: false,
        background: false,
        cancels: false,
        closings: false,
        detaching: true,
        interruptedTurns: false,
        refusals: false
      }
    })
  )

  finds(
    "that everything a row owed was delivered is not written",
    ["taken once"],
    writerWith((writer) => {
      const { write } = writer.journal
      writer.journal = { ...writer.journal, write: (group: JournalGroup) => write({ ...group, delivered: [] }) }
    })
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
  finds("what a failed consumer has committed is put back", ["taken once"], {
    "./durable/MemoryDatabase.js": (original) => ({
      MemoryDatabase: class extends original.MemoryDatabase {
        override unowed(): ReadonlyArray<number> {
          return []
        }
      }
    })
  })

  finds("what was acknowledged, unseen, is stored once more", ["stored once"], {
    "./durable/MemoryDatabase.js": (original) => ({
      MemoryDatabase: class extends original.MemoryDatabase {
        override acknowledge(...given: Parameters<InstanceType<typeof original.MemoryDatabase>["acknowledge"]>) {
          const [epoch, note, all] = given
          return super.acknowledge(epoch, note, all, [])
        }
      }
    })
  }, (plan) => ({ ...plan, features: { ...plan.features, refusals: true } }))

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

/** Sweeps that are given something else. */
const sweepsWith = (change: (sweeper: Retention.Sweeper) => Partial<Retention.Sweeper>): Mutation => ({
  "../../src/durable/internal/retention.js": ({ sweepAgain }) => ({
    sweepAgain: (sweeper: Retention.Sweeper) => sweepAgain({ ...sweeper, ...change(sweeper) })
  })
})

const answering = <Value>(value: Value) => () => Effect.succeed(value)

describe("the simulator finds mistakes of a sweep", () => {
  finds(
    "rows go that are owed to somebody",
    ["retention"],
    sweepsWith(({ rows }) => ({ rows: { ...rows, owed: answering(new Set<number>()) } }))
  )

  finds(
    "rows go before their time",
    ["retention"],
    sweepsWith(({ retention }) => ({ retention: { ...retention, settled: Math.min(retention.settled, 1) } }))
  )

  finds(
    "results are dropped before their time",
    ["retention"],
    sweepsWith(({ retention }) => ({ retention: { ...retention, undelivered: Math.min(retention.undelivered, 1) } }))
  )

  finds(
    "results are dropped that may wait for ever",
    ["retention"],
    sweepsWith(({ retention }) => ({ retention: { ...retention, undelivered: 40 } })),
    (plan) => ({ ...plan, keeping: { ...plan.keeping, undelivered: Infinity } })
  )

  finds(
    "rows do not go",
    ["gone"],
    writerWith((writer) => {
      writer.remove = () => {}
    })
  )

  finds(
    "what is delivered late does not go",
    ["gone"],
    writerWith((writer) => {
      const remove = writer.remove.bind(writer)
      writer.remove = (numbers: ReadonlyArray<number>) => remove(numbers, 0)
    }),
    (plan) => ({ ...plan, keeping: { ...plan.keeping, settled: 10, undelivered: Infinity } })
  )

  finds(
    "what nobody takes is not looked for",
    ["gone"],
    sweepsWith(({ rows }) => ({ rows: { ...rows, untaken: answering([]) } }))
  )

  finds("memory keeps what is too old", ["gone"], {
    "../../src/machine/history.js": () => ({ forgetThrough: () => {} })
  })
})

describe("the simulator finds mistakes of what is kept", () => {
  finds("what memory has forgotten is not looked for in its row", ["kept"], {
    "../../src/durable/internal/hostReads.js": () => ({
      withStoredTasks: (manager: Parameters<typeof HostReads.withStoredTasks>[0]) => manager
    })
  })

  finds("a page of the history leaves out a task", ["kept"], {
    "../../src/durable/internal/hostReads.js": ({ withStoredTasks }) => ({
      withStoredTasks: (...[manager, reads]: Parameters<typeof withStoredTasks>) =>
        withStoredTasks(manager, {
          ...reads,
          rows: { ...reads.rows, page: (page) => reads.rows.page({ ...page, before: page.before - 1 }) }
        })
    })
  })

  finds(
    "the last of the output is not written",
    ["output"],
    writerWith((writer) => {
      writer.outputEnds = (task: unknown) => void writer.writing.delete(writer.entries.get(task))
    })
  )

  finds(
    "output is shown before it is written",
    ["written first"],
    writerWith((writer) => {
      writer.wrote = () => {}
    })
  )

  finds(
    "output of before a restart is forgotten",
    ["output"],
    { "../../src/durable/internal/outputRows.js": () => ({ ringOf: () => undefined }) }
  )

  finds(
    "output goes on at another byte after a restart",
    ["output"],
    {
      "../../src/durable/internal/outputRows.js": ({ ringOf }) => ({
        ringOf: (limit: number, chunks: ReadonlyArray<{ readonly start: number; readonly text: string }>) =>
          ringOf(limit, chunks.map(({ start, text }) => ({ start: start + 1, text })))
      })
    }
  )

  finds(
    "more of the output is forgotten than need be",
    ["output"],
    writerWith((writer) => {
      const cut = writer.cut.bind(writer)
      writer.cut = () => {
        const group = cut()
        const outputForgotten = group.output.map(({ bytes, number, start }: OutputChunk) => ({
          number,
          before: start + bytes
        }))
        return { ...group, outputForgotten }
      }
    })
  )

  finds(
    "the output of a row stays when the row goes",
    ["gone"],
    {
      "./durable/MemoryDatabase.js": (original) => ({
        MemoryDatabase: class extends original.MemoryDatabase {
          override commit(epoch: number, group: JournalGroup, leaseUntil: number): void {
            const { removed } = group
            super.commit(epoch, { ...group, removed: [] }, leaseUntil)
            for (const number of removed) this.rows.delete(number)
          }
        }
      })
    }
  )
})

/** The tables of docs/scale.md: each number follows from the inputs and the formulae there. */
import type { Inputs } from "./inputs.js"
import { runnersOfGroups, sessionsOfGroups, shards } from "./placing.js"
import { write } from "./writing.js"

/** What the document asks about. */
const scenario = {
  runners: 100,
  clients: 100,
  groups: 1_024,
  sessions: 1_000_000,
  serverCores: 16,
  runnerCores: 4,
  leaseSeconds: 4,
  seconds: 4,
  seed: 12
} as const

const count = (value: number): string => Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, " ")
const short = (value: number): string =>
  value >= 100 ? count(value) : value >= 10 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(2)
const percent = (value: number): string => `${(100 * value).toFixed(value < 0.1 ? 1 : 0)} %`

const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length)))
  const line = (cells: ReadonlyArray<string>) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`
  return [line(head), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...rows.map(line)].join("\n")
}

const numbers = (length: number): ReadonlyArray<number> => Array.from({ length }, (_, index) => index)
const sumOf = (values: Iterable<number>): number => {
  let sum = 0
  for (const value of values) sum += value
  return sum
}

/** How many sessions each runner has. */
const sessionsOfRunners = (groups: number, runners: ReadonlyArray<number>): ReadonlyArray<number> => {
  const placed = runnersOfGroups(groups, runners)
  const sessions = sessionsOfGroups(groups, scenario.sessions)
  const of = new Map(runners.map((runner) => [runner, 0]))
  sessions.forEach((size, group) => {
    const runner = placed[group] ?? 0
    of.set(runner, (of.get(runner) ?? 0) + size)
  })
  return [...of.values()]
}

const balance = (): string =>
  table(
    [
      "groups",
      "runners with sessions",
      "most on one runner",
      "times the mean",
      "groups that move when a runner leaves"
    ],
    [64, 256, scenario.groups, 4_096].map((groups) => {
      const all = numbers(scenario.runners)
      const of = sessionsOfRunners(groups, all)
      const before = runnersOfGroups(groups, all)
      const after = runnersOfGroups(groups, all.slice(1))
      const most = Math.max(...of)
      return [
        count(groups),
        count(of.filter((size) => size > 0).length),
        count(most),
        (most / (scenario.sessions / scenario.runners)).toFixed(1),
        `${count(before.filter((runner, group) => runner !== after[group]).length)}, of which ${
          count(before.filter((runner) => runner === 0).length)
        } were its own`
      ]
    })
  )

const resting = ({ idleServerMillisPerRunner, idleTransactionsPerRunner }: Inputs): string =>
  table(
    [
      "runners",
      "clients",
      "transactions/s of the engine",
      "rows of runners read/s",
      "leases renewed/s, all groups open",
      "cores of the database"
    ],
    [2, 10, scenario.runners, 300].map((runners) => {
      const clients = runners
      // every process reads the list of runners each second
      const read = (runners + clients) * runners
      const leases = scenario.groups / (scenario.leaseSeconds / 3)
      return [
        count(runners),
        count(clients),
        count(idleTransactionsPerRunner * runners + clients),
        count(read),
        short(leases),
        short(idleServerMillisPerRunner * runners / 1_000)
      ]
    })
  )

/** How the work is spread over the writers. */
const sharesOf = (writers: "runner" | "group"): ReadonlyArray<number> => {
  if (writers === "runner") {
    return sessionsOfRunners(scenario.groups, numbers(scenario.runners)).map((size) => size / scenario.sessions)
  }
  return Array.from(sessionsOfGroups(scenario.groups, scenario.sessions), (size) => size / scenario.sessions)
}

const callsPerHour = [1, 4, 10, 40, 100] as const
const rateOf = (calls: number): number => scenario.sessions * calls / 3_600

const load = (inputs: Inputs): string =>
  table(
    [
      "calls an hour of each session",
      "lifecycles/s",
      "one writer for",
      "transactions/s",
      "rows/s",
      "database busy",
      "p50",
      "p99"
    ],
    callsPerHour.flatMap((calls) =>
      (["runner", "group"] as const).map((writers) => {
        const lifecycles = rateOf(calls)
        const { busy, p50, p99, rows, transactions } = write(inputs, {
          seed: scenario.seed,
          lifecycles,
          shares: sharesOf(writers),
          serverCores: scenario.serverCores,
          seconds: scenario.seconds
        })
        return [
          count(calls),
          count(lifecycles),
          writers === "runner" ? "each runner" : "each group",
          count(transactions),
          count(rows),
          percent(busy),
          `${short(p50)} ms`,
          `${short(p99)} ms`
        ]
      })
    )
  )

const processes = ({ bytesPerTask, clientMillisPerLifecycle, runnerMillisPerLifecycle }: Inputs): string =>
  table(
    ["lifecycles/s", "cores of the runners", "cores of the clients", "rows of a day on the disk", "kept for 7 days"],
    callsPerHour.map((calls) => {
      const lifecycles = rateOf(calls)
      const day = lifecycles * 86_400 * bytesPerTask / 1e9
      return [
        count(lifecycles),
        short(lifecycles * runnerMillisPerLifecycle / 1_000),
        short(lifecycles * clientMillisPerLifecycle / 1_000),
        `${count(day)} GB`,
        `${short(7 * day / 1_000)} TB`
      ]
    })
  )

const takeover = ({ openingMillisPerRow }: Inputs): string =>
  table(
    ["live tasks", "groups of one runner", "live tasks of one runner", "to read them"],
    [10_000, 100_000, 1_000_000].map((live) => {
      const groups = scenario.groups / scenario.runners
      const tasks = live / scenario.runners
      return [count(live), short(groups), count(tasks), `${short(tasks * openingMillisPerRow)} ms`]
    })
  )

const ends = (inputs: Inputs): string => {
  const { clientMillisPerLifecycle, rowsPerLifecycle, runnerMillisPerLifecycle, serverMillisPerRow } = inputs
  const ofDatabase = scenario.serverCores * 1_000 / (rowsPerLifecycle * serverMillisPerRow)
  const ofRunners = scenario.runners * scenario.runnerCores * 1_000 / runnerMillisPerLifecycle
  // a process of Node computes on one core
  const ofProcesses = scenario.runners * 1_000 / runnerMillisPerLifecycle
  const ofClients = scenario.clients * 1_000 / clientMillisPerLifecycle
  const shares = sharesOf("runner")
  const fullest = Math.max(...shares) / (sumOf(shares) / shares.length)
  return table(["what ends", "at", "why", "what to do then"], [
    [
      "database",
      `${count(ofDatabase)} lifecycles/s`,
      `${scenario.serverCores} cores, rows alone`,
      "shard the journals"
    ],
    [
      "processes of runners",
      `${count(ofProcesses / fullest)} lifecycles/s`,
      `one core each, the fullest has ${fullest.toFixed(1)} times the mean`,
      `more runners: ${count(ofRunners / fullest)} on ${scenario.runnerCores} processes for each machine`
    ],
    ["processes of clients", `${count(ofClients)} lifecycles/s`, "one core each", "more clients"],
    ["placement", `${shards} runners`, "the engine has so many shards", "`shardsPerGroup`, before the first start"],
    [
      "lists of runners",
      `${count((scenario.runners + scenario.clients) * scenario.runners)} rows/s, by the square`,
      "every process reads all runners each second",
      "`refreshAssignmentsInterval`"
    ]
  ])
}

const idle = ({ bytesPerOpenGroup }: Inputs): string =>
  table(["what rests", "how many", "what it takes"], [
    ["sessions in no memory", count(scenario.sessions), "rows, and nothing else"],
    [
      "open groups",
      count(scenario.groups),
      `${short(bytesPerOpenGroup / 1_000)} kB each, ${
        short(bytesPerOpenGroup * scenario.groups / scenario.runners / 1_000)
      } kB on a runner`
    ]
  ])

/** Each table under its name. */
export const tablesOf = (inputs: Inputs): ReadonlyMap<string, string> =>
  new Map([
    [
      "inputs",
      table(
        ["input", "measured"],
        Object.entries(inputs).map(([name, value]) => [
          `\`${name}\``,
          typeof value === "number" ? String(Number(value.toPrecision(3))) : String(value)
        ])
      )
    ],
    ["balance", balance()],
    ["idle", idle(inputs)],
    ["resting", resting(inputs)],
    ["load", load(inputs)],
    ["processes", processes(inputs)],
    ["takeover", takeover(inputs)],
    ["ends", ends(inputs)]
  ])

/** The document with its tables made again: each stands between two comments with its name. */
export const withTables = (document: string, inputs: Inputs): string => {
  let text = document
  for (const [name, made] of tablesOf(inputs)) {
    const begins = `<!-- scale: ${name} -->`
    const ends = `<!-- /scale: ${name} -->`
    const from = text.indexOf(begins)
    const to = text.indexOf(ends)
    if (from === -1 || to < from) throw new Error(`The document has no place for the table ${name}`)
    text = `${text.slice(0, from + begins.length)}\n\n${made}\n\n${text.slice(to)}`
  }
  return text
}

/** What the operating system says is running: the proof that no process is left. */
import { Command, FileSystem } from "@effect/platform"
import type { CommandExecutor } from "@effect/platform"
import { Effect } from "effect"

export interface ProcessRow {
  readonly pid: number
  readonly group: number
  /** Dead, and only waiting for its parent to notice: holds nothing any more. */
  readonly isZombie: boolean
  readonly command: string
}

const parsePs = (output: string): ReadonlyArray<ProcessRow> =>
  output.split("\n").flatMap((line) => {
    const [, pid, group, state = "", command = ""] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s*(.*)$/.exec(line) ?? []
    return pid === undefined
      ? []
      : [{ pid: Number(pid), group: Number(group), isZombie: state.startsWith("Z"), command }]
  })

// one -o per column: BSD takes what follows an "=" for the column's title
const ps = Command.string(
  Command.make("ps", "-A", "-o", "pid=", "-o", "pgid=", "-o", "stat=", "-o", "args=").pipe(Command.env({ LC_ALL: "C" }))
).pipe(Effect.map(parsePs), Effect.filterOrFail((rows) => rows.length > 0))

const parseStat = (stat: string): ReadonlyArray<ProcessRow> => {
  // the command is in parentheses and may contain anything, parentheses too
  const end = stat.lastIndexOf(")")
  const [state, , group] = stat.slice(end + 2).split(" ")
  return group === undefined
    ? []
    : [{
      pid: Number.parseInt(stat, 10),
      group: Number(group),
      isZombie: state === "Z",
      command: stat.slice(stat.indexOf("(") + 1, end)
    }]
}

/** Linux images without `ps`. */
const proc = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const ids = (yield* fs.readDirectory("/proc")).filter((name) => /^\d+$/.test(name))
  // a process may end between the two reads
  const stats = yield* Effect.forEach(ids, (id) => Effect.option(fs.readFileString(`/proc/${id}/stat`)))
  return stats.flatMap((stat) => stat._tag === "Some" ? parseStat(stat.value) : [])
})

type Needs = CommandExecutor.CommandExecutor | FileSystem.FileSystem

/** The living processes of these process groups. Dies where there is neither `ps` nor `/proc` to ask. */
export const livingProcesses = (
  groups: ReadonlyArray<number>
): Effect.Effect<ReadonlyArray<ProcessRow>, never, Needs> =>
  Effect.map(
    Effect.orDie(Effect.orElse(ps, () => proc)),
    (rows) => rows.filter((row) => !row.isZombie && groups.includes(row.group))
  )

/** What is left of these groups, looked at again for up to a second: a killed process takes a moment to go. */
export const leftProcesses = (
  groups: ReadonlyArray<number>,
  looks = 10
): Effect.Effect<ReadonlyArray<ProcessRow>, never, Needs> =>
  Effect.filterOrElse(
    livingProcesses(groups),
    (rows) => rows.length === 0 || looks <= 1,
    () => Effect.delay(leftProcesses(groups, looks - 1), "100 millis")
  )

/** Cheap, but takes zombies for processes. */
const canBeSignalled = (group: number): boolean => {
  try {
    return process.kill(-group, 0)
  } catch {
    return false
  }
}

/** Whether a process of the group lives. Where nobody reaps orphans quickly (containers), zombies stay for a while. */
export const isGroupAlive = (group: number): Effect.Effect<boolean, never, Needs> =>
  Effect.suspend(() =>
    canBeSignalled(group) ? Effect.map(livingProcesses([group]), (rows) => rows.length > 0) : Effect.succeed(false)
  )

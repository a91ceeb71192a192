/** The processor time of processes, as Linux counts it; NaN elsewhere. */
import { existsSync, readdirSync, readFileSync } from "node:fs"

/** The fields of `/proc/…/stat` behind the name of the program: from the state on. */
const statOf = (pid: number | string): ReadonlyArray<string> => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8")
    return text.slice(text.lastIndexOf(")") + 2).split(" ")
  } catch {
    // it has ended
    return []
  }
}

/** The process that has started it; NaN where it has ended. */
export const parentOf = (pid: number | string): number => Number(statOf(pid)[1])

const tickMillis = 10

/** User and system time, also of children that have ended. */
export const processorMillis = (pids: ReadonlyArray<number>): number =>
  existsSync("/proc/self/stat")
    ? pids.reduce(
      (sum, pid) => sum + statOf(pid).slice(11, 15).reduce((ticks, text) => ticks + Number(text), 0) * tickMillis,
      0
    )
    : NaN

/** A server that makes a process for each connection, and those. */
export const serverProcesses = (pid: number): ReadonlyArray<number> =>
  existsSync("/proc/self/stat")
    ? [
      pid,
      ...readdirSync("/proc").filter((name) => /^\d+$/.test(name) && parentOf(name) === pid).map(Number)
    ]
    : []

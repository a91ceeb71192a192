/** Two real processes on one journal: one is stopped, the other one takes over, and the first goes on. */
import type { PostgresServer } from "../../support/postgres.js"
import type { Audit } from "./audit.js"
import { Processes } from "./Processes.js"

export interface TakeOverReport extends Audit {
  /** As which the process ended that was taken over. */
  readonly code: number | null
  /** What it said after it went on. */
  readonly saidAfterwards: ReadonlyArray<string>
  /** The last event that it told, and the first that the other one told. */
  readonly lastEvent: number
  readonly firstEvent: number
}

const events = (lines: ReadonlyArray<string>): ReadonlyArray<number> =>
  lines.flatMap((line) => {
    const [, what, seq] = line.split(" ")
    return what === "event" ? [Number(seq)] : []
  })

export const takeOver = async (server?: PostgresServer): Promise<TakeOverReport> => {
  const processes = await Processes.make(server)
  try {
    const stoppedAt = 100
    const stopped = processes.start("run", "wait", { stopsAfter: stoppedAt })
    await stopped.said(stoppedAt)
    const owner = processes.start("run", "take")
    await owner.said(60)
    stopped.process.kill("SIGCONT")
    const code = await stopped.ended
    owner.process.kill("SIGKILL")
    await owner.ended
    const lines = processes.linesOf(stopped.run)
    return {
      code,
      saidAfterwards: lines.slice(stoppedAt),
      lastEvent: Math.max(...events(lines)),
      firstEvent: Math.min(...events(processes.linesOf(owner.run))),
      ...(await processes.audit(new Set([stopped.run])))
    }
  } finally {
    await processes.remove()
  }
}

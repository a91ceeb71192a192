/** Starts the program again and again and kills it with SIGKILL at random moments, also while it opens; then drains and audits. */
import type { PostgresServer } from "../../support/postgres.js"
import type { Audit } from "./audit.js"
import { Processes } from "./Processes.js"

export interface KillReport extends Audit {
  readonly kills: number
  /** How many of them were killed before their journal was open. */
  readonly killedWhileOpening: number
  readonly seconds: number
}

/** After how many of its lines a process is killed; 0 while it opens its journal. */
export type Moment = (run: number) => number

/** While it opens, at its first words, and anywhere in its work. */
export const thirtyMoments: ReadonlyArray<number> = [
  [150, 0, 60, 0, 300, 1, 90, 0, 30, 200],
  [2, 120, 0, 45, 250, 3, 0, 75, 180, 10],
  [0, 100, 220, 5, 50, 0, 140, 20, 80, 160]
].flat()

export const killLoop = async (options: {
  readonly kills: number
  readonly moment: Moment
  readonly server?: PostgresServer | undefined
}): Promise<KillReport> => {
  const { kills, moment, server } = options
  const began = performance.now()
  const processes = await Processes.make(server)
  let killedWhileOpening = 0
  try {
    for (let run = 1; run <= kills; run++) {
      const lines = moment(run)
      // the server cannot see that the owner has ended, and its lease need not run out
      const { ended, process, said } = processes.start("run", server === undefined ? "wait" : "take")
      await said(Math.max(1, lines))
      // its tables may be half made, its journal half opened
      if (lines === 0) await new Promise((resolve) => setTimeout(resolve, Math.random() * 60))
      process.kill("SIGKILL")
      await ended
      if (!processes.linesOf(run).some((line) => line.includes(" ready "))) killedWhileOpening++
    }
    const report = await processes.audit()
    return { kills, killedWhileOpening, seconds: (performance.now() - began) / 1_000, ...report }
  } finally {
    await processes.remove()
  }
}

/** Starts the child again and again and kills it with SIGKILL at random moments, also while it opens; then drains and audits. */
import { DatabaseSync } from "@photostructure/sqlite"
import { spawn } from "node:child_process"
import { existsSync, readFileSync, rmSync } from "node:fs"
import { mkdtemp } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { bundle } from "../../support/bundle.js"
import { type Audit, audit } from "./audit.js"

export interface KillReport extends Audit {
  readonly kills: number
}

/** After how many of its lines a process is killed; 0 while it starts. */
export type Moment = (run: number) => number

export const killLoop = async (options: { readonly kills: number; readonly moment: Moment }): Promise<KillReport> => {
  const folder = await mkdtemp(join(tmpdir(), "kill-"))
  const child = await bundle("test/durable/kill/child.ts")
  const database = join(folder, "tasks.db")
  const logOf = (run: number) => join(folder, `log-${run}`)
  const linesOf = (run: number) =>
    existsSync(logOf(run)) ? readFileSync(logOf(run), "utf8").split("\n").filter((line) => line !== "") : []
  const start = (run: number, mode: string) =>
    spawn(process.execPath, [child.path, database, logOf(run), String(run), mode], {
      stdio: ["ignore", "ignore", "inherit"]
    })
  const ended = (process: ReturnType<typeof spawn>) =>
    new Promise<void>((resolve) => process.once("exit", () => resolve()))
  try {
    for (let run = 1; run <= options.kills; run++) {
      const process = start(run, "run")
      const exit = ended(process)
      const moment = options.moment(run)
      const looking = moment === 0 ? undefined : setInterval(() => {
        if (linesOf(run).length >= moment) process.kill("SIGKILL")
      }, 5)
      // its tables may be half made, its journal half opened
      if (moment === 0) setTimeout(() => process.kill("SIGKILL"), Math.random() * 400)
      await exit
      clearInterval(looking)
    }
    await ended(start(options.kills + 1, "drain"))
    const stored = new DatabaseSync(database)
    const got = stored.prepare("select id, what from got").all()
    const [left] = stored.prepare("select count(*) as left from etm_tasks where result is not null").all()
    stored.close()
    const lines = Array.from({ length: options.kills + 1 }, (_, index) => linesOf(index + 1)).flat()
    return {
      kills: options.kills,
      ...audit(lines, got as Array<{ id: string; what: string }>, Number((left as { left: unknown }).left))
    }
  } finally {
    await child.remove()
    rmSync(folder, { recursive: true, force: true })
  }
}

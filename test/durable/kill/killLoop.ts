/** Starts the child again and again and kills it with SIGKILL at random moments, also while it opens; then drains and audits. */
import { DatabaseSync } from "@photostructure/sqlite"
import { spawn } from "node:child_process"
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { mkdtemp } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { bundle } from "../../support/bundle.js"
import { type Audit, audit } from "./audit.js"

export interface KillReport extends Audit {
  readonly kills: number
}

export const killLoop = async (options: {
  readonly kills: number
  /** From 0 to 1, as `Math.random`. */
  readonly random: () => number
  /** Milliseconds that a process works at most before it is killed. */
  readonly longest: number
}): Promise<KillReport> => {
  const folder = await mkdtemp(join(tmpdir(), "kill-"))
  const child = await bundle("test/durable/kill/child.ts")
  const database = join(folder, "tasks.db")
  const log = join(folder, "log")
  writeFileSync(log, "")
  const lines = () => readFileSync(log, "utf8").split("\n").filter((line) => line !== "")
  const start = (run: number, mode: string) =>
    spawn(process.execPath, [child.path, database, log, String(run), mode], { stdio: ["ignore", "ignore", "inherit"] })
  const ended = (process: ReturnType<typeof spawn>) =>
    new Promise<void>((resolve) => process.once("exit", () => resolve()))
  try {
    for (let run = 1; run <= options.kills; run++) {
      const process = start(run, "run")
      const exit = ended(process)
      // one in eight is killed while it starts
      const isEarly = options.random() < 1 / 8
      if (isEarly) setTimeout(() => process.kill("SIGKILL"), options.random() * 300)
      else {
        const looking = setInterval(() => {
          if (!lines().some((line) => line.startsWith(`${run} ready`))) return
          clearInterval(looking)
          setTimeout(() => process.kill("SIGKILL"), options.random() ** 2 * options.longest)
        }, 10)
        void exit.then(() => clearInterval(looking))
      }
      await exit
    }
    const last = start(options.kills + 1, "drain")
    await ended(last)
    const stored = new DatabaseSync(database)
    const got = existsSync(database) ? stored.prepare("select id, what from got").all() : []
    const [left] = stored.prepare("select count(*) as left from etm_tasks where result is not null").all()
    stored.close()
    return {
      kills: options.kills,
      ...audit(lines(), got as Array<{ id: string; what: string }>, Number((left as { left: unknown }).left))
    }
  } finally {
    await child.remove()
    rmSync(folder, { recursive: true, force: true })
  }
}

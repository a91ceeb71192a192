/** The command line. */
import { Effect } from "effect"
import { UsageError, valuesOf } from "../options.js"

export interface Options {
  readonly isPostgres: boolean
  /** Decides at which moments the agent is killed. */
  readonly seed: number
  readonly help: boolean
}

export const usage = `Usage: npm run demo:durable -- [--postgres] [--seed NUMBER]

  --postgres     on a Postgres server, which the demo starts, instead of an SQLite file
  --seed NUMBER  the moments of the kills, as an earlier run has printed it; otherwise they are random
  --help         show this text

The agent of demo:agent works on a temporary repository with a scripted model. Three times its process is killed with SIGKILL, and
another one goes on. In the end a table shows what became of each tool call.
Exit code: 0 everything held, 1 something did not, 2 wrong usage, 3 the journal was lost, 130 interrupted with Ctrl-C.`

export const parseOptions = (args: ReadonlyArray<string>): Effect.Effect<Options, UsageError> =>
  valuesOf(args, {
    postgres: { type: "boolean" },
    seed: { type: "string" },
    help: { type: "boolean", short: "h" }
  }).pipe(
    Effect.map((values) => ({
      isPostgres: values.postgres === true,
      seed: values.seed === undefined ? Math.floor(Math.random() * 1_000_000) : Number(values.seed),
      help: values.help === true
    })),
    Effect.filterOrFail(
      ({ seed }) => Number.isSafeInteger(seed) && seed >= 0,
      () => new UsageError({ message: "--seed takes an integer from 0" })
    )
  )

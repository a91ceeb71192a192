/** The command line. */
import { Data, Effect, Option } from "effect"
import { parseArgs, type ParseArgsConfig } from "node:util"
import { plain } from "./text.js"

export interface Options {
  /** How the request for approval is answered without asking: `--yes`, `--no`. */
  readonly answer: Option.Option<"yes" | "no">
  /** A repository of the user's to run the read-only part on: `--repo PATH`. */
  readonly repo: Option.Option<string>
  /** Where to send traces, metrics and logs: `--otlp URL`. */
  readonly otlp: Option.Option<string>
  readonly help: boolean
}

/** The demo was called in a way it cannot serve; it exits with 2. */
export class UsageError extends Data.TaggedError("UsageError")<{ readonly message: string }> {}

export const usage = `Usage: npm run demo -- [--yes | --no] [--repo PATH] [--otlp URL]

  --yes        approve the destructive command without asking
  --no         reject it without asking
  --repo PATH  run the read-only part on a git repository of yours
  --otlp URL   send traces, metrics and logs to a collector, by OTLP over HTTP (http://localhost:4318)
  --help       show this text

Without --yes and --no the demo asks at the terminal; where there is none, the command is rejected.
Exit code: 0 everything held, 1 something did not, 2 wrong usage, 130 interrupted with Ctrl-C.`

/** The address of a collector. */
export const collectorAt = (given: string | undefined): Effect.Effect<Option.Option<string>, UsageError> => {
  if (given === undefined) return Effect.succeedNone
  const isAddress = URL.canParse(given) && ["http:", "https:"].includes(new URL(given).protocol)
  return isAddress
    ? Effect.succeedSome(given)
    : Effect.fail(new UsageError({ message: `--otlp takes an http address, not ${plain(given)}` }))
}

/** The values of the options of a demo, and no other argument. */
export const valuesOf = <const Described extends NonNullable<ParseArgsConfig["options"]>>(
  args: ReadonlyArray<string>,
  options: Described
) =>
  Effect.try({
    try: () => parseArgs({ args: [...args], strict: true, allowPositionals: false, options }).values,
    // the words of Node: which option it is, and what is wrong with it
    catch: (error) => new UsageError({ message: plain(error instanceof Error ? error.message : String(error)) })
  })

export const parseOptions = (args: ReadonlyArray<string>): Effect.Effect<Options, UsageError> =>
  valuesOf(args, {
    yes: { type: "boolean" },
    no: { type: "boolean" },
    repo: { type: "string" },
    otlp: { type: "string" },
    help: { type: "boolean", short: "h" }
  }).pipe(
    Effect.filterOrFail(
      (values) => !(values.yes === true && values.no === true),
      () => new UsageError({ message: "--yes and --no exclude each other" })
    ),
    Effect.filterOrFail(
      (values) => values.repo !== "",
      () => new UsageError({ message: "--repo needs the path of a git repository" })
    ),
    Effect.flatMap((values) => Effect.map(collectorAt(values.otlp), (otlp) => ({ ...values, otlp }))),
    Effect.map((values) => ({
      answer: values.yes === true ? Option.some("yes") : values.no === true ? Option.some("no") : Option.none(),
      repo: Option.fromNullable(values.repo),
      otlp: values.otlp,
      help: values.help === true
    }))
  )

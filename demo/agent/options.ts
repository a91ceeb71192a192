/** The command line and the environment. */
import { Effect, Option } from "effect"
import { collectorAt, UsageError, valuesOf } from "../options.js"

export interface Options {
  /** How requests for approval are answered without asking: `--yes`, `--no`. */
  readonly answer: Option.Option<boolean>
  /** The scripted model, even if there is a key. */
  readonly isScripted: boolean
  /** Where to send traces, metrics and logs: `--otlp URL`. */
  readonly otlp: Option.Option<string>
  readonly help: boolean
}

export const usage = `Usage: npm run demo:agent -- [--yes | --no] [--scripted] [--otlp URL]

  --yes       approve what is asked without asking you
  --no        reject it without asking you
  --scripted  use the scripted model even if a key is in the environment
  --otlp URL  send traces, metrics and logs to a collector, by OTLP over HTTP (http://localhost:4318)
  --help      show this text

The model: ANTHROPIC_API_KEY and ANTHROPIC_MODEL (default claude-sonnet-4-5), or OPENAI_API_KEY and OPENAI_MODEL
(default gpt-5-mini), and ANTHROPIC_BASE_URL or OPENAI_BASE_URL for another address of the same API; without a key
a scripted model that needs no network. Where nobody sits at a terminal, what is asked is approved: all of it is in
a temporary folder.
Exit code: 0 everything held, 1 something did not, 2 wrong usage, 130 interrupted with Ctrl-C.`

export const parseOptions = (args: ReadonlyArray<string>): Effect.Effect<Options, UsageError> =>
  valuesOf(args, {
    yes: { type: "boolean" },
    no: { type: "boolean" },
    scripted: { type: "boolean" },
    otlp: { type: "string" },
    help: { type: "boolean", short: "h" }
  }).pipe(
    Effect.filterOrFail(
      (values) => !(values.yes === true && values.no === true),
      () => new UsageError({ message: "--yes and --no exclude each other" })
    ),
    Effect.flatMap((values) => Effect.map(collectorAt(values.otlp), (otlp) => ({ ...values, otlp }))),
    Effect.map((values) => ({
      answer: values.yes === true ? Option.some(true) : values.no === true ? Option.some(false) : Option.none(),
      isScripted: values.scripted === true,
      otlp: values.otlp,
      help: values.help === true
    }))
  )

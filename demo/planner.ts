/**
 * Stands in for the model. It is a script, but one that is told what a model is told (the tools, its calls, their results)
 * and decides from that alone: other results, other decisions.
 */
import { Option, Schema } from "effect"
import type { ToolCallId, ToolResultPart } from "effect-task-manager"
import { plural } from "./text.js"
import type { Call, Transcript } from "./transcript.js"

export interface PlannedCall {
  readonly toolName: string
  readonly input: unknown
}

/** What to do next. */
export type Step =
  | { readonly _tag: "Calls"; readonly thought: string; readonly calls: ReadonlyArray<PlannedCall> }
  | { readonly _tag: "Wait"; readonly thought: string }
  | { readonly _tag: "Cancel"; readonly thought: string; readonly callId: ToolCallId }
  | { readonly _tag: "Answer"; readonly text: string }

const Files = Schema.Struct({ files: Schema.Array(Schema.String) })
const FileText = Schema.Struct({ text: Schema.String })
const Hits = Schema.Struct({ hits: Schema.Number })
const TestRun = Schema.Struct({ isGreen: Schema.Boolean, failed: Schema.Array(Schema.String), summary: Schema.String })
const AtPath = Schema.Struct({ path: Schema.String })

/** A call together with its result, if that is here. */
interface Exchange extends Call {
  readonly result: ToolResultPart | undefined
}

interface Memory {
  readonly exchanges: ReadonlyArray<Exchange>
  readonly can: (toolName: string) => boolean
  readonly of: (toolName: string) => ReadonlyArray<Exchange>
}

const remember = (transcript: Transcript, tools: ReadonlyArray<string>): Memory => {
  const exchanges = transcript.calls.map((call) => ({
    ...call,
    result: transcript.arrivals.find((arrival) => arrival.callId === call.callId)?.result
  }))
  return {
    exchanges,
    can: (toolName) => tools.includes(toolName),
    of: (toolName) => exchanges.filter((exchange) => exchange.toolName === toolName)
  }
}

/** What a good result holds, if it has this shape. */
const read = <A, I>(exchange: Exchange | undefined, schema: Schema.Schema<A, I>): A | undefined => {
  const result = exchange?.result
  return result === undefined || result.isError || result.output._tag !== "Structured"
    ? undefined
    : Option.getOrUndefined(Schema.decodeUnknownOption(schema)(result.output.value))
}

const pathOf = (exchange: Exchange): string | undefined =>
  Option.getOrUndefined(Schema.decodeUnknownOption(AtPath)(exchange.input))?.path

const textOf = (memory: Memory, path: string): string | undefined =>
  read(memory.of("read_file").find((exchange) => pathOf(exchange) === path), FileText)?.text

const calls = (thought: string, planned: ReadonlyArray<PlannedCall>): Step => ({
  _tag: "Calls",
  thought,
  calls: planned
})

/** Gives the next step, or nothing when it is not its turn. */
type Rule = (memory: Memory) => Step | undefined

const lookAround: Rule = (memory) =>
  memory.exchanges.length > 0 ? undefined : calls(
    "I know nothing yet: I look around, and have a search and a watch over the files run in the background.",
    [
      { toolName: "list_files", input: {} },
      { toolName: "git_log", input: {} },
      { toolName: "disk_usage", input: {} },
      { toolName: "search", input: { word: "TODO" } },
      { toolName: "watch", input: {} }
    ]
  )

const interesting = [/^readme/i, /\.(mjs|js|ts)$/, /^package\.json$/, /\.(md|json|py|rs|go|java|c)$/]

const readSources: Rule = (memory) => {
  const listed = read(memory.of("list_files")[0], Files)
  if (listed === undefined || memory.of("read_file").length > 0) return undefined
  const files = listed.files.filter((file) => !/^(build|dist)\//.test(file))
  const chosen = interesting.flatMap((pattern) => files.filter((file) => pattern.test(file)))
  const paths = [...new Set([...chosen, ...files, ...listed.files])].slice(0, 5)
  const test = files.find((file) => /\.test\.m?js$/.test(file))
  return paths.length === 0 ? undefined : calls(
    `${plural(listed.files.length, "file")}: I read the ones that matter, all at once${
      test === undefined || !memory.can("run_tests") ? "." : `, and start ${test}.`
    }`,
    [
      ...paths.map((path) => ({ toolName: "read_file", input: { path } })),
      ...(test !== undefined && memory.can("run_tests") ? [{ toolName: "run_tests", input: { path: test } }] : [])
    ]
  )
}

const deleteWhatNobodyReads: Rule = (memory) => {
  if (!memory.can("remove") || memory.of("remove").length > 0) return undefined
  const path = /`([\w-]+)\/` .*delete it/i.exec(textOf(memory, "README.md") ?? "")?.[1]
  return path === undefined ? undefined : calls(
    `The tests take their time. Meanwhile: the README says that ${path}/ can go. That needs your approval.`,
    [{ toolName: "remove", input: { path } }]
  )
}

const fixTheBug: Rule = (memory) => {
  const run = read(memory.of("run_tests")[0], TestRun)
  if (run === undefined || run.isGreen || memory.of("replace_text").length > 0) return undefined
  const failed = run.failed.join(" ")
  const source = "src/cart.mjs"
  const from = /\+= item\.price$/m.exec(textOf(memory, source) ?? "")?.[0]
  return from === undefined || !failed.includes("quantity") ? undefined : calls(
    `The tests came back: ${run.summary}. The quantity does not count, and I have read why: ${source} only adds prices.`,
    [{ toolName: "replace_text", input: { path: source, from, to: `${from} * item.quantity` } }]
  )
}

const loadTest: Rule = (memory) => {
  if (memory.of("load_test").length > 0 || memory.of("read_file").length === 0) return undefined
  const load = [
    { toolName: "load_test", input: { behaviour: "ends on SIGTERM" } },
    { toolName: "load_test", input: { behaviour: "ignores SIGTERM" } }
  ]
  if (!memory.can("run_tests")) {
    return calls("Now I put the repository under load, in the foreground. That has no end by itself.", load)
  }
  const test = memory.of("run_tests")[0]
  const [fixed] = memory.of("replace_text")
  return test === undefined || fixed?.result?.isError !== false ? undefined : calls(
    "Fixed. I run the tests again, and put the repository under load in the foreground. That has no end by itself.",
    [{ toolName: "run_tests", input: test.input }, ...load]
  )
}

const waitForResults: Rule = (memory) => {
  const waiting = memory.exchanges.filter((exchange) => exchange.result === undefined && exchange.toolName !== "watch")
  const wasInterrupted = memory.of("load_test").some((exchange) => exchange.result?.isError === true)
  return waiting.length === 0 ? undefined : {
    _tag: "Wait",
    thought: `${wasInterrupted ? "You interrupted the load, so I leave that. " : ""}I wait for ${
      waiting.map((exchange) => exchange.toolName).join(" and ")
    }.`
  }
}

const stopWatching: Rule = (memory) => {
  const watch = memory.of("watch").find((exchange) => exchange.result === undefined)
  return watch === undefined ? undefined : {
    _tag: "Cancel",
    thought: "Everything is here. The watch would go on for ever: I cancel it.",
    callId: watch.callId
  }
}

const answer = (memory: Memory): Step => {
  const run = read(memory.of("run_tests").at(-1), TestRun)
  const hits = read(memory.of("search")[0], Hits)?.hits
  const [removed] = memory.of("remove")
  const files = read(memory.of("list_files")[0], Files)?.files.length ?? 0
  return {
    _tag: "Answer",
    text: [
      run === undefined
        ? `I read ${plural(memory.of("read_file").length, "file")} of ${files}.`
        : run.isGreen
        ? "The cart counts quantities now, and all tests pass."
        : `The tests still fail: ${run.summary}.`,
      hits === undefined ? "" : `"TODO" is in ${plural(hits, "file version")} of the last commits.`,
      removed === undefined
        ? ""
        : removed.result?.isError === false
        ? `${pathOf(removed)}/ is deleted.`
        : `${pathOf(removed)}/ is still there: you did not approve.`
    ].filter((sentence) => sentence !== "").join(" ")
  }
}

const rules: ReadonlyArray<Rule> = [
  lookAround,
  readSources,
  deleteWhatNobodyReads,
  fixTheBug,
  loadTest,
  waitForResults,
  stopWatching
]

export const nextStep = (transcript: Transcript, tools: ReadonlyArray<string>): Step => {
  const memory = remember(transcript, tools)
  for (const rule of rules) {
    const step = rule(memory)
    if (step !== undefined) return step
  }
  return answer(memory)
}

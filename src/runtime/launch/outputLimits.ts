/**
 * Keeps what tools return within bounds: text is cut in the middle, what is nested too deep or too large is replaced by
 * a note. What was cut says so, to the model in the text and to the host in the metadata.
 */
import { ToolError } from "../../errors.js"
import type { LaunchExit } from "../../machine/finish.js"
import type { ApprovalRequest } from "../../model/Approval.js"
import { isEmptyObject, type Metadata } from "../../model/json.js"
import type { TaskProgress } from "../../model/TaskEvent.js"
import { ToolOutput, type ToolOutputPart, type ToolResult } from "../../model/ToolCall.js"
import { cutKey, cutText } from "../../shared/cutText.js"
import { longestText, measure } from "../../shared/jsonText.js"
import { memoryOf } from "../../shared/memoryOf.js"
import { ownText } from "../../shared/ownText.js"
import { isPlainObject } from "../../shared/toJson.js"
import { utf8Length } from "../../shared/utf8.js"

export interface OutputLimits {
  /** Bytes of UTF-8. */
  readonly maxResultBytes: number
  readonly maxResultDepth: number
}

/** How many bytes of UTF-8 a progress may have, its message and its data together. */
const maxProgressBytes = 65_536

/** How many bytes of memory a value may take for each byte that its text may have. */
const memoryPerByte = 16
const smallMemory = 1_048_576

// no value takes more memory for a byte that `measure` counts: objects with an index such as "400" take most
const densest = 256

/** Whether a JSON value takes far more memory than its text says: `[{},{},…]` takes twenty times as much. */
const isBloated = ({ maxResultBytes }: OutputLimits, value: unknown, bytesAtMost: number): boolean => {
  const most = Math.max(smallMemory, memoryPerByte * maxResultBytes)
  return densest * bytesAtMost > most && memoryOf(value, most) > most
}

/** The value with everything below a depth replaced by a note. Depth is bounded, so recursion is. */
const prune = (value: unknown, depth: number): unknown => {
  if (typeof value !== "object" || value === null) return value
  if (depth === 0) return "[… cut: nested too deep …]"
  if (Array.isArray(value)) return value.map((child) => prune(child, depth - 1))
  return isPlainObject(value)
    ? Object.fromEntries(Object.entries(value).map(([key, child]) => [key, prune(child, depth - 1)]))
    : value
}

interface Cut<A> {
  readonly value: A
  readonly missing: number
  readonly pruned: boolean
  /** A structured value of which only the JSON text is kept, all of it. */
  readonly asText?: boolean
}

const sizeOf = (part: ToolOutputPart): number =>
  part._tag === "Text" ? utf8Length(part.text) : part.data.length + part.mediaType.length

/** What a part counts for at least: as many empty ones as bytes would take sixty times their memory. */
const smallestPart = 16

const capPart = (part: ToolOutputPart, max: number): Pick<Cut<ToolOutputPart>, "value" | "missing"> => {
  if (part._tag === "Text") {
    const { missing, text } = cutText(part.text, max)
    return { value: missing === 0 ? part : { _tag: "Text", text }, missing }
  }
  const size = sizeOf(part)
  return size <= max
    ? { value: part, missing: 0 }
    : { value: { _tag: "Text", text: `[… a file of ${size} bytes cut …]` }, missing: size }
}

const capOutput = (limits: OutputLimits, output: ToolOutput): Cut<ToolOutput> => {
  switch (output._tag) {
    case "Text": {
      const { missing, text } = cutText(output.text, limits.maxResultBytes)
      return { value: missing === 0 ? output : ToolOutput.Text({ text }), missing, pruned: false }
    }
    case "Structured": {
      const { bytesAtMost, depth } = measure(output.value)
      if (bytesAtMost > longestText) {
        return { value: ToolOutput.Text({ text: "[… cut: a value too large to show …]" }), missing: 0, pruned: true }
      }
      const pruned = depth > limits.maxResultDepth
      const value = pruned ? prune(output.value, limits.maxResultDepth) : output.value
      if (bytesAtMost > limits.maxResultBytes) {
        const { missing, text } = cutText(JSON.stringify(value), limits.maxResultBytes)
        // a JSON value cannot be cut in the middle; its text can
        if (missing > 0) return { value: ToolOutput.Text({ text }), missing, pruned }
      }
      if (isBloated(limits, value, bytesAtMost)) {
        return { value: ToolOutput.Text({ text: JSON.stringify(value) }), missing: 0, pruned, asText: true }
      }
      return { value: pruned ? ToolOutput.Structured({ value }) : output, missing: 0, pruned }
    }
    case "Parts": {
      let left = limits.maxResultBytes
      let missing = 0
      let dropped = 0
      const parts: Array<ToolOutputPart> = []
      for (const part of output.parts) {
        if (left === 0) {
          dropped++
          missing += sizeOf(part)
          continue
        }
        const cut = capPart(part, left)
        parts.push(cut.value)
        missing += cut.missing
        // an empty part takes room too, and so does the note about one that was cut
        left = Math.max(0, left - Math.max(smallestPart, sizeOf(cut.value)))
      }
      if (dropped > 0) parts.push({ _tag: "Text", text: `[… ${dropped} more parts cut …]` })
      const isCut = missing > 0 || dropped > 0
      return { value: isCut ? ToolOutput.Parts({ parts }) : output, missing, pruned: dropped > 0 }
    }
  }
}

const capMetadata = (limits: OutputLimits, metadata: Metadata): Metadata => {
  if (isEmptyObject(metadata)) return metadata
  const { bytesAtMost, depth } = measure(metadata)
  if (depth > limits.maxResultDepth) return { [cutKey]: { metadata: "nested too deep" } }
  if (bytesAtMost > longestText || isBloated(limits, metadata, bytesAtMost)) {
    return { [cutKey]: { metadata: "too large" } }
  }
  if (bytesAtMost <= limits.maxResultBytes) return metadata
  const size = utf8Length(JSON.stringify(metadata))
  return size <= limits.maxResultBytes ? metadata : { [cutKey]: { metadataBytes: size } }
}

/** The result within the limits; the same object if it already was. */
export const capResult = (limits: OutputLimits, whole: ToolResult): ToolResult => {
  const { duration, metadata, result } = whole
  const { asText, missing, pruned, value } = capOutput(limits, result.output)
  const own = capMetadata(limits, result.metadata)
  const outer = capMetadata(limits, metadata)
  if (value === result.output && own === result.metadata && outer === metadata) return whole
  const isNoted = missing > 0 || pruned || asText === true
  const note = {
    ...(missing > 0 ? { missingBytes: missing } : undefined),
    ...(pruned ? { pruned } : undefined),
    ...(asText === true ? { asText } : undefined)
  }
  return {
    result: {
      _tag: "ToolResult",
      callId: result.callId,
      output: value,
      isError: result.isError,
      metadata: isNoted ? { ...own, [cutKey]: note } : own
    },
    metadata: outer,
    ...(duration === undefined ? undefined : { duration })
  }
}

/** How many bytes of UTF-8 the name of a tool in an error may have. */
const maxNameBytes = 1_024

/** Makes a text that an object holds its own; false where it cannot be changed. */
const ownTextIn = (holder: object, text: string, own: string): boolean =>
  Reflect.ownKeys(holder).every((key) => {
    // a stack is a text only once somebody looks at it, and would hold the text of then
    if (key === "stack" || key === "cause") return true
    const value: unknown = Object.getOwnPropertyDescriptor(holder, key)?.value
    if (value === text) return Reflect.set(holder, key, own)
    // Effect keeps what an error was made of beside its fields
    return typeof value !== "object" || value === null || !isPlainObject(value) || ownTextIn(value, text, own)
  })

/** Makes the texts of an error its own: pieces of longer ones would keep these in memory. False where they cannot be changed. */
const ownTexts = (error: ToolError): boolean =>
  [error.message, error.toolName].every((text) => ownTextIn(error, text, ownText(text)))

/** The error within the limits; the same object if it already was. */
export const capError = (limits: OutputLimits, error: ToolError): ToolError => {
  const message = cutText(error.message, limits.maxResultBytes)
  const toolName = cutText(error.toolName, Math.min(maxNameBytes, limits.maxResultBytes))
  if (message.missing + toolName.missing === 0 && ownTexts(error)) return error
  return new ToolError({
    reason: error.reason,
    toolName: ownText(toolName.text),
    message: ownText(message.text),
    cause: error.cause
  })
}

/** Cut, a question would be another one: a tool that asks too much is told so. */
const refuseLargeQuestions = (limits: OutputLimits, questions: ApprovalRequest["questions"]): void => {
  // the list and its questions are two levels
  const within = { ...limits, maxResultDepth: limits.maxResultDepth + 2 }
  if (questions === undefined || fits(within, questions, limits.maxResultBytes)) return
  throw new TypeError("The questions of a tool are larger than maxResultBytes, or nested deeper than maxResultDepth")
}

/** Whether the answers to one task, by their questions, may be so large together. */
export const answersFit = (limits: OutputLimits, answers: Readonly<Record<string, unknown>>): boolean =>
  fits({ ...limits, maxResultDepth: limits.maxResultDepth + 1 }, answers, limits.maxResultBytes)

const capApproval = (limits: OutputLimits, approval: ApprovalRequest): ApprovalRequest => ({
  ...approval,
  requestKind: cutText(approval.requestKind, limits.maxResultBytes).text,
  summary: cutText(approval.summary, limits.maxResultBytes).text,
  reason: cutText(approval.reason, limits.maxResultBytes).text,
  metadata: capMetadata(limits, approval.metadata)
})

const capCompleted = (limits: OutputLimits, exit: LaunchExit & { _tag: "Completed" }): LaunchExit => {
  const result = capResult(limits, exit.result)
  return result === exit.result ? exit : { _tag: "Completed", result }
}

/** What a launch returned, within the limits. */
export const capExit = (limits: OutputLimits, exit: LaunchExit): LaunchExit => {
  switch (exit._tag) {
    case "Completed":
      return capCompleted(limits, exit)
    case "Failed":
      return { _tag: "Failed", error: capError(limits, exit.error) }
    case "ApprovalRequired":
      refuseLargeQuestions(limits, exit.approval.questions)
      return { _tag: "ApprovalRequired", approval: capApproval(limits, exit.approval) }
    case "Cancelled":
      return exit
  }
}

/** The message cut to what is left for it, and the data if both fit. */
export const capProgress = (limits: OutputLimits, { data, fraction, message }: TaskProgress): TaskProgress => {
  const max = Math.min(maxProgressBytes, limits.maxResultBytes)
  const said = message === undefined ? undefined : cutText(message, max).text
  return {
    ...(said === undefined ? undefined : { message: said }),
    ...(fraction === undefined ? undefined : { fraction }),
    ...(data === undefined || !fits(limits, data, max - utf8Length(said ?? "")) ? undefined : { data })
  }
}

// `measure` counts at most so many bytes for one of the text
const widest = 25

/** Whether a value is within the depth and a number of bytes. The text of what is far beyond is not made. */
const fits = (limits: OutputLimits, data: unknown, max: number): boolean => {
  const { bytesAtMost, depth } = measure(data)
  return depth <= limits.maxResultDepth &&
    (bytesAtMost <= max ||
      bytesAtMost <= Math.min(longestText, widest * max) && utf8Length(JSON.stringify(data)) <= max) &&
    !isBloated(limits, data, bytesAtMost)
}

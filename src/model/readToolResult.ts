/**
 * Reads what a tool or an executor returned. All of it is hostile: it may lie about its types, or throw where it is read.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"
import { ownText } from "../shared/ownText.js"
import { printable } from "../shared/text.js"
import { describeFault, type JsonFault, kindOf, toJson } from "../shared/toJson.js"
import type { ToolCallId } from "./ids.js"
import { type Metadata, readMetadata } from "./json.js"
import { ToolOutput, type ToolOutputPart, type ToolResult, type ToolResultPart } from "./ToolCall.js"

/**
 * The defect of a tool that returned what cannot be made JSON. It names the tool, the path and the kind of value, and is
 * for the host alone.
 *
 * @since 0.1.0
 * @category constructors
 */
export const notJson = (toolName: string, did: string, fault: JsonFault, root?: string): TypeError =>
  new TypeError(
    `The tool "${printable(toolName)}" ${did} what cannot be made JSON: ${describeFault(fault, root)}`,
    fault.cause === undefined ? undefined : { cause: fault.cause }
  )

const wrongField = (toolName: string, field: string, value: unknown, takes: string): TypeError =>
  new TypeError(
    `The executor did not return a ToolResult for the tool "${printable(toolName)}": ${field} ${
      value === undefined ? "is missing" : `must be ${takes}`
    }`
  )

interface Fields {
  readonly [field: string]: unknown
}

/** One field after the other, each read once: what a getter says the second time may be something else. */
class Reader {
  private readonly toolName: string

  constructor(toolName: string) {
    this.toolName = toolName
  }

  result(value: unknown): ToolResult {
    if (!Predicate.isRecord(value)) {
      throw new TypeError(
        `The executor did not return a ToolResult for the tool "${printable(this.toolName)}", but ${
          value === undefined ? "undefined" : kindOf(value)
        }`
      )
    }
    const result = this.part(this.fields("result", value["result"]))
    const metadata = this.metadata("metadata", value["metadata"])
    const duration = value["duration"]
    if (duration === undefined) return { result, metadata }
    // one of so many nanoseconds that its milliseconds are not finite
    if (!Duration.isDuration(duration) || !Number.isFinite(Duration.toMillis(duration))) {
      throw wrongField(this.toolName, "duration", duration, "a finite Duration")
    }
    return { result, metadata, duration }
  }

  output(value: unknown): ToolOutput {
    const output = this.fields("result.output", value)
    switch (output["_tag"]) {
      case "Text":
        return ToolOutput.Text({ text: this.text("result.output.text", output["text"]) })
      case "Structured":
        if (!("value" in output)) throw wrongField(this.toolName, "result.output.value", undefined, "")
        return this.structured(output["value"])
      case "Parts":
        return ToolOutput.Parts({ parts: this.parts(output["parts"]) })
      default:
        throw wrongField(this.toolName, "result.output._tag", output["_tag"], "Text, Structured or Parts")
    }
  }

  private part(result: Fields): ToolResultPart {
    if (result["_tag"] !== "ToolResult") {
      throw wrongField(this.toolName, "result._tag", result["_tag"], "\"ToolResult\"")
    }
    const callId = this.string("result.callId", result["callId"])
    const isError = result["isError"]
    if (typeof isError !== "boolean") throw wrongField(this.toolName, "result.isError", isError, "a boolean")
    return {
      _tag: "ToolResult",
      // it is replaced by the id of the call, should it be another one
      callId: callId as ToolCallId,
      output: this.output(result["output"]),
      isError,
      metadata: this.metadata("result.metadata", result["metadata"])
    }
  }

  private parts(parts: unknown): ReadonlyArray<ToolOutputPart> {
    if (!Array.isArray(parts)) throw wrongField(this.toolName, "result.output.parts", parts, "an array")
    return parts.map((part: unknown, index): ToolOutputPart => {
      const path = `result.output.parts[${index}]`
      const fields = this.fields(path, part)
      switch (fields["_tag"]) {
        case "Text":
          return { _tag: "Text", text: this.text(`${path}.text`, fields["text"]) }
        case "Media":
          return {
            _tag: "Media",
            mediaType: this.text(`${path}.mediaType`, fields["mediaType"]),
            data: this.text(`${path}.data`, fields["data"])
          }
        default:
          throw wrongField(this.toolName, `${path}._tag`, fields["_tag"], "Text or Media")
      }
    })
  }

  private structured(value: unknown): ToolOutput {
    const reading = toJson(value)
    if (reading._tag === "JsonFault") throw notJson(this.toolName, "returned", reading)
    return reading.value === undefined ? nothing : ToolOutput.Structured({ value: reading.value })
  }

  private metadata(field: string, value: unknown): Metadata {
    if (value === undefined) throw wrongField(this.toolName, field, value, "")
    const reading = readMetadata(value)
    if (reading._tag === "JsonFault") throw notJson(this.toolName, "returned", reading, field)
    return reading.value
  }

  private fields(field: string, value: unknown): Fields {
    if (!Predicate.isRecord(value)) throw wrongField(this.toolName, field, value, "an object")
    return value
  }

  private string(field: string, value: unknown): string {
    if (typeof value !== "string") throw wrongField(this.toolName, field, value, "a string")
    return value
  }

  private text(field: string, value: unknown): string {
    return ownText(this.string(field, value))
  }
}

const nothing: ToolOutput = ToolOutput.Text({ text: "" })

/**
 * A copy of a `ToolResult` that its maker cannot change any more, all of it JSON. Throws a `TypeError` that names what is
 * wrong with it, and what a getter throws.
 *
 * @since 0.1.0
 * @category conversions
 */
export const readToolResult = (value: unknown, toolName: string): ToolResult => new Reader(toolName).result(value)

/**
 * As `readToolResult`, of the output alone.
 *
 * @since 0.1.0
 * @category conversions
 */
export const readToolOutput = (value: unknown, toolName: string): ToolOutput => new Reader(toolName).output(value)

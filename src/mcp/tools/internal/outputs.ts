/** What a server answers, as the output of a tool. */
import * as Predicate from "effect/Predicate"
import { ToolError } from "../../../errors.js"
import { ToolOutput, type ToolOutputPart } from "../../../model/ToolCall.js"
import { cutText } from "../../../shared/cutText.js"
import { printable } from "../../../shared/text.js"
import { toJson } from "../../../shared/toJson.js"

/** How many parts of one answer are read. */
const mostParts = 1_000

// what of an error a model reads
const mostErrorBytes = 16_384

type Content = Readonly<Record<string, unknown>>

const textPart = (text: string): ToolOutputPart => ({ _tag: "Text", text })

const mediaType = /^[a-zA-Z0-9!#$&^_.+-]{1,127}\/[a-zA-Z0-9!#$&^_.+-]{1,127}$/

// RFC 4648, with or without padding, of any length; each character is looked at once
const base64 = /^[A-Za-z0-9+/]*={0,2}$/

const mediaPart = (type: unknown, data: unknown, kind: string): ToolOutputPart => {
  if (typeof type !== "string" || !mediaType.test(type)) return textPart(`[${kind} without a media type]`)
  if (typeof data !== "string" || !base64.test(data)) return textPart(`[${kind} that is no base64]`)
  return { _tag: "Media", mediaType: type, data }
}

const named = (content: Content): string =>
  [content["title"] ?? content["name"], content["uri"]]
    .flatMap((value) => typeof value === "string" ? [printable(value)] : [])
    .join(": ")

const resourcePart = (resource: unknown): ToolOutputPart => {
  if (!Predicate.isRecord(resource)) return textPart("[a resource without contents]")
  if (typeof resource["text"] === "string") return textPart(resource["text"])
  return mediaPart(resource["mimeType"] ?? "application/octet-stream", resource["blob"], "a resource")
}

const partOf = (content: unknown): ToolOutputPart => {
  if (!Predicate.isRecord(content)) return textPart("[content that is none]")
  switch (content["type"]) {
    case "text":
      return textPart(typeof content["text"] === "string" ? content["text"] : "")
    case "image":
      return mediaPart(content["mimeType"], content["data"], "an image")
    case "audio":
      return mediaPart(content["mimeType"], content["data"], "a sound")
    case "resource":
      return resourcePart(content["resource"])
    case "resource_link":
      return textPart(`[a resource: ${named(content)}]`)
    default:
      return textPart("[content of a kind that is not known]")
  }
}

const partsOf = (content: unknown): ReadonlyArray<ToolOutputPart> => {
  const list: ReadonlyArray<unknown> = Array.isArray(content) ? content : []
  const parts = list.slice(0, mostParts).map(partOf)
  return list.length > mostParts ? [...parts, textPart(`[${list.length - mostParts} more parts left out]`)] : parts
}

const outputOf = (parts: ReadonlyArray<ToolOutputPart>, structured: unknown): ToolOutput => {
  const reading = structured === undefined ? undefined : toJson(structured)
  if (reading?._tag === "Json") {
    const media = parts.filter(({ _tag }) => _tag === "Media")
    // its texts are the same in words, for those who do not read it
    return media.length === 0
      ? ToolOutput.Structured({ value: reading.value })
      : ToolOutput.Parts({ parts: [textPart(JSON.stringify(reading.value) ?? ""), ...media] })
  }
  const [first] = parts
  if (first === undefined) return ToolOutput.Text({ text: "" })
  return parts.length === 1 && first._tag === "Text"
    ? ToolOutput.Text({ text: first.text })
    : ToolOutput.Parts({ parts })
}

const errorText = (parts: ReadonlyArray<ToolOutputPart>): string =>
  cutText(parts.flatMap((part) => part._tag === "Text" ? [part.text] : []).join("\n"), mostErrorBytes).text

/** The output of a call, or the error that its server says it is. */
export const readResult = (toolName: string, result: unknown): ToolOutput | ToolError => {
  if (!Predicate.isRecord(result)) {
    return new ToolError({ reason: "Internal", toolName, message: "The MCP server answered with no result." })
  }
  const parts = partsOf(result["content"])
  if (result["isError"] !== true) return outputOf(parts, result["structuredContent"])
  const text = errorText(parts)
  return new ToolError({
    reason: "ExecutionFailed",
    toolName,
    message: text === "" ? "The tool failed." : `The tool failed: ${text}`
  })
}

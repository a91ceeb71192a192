/** Results of tools as the protocol has them. */
import type { CallToolResult, ContentBlock } from "@modelcontextprotocol/server"
import type { MediaPart, ToolOutput, ToolResultPart } from "../../../model/ToolCall.js"
import { jsonText } from "../../../shared/jsonText.js"

const mediaBlock = ({ data, mediaType: mimeType }: MediaPart, index: number): ContentBlock =>
  mimeType.startsWith("image/")
    ? { type: "image", data, mimeType }
    : mimeType.startsWith("audio/")
    ? { type: "audio", data, mimeType }
    : { type: "resource", resource: { uri: `part:${index}`, mimeType, blob: data } }

const textBlock = (text: string): ContentBlock => ({ type: "text", text })

const contentOf = (output: ToolOutput): Array<ContentBlock> => {
  switch (output._tag) {
    case "Text":
      return [textBlock(output.text)]
    case "Structured":
      return [textBlock(jsonText(output.value) ?? "")]
    case "Parts":
      return output.parts.map((part, index) => part._tag === "Text" ? textBlock(part.text) : mediaBlock(part, index))
  }
}

/** An object can be read as data too. */
const structuredOf = (output: ToolOutput): { readonly structuredContent?: Record<string, unknown> } =>
  output._tag === "Structured" && typeof output.value === "object" && output.value !== null &&
    !Array.isArray(output.value)
    ? { structuredContent: { ...output.value } }
    : {}

export const toCallToolResult = ({ isError, output }: ToolResultPart): CallToolResult => ({
  content: contentOf(output),
  ...structuredOf(output),
  ...(isError ? { isError } : undefined)
})

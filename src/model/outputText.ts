/**
 * The output of a tool as one text.
 *
 * @since 0.1.0
 */
import { jsonText } from "../shared/jsonText.js"
import type { ToolOutput, ToolOutputPart } from "./ToolCall.js"

const partText = (part: ToolOutputPart): string => part._tag === "Text" ? part.text : `[a file: ${part.mediaType}]`

/**
 * The output as text: a JSON value is its JSON text, parts stand one below the other. Undefined for a value whose JSON text is too
 * long to be made.
 *
 * @since 0.1.0
 * @category conversions
 */
export const outputText = (output: ToolOutput): string | undefined => {
  switch (output._tag) {
    case "Text":
      return output.text
    case "Structured":
      return jsonText(output.value)
    case "Parts":
      return output.parts.map(partText).join("\n")
  }
}

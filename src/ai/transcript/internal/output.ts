/** What a tool gave, as providers take it. */
import type { ToolOutput } from "../../../model/ToolCall.js"

const partText = (part: Extract<ToolOutput, { readonly _tag: "Parts" }>["parts"][number]): string =>
  part._tag === "Text" ? part.text : `[a file of type ${part.mediaType} that cannot be shown here]`

/** The value of a tool result; providers make JSON of it. */
export const resultValue = (output: ToolOutput): unknown =>
  output._tag === "Structured" ? output.value : plainText(output)

/** The output as text. */
export const plainText = (output: ToolOutput): string => {
  switch (output._tag) {
    case "Text":
      return output.text
    case "Structured":
      return JSON.stringify(output.value)
    case "Parts":
      return output.parts.map(partText).join("\n")
  }
}

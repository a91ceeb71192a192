/** What a tool gave, as providers take it. */
import { outputText } from "../../../model/outputText.js"
import type { ToolOutput } from "../../../model/ToolCall.js"

/** The value of a tool result; providers make JSON of it. */
export const resultValue = (output: ToolOutput): unknown =>
  output._tag === "Structured" ? output.value : plainText(output)

/** The output as text. */
export const plainText = (output: ToolOutput): string => outputText(output) ?? "[a value that is too long for a text]"

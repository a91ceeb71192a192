/** What a page is shown of the output of a tool. */
import type { ToolOutput } from "../../model/ToolCall.js"

/** As the value that the tool returned. */
export const outputOf = (output: ToolOutput): unknown => {
  switch (output._tag) {
    case "Text":
      return output.text
    case "Structured":
      return output.value
    case "Parts":
      return output.parts
  }
}

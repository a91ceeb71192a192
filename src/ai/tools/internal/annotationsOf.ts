/** Reading the annotations of a tool. */
import type * as Tool from "@effect/ai/Tool"
import * as Context from "effect/Context"

export const annotationsOf = (tool: Tool.Any): Context.Context<never> => {
  // whatever its type says, a tool made by Tool.providerDefined has none
  const annotations: Context.Context<never> | undefined = tool.annotations
  return annotations ?? Context.empty()
}

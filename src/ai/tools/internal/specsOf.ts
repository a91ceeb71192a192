/** What a host is told of the tools of a toolkit. */
import * as Tool from "@effect/ai/Tool"
import type * as Toolkit from "@effect/ai/Toolkit"
import * as Context from "effect/Context"
import * as Option from "effect/Option"
import { emptyMetadata } from "../../../model/json.js"
import type { ToolSpec } from "../../../model/ToolCall.js"
import { advertisedSchema } from "../BackgroundParameter.js"
import { isRunByProvider } from "../providerDefined.js"
import { annotationsOf } from "./annotationsOf.js"

const specOf = (tool: Tool.Any): ToolSpec => {
  const annotations = annotationsOf(tool)
  const title = Context.getOption(annotations, Tool.Title)
  return {
    name: tool.name,
    description: tool.description ?? Tool.getDescriptionFromSchemaAst(tool.parametersSchema.ast) ?? "",
    inputSchema: advertisedSchema(tool),
    // the names that MCP gives them
    annotations: {
      ...(Option.isSome(title) ? { title: title.value } : undefined),
      readOnlyHint: Context.get(annotations, Tool.Readonly),
      destructiveHint: Context.get(annotations, Tool.Destructive),
      idempotentHint: Context.get(annotations, Tool.Idempotent),
      openWorldHint: Context.get(annotations, Tool.OpenWorld)
    },
    metadata: emptyMetadata
  }
}

/** Of the tools that a provider does not run itself. */
export const specsOf = (toolkit: Toolkit.Any): ReadonlyArray<ToolSpec> =>
  Object.values(toolkit.tools).filter((tool) => !isRunByProvider(tool)).map(specOf)

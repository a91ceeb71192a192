/** Which tools a model is shown with a request. */
import * as Effect from "effect/Effect"
import type { ToolSpec } from "../../../model/ToolCall.js"
import { printable } from "../../../shared/text.js"
import * as ModelToolkit from "../../tools/ModelToolkit.js"

/** Each is read on its own, so that one that no provider takes costs only itself. */
const readable = (specs: ReadonlyArray<ToolSpec>) => {
  const refused: Array<string> = []
  const tools = specs.flatMap((spec) => {
    try {
      return Object.entries(ModelToolkit.fromSpecs([spec]).tools)
    } catch {
      refused.push(spec.name)
      return []
    }
  })
  return { refused, tools }
}

/**
 * The tools of the toolkit and all others that an executor has at the moment. They are made anew only when its list is another one.
 */
export const withSpecs = (
  toolkit: ModelToolkit.ModelToolkit,
  specs: Effect.Effect<ReadonlyArray<ToolSpec>>
): Effect.Effect<ModelToolkit.ModelToolkit> => {
  let last: { readonly specs: ReadonlyArray<ToolSpec>; readonly toolkit: ModelToolkit.ModelToolkit } | undefined
  return Effect.flatMap(specs, (now) => {
    if (last !== undefined && now.length === last.specs.length && now.every((spec, at) => spec === last?.specs[at])) {
      return Effect.succeed(last.toolkit)
    }
    const { refused, tools } = readable(now.filter(({ name }) => !Object.hasOwn(toolkit.tools, name)))
    const offered = { ...toolkit, tools: { ...toolkit.tools, ...Object.fromEntries(tools) } }
    last = { specs: now, toolkit: offered }
    return refused.length === 0 ? Effect.succeed(offered) : Effect.as(
      Effect.annotateLogs(Effect.logWarning("Tools are not shown to the model: providers refuse them"), {
        package: "effect-task-manager",
        tools: refused.slice(0, 20).map(printable).join(", "),
        count: refused.length
      }),
      offered
    )
  })
}

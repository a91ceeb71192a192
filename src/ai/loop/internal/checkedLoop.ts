/** What every session of a loop has, checked where a layer is built: here, or on a runner of a cluster. */
import type * as Toolkit from "@effect/ai/Toolkit"
import * as Predicate from "effect/Predicate"
import type { RouteToolCall } from "../../../services/RoutingPolicy.js"
import type { ToolExecutor } from "../../../services/ToolExecutor.js"
import { refuseUnless } from "../../../shared/refusals.js"
import * as ModelToolkit from "../../tools/ModelToolkit.js"
import * as ToolRouting from "../../tools/ToolRouting.js"
import type { AgentSessionDefaults } from "../AgentSession.js"
import { checkDefaults } from "./checks.js"

/**
 * The tools as a model and the manager are given them. Throws for a wrong default, by the name that `defaults` have, and for a tool
 * that no provider takes.
 */
export const checkedLoop = ({ defaults, defaultsName, executor, layer, toolkit }: {
  readonly layer: string
  readonly toolkit: Toolkit.Any
  readonly defaults: AgentSessionDefaults
  readonly defaultsName: string
  readonly executor: ToolExecutor["Type"]
}): { readonly modelToolkit: ModelToolkit.ModelToolkit; readonly route: RouteToolCall } => {
  checkDefaults(defaultsName, defaults)
  refuseUnless(
    Predicate.hasProperty(toolkit, "tools") && Predicate.isRecord(toolkit.tools),
    `${layer}: toolkit`,
    "a Toolkit",
    toolkit
  )
  return {
    modelToolkit: ModelToolkit.fromToolkit(toolkit),
    // an executor that wraps that of the toolkit may have left it out
    route: executor.route ?? ToolRouting.fromToolkit(toolkit)
  }
}

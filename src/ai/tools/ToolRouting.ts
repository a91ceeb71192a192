/**
 * Where the calls of a toolkit run, by the annotations of its tools.
 *
 * @since 0.1.0
 */
import type * as Tool from "@effect/ai/Tool"
import type * as Toolkit from "@effect/ai/Toolkit"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import type * as Layer from "effect/Layer"
import { RoutingDecision } from "../../model/RoutingDecision.js"
import { ContinuePolicy } from "../../model/Task.js"
import { type RouteToolCall, RoutingPolicy } from "../../services/RoutingPolicy.js"
import { checkRetryRule } from "../../shared/checkRetryRule.js"
import { millisOf } from "../../shared/durations.js"
import { finiteOf, refuseUnless, refuseUnlessOneOf } from "../../shared/refusals.js"
import { printable } from "../../shared/text.js"
import { advertisedSchema, takeChoice } from "./BackgroundParameter.js"
import { annotationsOf } from "./internal/annotationsOf.js"
import {
  ApprovalTimeout,
  Background,
  BackgroundTimeout,
  Children,
  DetachAfter,
  Duplicates,
  IdleTimeout,
  Lane,
  OnTimeout,
  Priority,
  Retry,
  Timeout
} from "./ToolAnnotations.js"

/**
 * Options for every tool of the toolkit. `continuePolicy`: whether a result that comes from the background asks for
 * another turn; default `RequestContinue`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly continuePolicy?: ContinuePolicy | undefined
}

/** An annotation that the tool does not have is left out. */
const limitsOf = (annotations: Context.Context<never>): RoutingDecision.Options => {
  const lane = Context.get(annotations, Lane)
  const priority = Context.get(annotations, Priority)
  const onTimeout = Context.get(annotations, OnTimeout)
  const backgroundTimeout = Context.get(annotations, BackgroundTimeout)
  const idleTimeout = Context.get(annotations, IdleTimeout)
  const approvalTimeout = Context.get(annotations, ApprovalTimeout)
  const retry = Context.get(annotations, Retry)
  const children = Context.get(annotations, Children)
  const duplicates = Context.get(annotations, Duplicates)
  return {
    ...(lane === undefined ? undefined : { lane }),
    ...(priority === 0 ? undefined : { priority }),
    ...(onTimeout === "fail" ? undefined : { onTimeout }),
    ...(backgroundTimeout === undefined ? undefined : { backgroundTimeout }),
    ...(idleTimeout === undefined ? undefined : { idleTimeout }),
    ...(approvalTimeout === undefined ? undefined : { approvalTimeout }),
    ...(retry === undefined ? undefined : { retry }),
    ...(children === undefined ? undefined : { children }),
    ...(duplicates === "run" ? undefined : { duplicates })
  }
}

const routeOf = (tool: Tool.Any, input: unknown, continuePolicy: ContinuePolicy): RoutingDecision => {
  const annotations = annotationsOf(tool)
  // the policy also holds for a foreground call: the host may detach it
  const common = { continuePolicy, timeout: Context.get(annotations, Timeout), ...limitsOf(annotations) }
  const { choice } = takeChoice(tool, input)
  if (choice._tag === "AtOnce") return RoutingDecision.Background(common)
  if (choice._tag === "After") {
    return RoutingDecision.ForegroundThenDetachAfter({ ...common, duration: Duration.seconds(choice.seconds) })
  }
  if (Context.get(annotations, Background)) return RoutingDecision.Background(common)
  const duration = Context.get(annotations, DetachAfter)
  return duration === undefined
    ? RoutingDecision.Foreground(common)
    : RoutingDecision.ForegroundThenDetachAfter({ ...common, duration })
}

const checkAnnotations = (tool: Tool.Any): void => {
  const annotations = annotationsOf(tool)
  const nameOf = (annotation: string) => `ToolAnnotations.${annotation} of the tool "${printable(tool.name)}"`
  const checkDuration = (annotation: string, value: unknown) => {
    if (value !== undefined) millisOf(nameOf(annotation), value)
  }
  checkDuration("Timeout", Context.get(annotations, Timeout))
  checkDuration("DetachAfter", Context.get(annotations, DetachAfter))
  checkDuration("BackgroundTimeout", Context.get(annotations, BackgroundTimeout))
  checkDuration("IdleTimeout", Context.get(annotations, IdleTimeout))
  checkDuration("ApprovalTimeout", Context.get(annotations, ApprovalTimeout))
  refuseUnlessOneOf(["fail", "detach", "ask"], nameOf("OnTimeout"), Context.get(annotations, OnTimeout))
  const lane = Context.get(annotations, Lane)
  refuseUnless(
    lane === undefined || (typeof lane === "string" && lane !== ""),
    nameOf("Lane"),
    "the name of a lane",
    lane
  )
  finiteOf(nameOf("Priority"), Context.get(annotations, Priority))
  const retry = Context.get(annotations, Retry)
  if (retry !== undefined) checkRetryRule(nameOf("Retry"), retry)
  const children = Context.get(annotations, Children)
  if (children !== undefined) refuseUnlessOneOf(["cancel", "keep"], nameOf("Children"), children)
  refuseUnlessOneOf(["run", "join", "reject"], nameOf("Duplicates"), Context.get(annotations, Duplicates))
}

/**
 * A routing function made of the annotations `Background`, `DetachAfter`, `Timeout` and, where a tool is annotated with
 * `ModelChoosesBackground`, of what the model chose. Calls of unknown tools run in the foreground. Throws for an
 * annotation whose duration is negative, NaN or not a duration, and if a tool that is annotated with `ModelChoosesBackground` has a parameter `background` of its own.
 *
 * @example
 * ```ts
 * import { Tool, Toolkit } from "@effect/ai"
 * import { Effect } from "effect"
 * import { RoutingDecision, RoutingPolicy } from "effect-task-manager"
 * import { ToolAnnotations, ToolRouting } from "effect-task-manager/ai"
 *
 * const toolkit = Toolkit.make(
 *   Tool.make("run_tests").annotate(ToolAnnotations.DetachAfter, "20 seconds")
 * )
 *
 * const byAnnotations = ToolRouting.fromToolkit(toolkit)
 *
 * // anything before it decides first
 * const Routing = RoutingPolicy.layer((request) =>
 *   request.metadata["urgent"] === true ? RoutingDecision.Foreground() : byAnnotations(request)
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromToolkit = (toolkit: Toolkit.Any, options?: Options): RouteToolCall => {
  const tools = new Map(Object.entries(toolkit.tools))
  // refuses here what no call could be told
  for (const tool of tools.values()) {
    advertisedSchema(tool)
    checkAnnotations(tool)
  }
  const continuePolicy = options?.continuePolicy ?? "RequestContinue"
  refuseUnlessOneOf(ContinuePolicy.literals, "ToolRouting.Options.continuePolicy", continuePolicy)
  return (request) => {
    const tool = tools.get(request.toolName)
    return tool === undefined ? RoutingDecision.Foreground() : routeOf(tool, request.input, continuePolicy)
  }
}

/**
 * `fromToolkit` as the routing policy of a manager.
 *
 * @example
 * ```ts
 * import { Tool, Toolkit } from "@effect/ai"
 * import { Layer } from "effect"
 * import { TaskManagerLive } from "effect-task-manager"
 * import { ToolAnnotations, ToolRouting } from "effect-task-manager/ai"
 *
 * const toolkit = Toolkit.make(
 *   Tool.make("index_repository").annotate(ToolAnnotations.Background, true)
 * )
 *
 * const Manager = TaskManagerLive.pipe(Layer.provide(ToolRouting.layer(toolkit)))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (toolkit: Toolkit.Any, options?: Options): Layer.Layer<RoutingPolicy> =>
  RoutingPolicy.layer(fromToolkit(toolkit, options))

/**
 * Tools that a provider brings along.
 *
 * @since 0.1.0
 */
import * as Tool from "@effect/ai/Tool"

/**
 * Whether a provider brings the tool along. The guard of `@effect/ai` takes each for one without a handler.
 *
 * @since 0.1.0
 * @category guards
 */
export const isProviderDefined = (tool: Tool.Any): tool is Tool.AnyProviderDefined => Tool.isProviderDefined(tool)

/**
 * Whether the provider runs the tool itself, so that no handler answers its calls.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isRunByProvider = (tool: Tool.Any): boolean => isProviderDefined(tool) && !tool.requiresHandler

/**
 * The names under which `AgentLoop` reports what a model has used: those of `@effect/ai`. Tools cannot use them up.
 *
 * @since 0.1.0
 * @category constants
 */
export const modelCosts = ["inputTokens", "outputTokens", "reasoningTokens", "cachedInputTokens"] as const

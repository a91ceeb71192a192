/** The spans of `@effect/ai`, made to say what the conventions ask for now. */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Predicate from "effect/Predicate"
import * as Tracer from "effect/Tracer"
import { type Attributes, errorTypeOf, viewOf } from "./making.js"

/** How `@effect/ai` names the span of a request. */
const requests: ReadonlySet<string> = new Set([
  "LanguageModel.generateText",
  "LanguageModel.generateObject",
  "LanguageModel.streamText"
])

/** Providers that `gen_ai.system` names in another way than `gen_ai.provider.name`. */
const renamed: Readonly<Record<string, string>> = {
  "az.ai.inference": "azure.ai.inference",
  "az.ai.openai": "azure.ai.openai",
  gemini: "gcp.gemini",
  vertex_ai: "gcp.vertex_ai",
  xai: "x_ai"
}

const providerOf = (system: unknown): unknown => Predicate.isString(system) ? renamed[system] ?? system : system

/** The name of a span cannot be changed in Effect, but in the SDK of OpenTelemetry, whose span stands in that of Effect. */
const rename = (span: Tracer.Span, name: string): void => {
  if (!Predicate.hasProperty(span, "span") || !Predicate.hasProperty(span.span, "updateName")) return
  if (Predicate.isFunction(span.span.updateName)) span.span.updateName(name)
}

export interface ChatOptions {
  readonly attributes: Attributes
  readonly content: boolean
  readonly onRequest: () => void
  readonly onProvider: (provider: unknown) => void
}

/** The same tracer, with `chat` spans for requests to a language model. */
export const chatTracer = (tracer: Tracer.Tracer, options: ChatOptions): Tracer.Tracer =>
  Tracer.make({
    context: (execution, fiber) => tracer.context(execution, fiber),
    span: (name, parent, context, links, startTime, kind, spanOptions) => {
      if (!requests.has(name)) return tracer.span(name, parent, context, links, startTime, kind, spanOptions)
      const span = tracer.span("chat", parent, context, links, startTime, "client", spanOptions)
      span.attribute("gen_ai.operation.name", "chat")
      for (const key in options.attributes) span.attribute(key, options.attributes[key])
      options.onRequest()
      return viewOf(() => span, {
        attribute: (key, value) => {
          span.attribute(key, value)
          if (key === "gen_ai.request.model") rename(span, `chat ${String(value)}`)
          if (key !== "gen_ai.system") return
          const provider = providerOf(value)
          span.attribute("gen_ai.provider.name", provider)
          options.onProvider(provider)
        },
        end: (endTime, exit) => {
          if (Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause)) return span.end(endTime, exit)
          const errorType = errorTypeOf(exit.cause)
          span.attribute("error.type", errorType)
          // its message may hold what the model was asked, or said
          span.end(endTime, options.content ? exit : Exit.fail(errorType))
        }
      })
    }
  })

/** Making spans with the tracer of whoever something is done for. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Tracer from "effect/Tracer"
import type { ObservedCaller } from "../../services/internal/observer.js"
import { printable } from "../../shared/text.js"

export type Attributes = Readonly<Record<string, unknown>>

/** What every span of the library has in front of the names that no convention has. */
export const ours = "effect_task_manager"

/** Text of at most 200 characters that can be shown; most names and ids are just that, and looking closely costs more than a span. */
export const shownText = (text: string): string => /^[\w .:/-]{0,200}$/.test(text) ? text : printable(text)

/** Asks a tracer: what it throws costs what was asked of it, and nothing of what is counted beside it. */
export type Guard = <A>(ask: () => A, otherwise: A) => A

/** As `Effect.makeSpan` would, without a fiber. Undefined where tracing is disabled, and where the tracer throws. */
export const makeSpan = (
  guard: Guard,
  { fiberRefs }: Pick<ObservedCaller, "fiberRefs">,
  name: string,
  now: bigint,
  { attributes, links, parent }: {
    readonly parent: Tracer.AnySpan | undefined
    readonly links: ReadonlyArray<Tracer.SpanLink>
    readonly attributes: Attributes
  }
): Tracer.Span | undefined => {
  if (!FiberRefs.getOrDefault(fiberRefs, FiberRef.currentTracerEnabled)) return undefined
  const tracer = Context.get(FiberRefs.getOrDefault(fiberRefs, DefaultServices.currentServices), Tracer.Tracer)
  const span = guard<Tracer.Span | undefined>(
    () =>
      tracer.span(name, Option.fromNullable(parent), Context.empty(), links, now, "internal", {
        attributes,
        links,
        root: parent === undefined
      }),
    undefined
  )
  if (span === undefined) return undefined
  guard(() => {
    HashMap.forEach(
      FiberRefs.getOrDefault(fiberRefs, FiberRef.currentTracerSpanAnnotations),
      (value, key) => span.attribute(key, value)
    )
    for (const key in attributes) {
      if (attributes[key] !== undefined) span.attribute(key, attributes[key])
    }
  }, undefined)
  return span
}

export const parentIn = ({ context }: Pick<ObservedCaller, "context">): Tracer.AnySpan | undefined =>
  Option.getOrUndefined(Context.getOption(context, Tracer.ParentSpan))

export const isOver = (span: Tracer.AnySpan): boolean => span._tag === "Span" && span.status._tag === "Ended"

/** What is left of a span that others point at: it keeps nothing of it, nor of its parents, in memory. */
export const pointerTo = ({ sampled, spanId, traceId }: Tracer.AnySpan): Tracer.ExternalSpan =>
  Tracer.externalSpan({ spanId, traceId, sampled })

export const linkTo = (span: Tracer.AnySpan): Tracer.SpanLink => ({
  _tag: "SpanLink",
  span: pointerTo(span),
  attributes: {}
})

/**
 * A span whose calls go to another one, which may change, or to what stands in for them here. Anything else that a tracer finds in its
 * own spans, also their class, is found in it.
 */
export const viewOf = (current: () => Tracer.Span, instead: Partial<Tracer.Span> = {}): Tracer.Span =>
  new Proxy(current(), {
    get: (_, key) => {
      const span = current()
      const value: unknown = key in instead ? Reflect.get(instead, key) : Reflect.get(span, key)
      return Predicate.isFunction(value) && !(key in instead) ? value.bind(span) : value
    },
    has: (_, key) => key in current(),
    getPrototypeOf: () => Reflect.getPrototypeOf(current())
  })

export const interrupted: Exit.Exit<never> = Exit.interrupt(FiberId.none)

const other = "_OTHER"

/** A word for what went wrong: the status of a response, the tag of an error, the name of its class. Nothing of its text. */
export const errorTypeOf = (cause: Cause.Cause<unknown>): string => {
  try {
    const error = Cause.squash(cause)
    if (!Predicate.isRecord(error)) return other
    const { response } = error
    if (Predicate.hasProperty(response, "status") && Predicate.isNumber(response.status)) return String(response.status)
    const name = Predicate.hasProperty(error, "_tag") ? error._tag : error["name"]
    return Predicate.isString(name) && /^[\w.]{1,100}$/.test(name) ? name : other
  } catch {
    // a getter that throws
    return other
  }
}

/**
 * The span of one launch, which may be two.
 *
 * A launch in the foreground is part of its turn's trace. One in the background outlives the turn: it is the root of a trace of its own,
 * linked to the turn. One that goes to the background, or runs when what holds it ends (the turn, or the tool that started it), is both:
 * its first span ends there, and a second one goes on. What its tool makes from then on is a child of that.
 */
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import type { ObservedCaller } from "../../services/internal/observer.js"
import { type Attributes, type Guard, linkTo, makeSpan, ours, viewOf } from "./making.js"

/** Whose span has those of launches in it. */
export interface Holder {
  readonly span: Tracer.Span | undefined
  /** Made for the first one. */
  launches: Set<LaunchSpan> | undefined
}

/** Which launch a tool's spans are in: it is found from what the tool was given. */
const launchOfSpan = new WeakMap<Tracer.AnySpan, LaunchSpan>()

const kindKey = `${ours}.task.kind`

/** More spans than a tool has around a call that it starts. */
const mostParents = 100

export const launchAround = (span: Tracer.AnySpan | undefined): LaunchSpan | undefined => {
  let current = span
  for (let count = 0; count < mostParents && current !== undefined; count++) {
    const launch = launchOfSpan.get(current)
    if (launch !== undefined) return launch
    current = current._tag === "Span" ? Option.getOrUndefined(current.parent) : undefined
  }
  return undefined
}

export interface LaunchSpanOptions {
  readonly guard: Guard
  readonly caller: ObservedCaller
  readonly name: string
  readonly attributes: Attributes
  readonly inForeground: boolean
  readonly parent: Tracer.AnySpan | undefined
  readonly links: ReadonlyArray<Tracer.SpanLink>
  /** What the span of a launch in the foreground must not outlive. */
  readonly holder: Holder | undefined
}

export class LaunchSpan implements Holder {
  launches: Set<LaunchSpan> | undefined = undefined
  readonly began: bigint
  /** How often its tool has told of its progress. */
  progress = 0
  /** Undefined where tracing is disabled. */
  span: Tracer.Span | undefined
  /** What its tool finds, whichever span is the current one. */
  readonly view: Tracer.Span | undefined
  isOver = false
  private readonly options: LaunchSpanOptions
  private isOwn: boolean

  constructor(options: LaunchSpanOptions, now: bigint) {
    const { attributes, caller, guard, holder, inForeground, links, name, parent } = options
    this.options = options
    this.began = now
    this.isOwn = !inForeground
    this.span = makeSpan(guard, caller, name, now, {
      parent: inForeground ? parent : undefined,
      links: inForeground || parent === undefined ? links : [...links, linkTo(parent)],
      attributes
    })
    this.attribute(kindKey, inForeground ? "Foreground" : "Background")
    if (inForeground && holder !== undefined) (holder.launches ??= new Set()).add(this)
    const { span } = this
    // one in the background stays what it is
    this.view = span === undefined || this.isOwn ? span : viewOf(() => this.span ?? span)
    if (this.view !== undefined) launchOfSpan.set(this.view, this)
  }

  event(name: string, now: bigint, attributes?: Record<string, unknown>): void {
    const { span } = this
    if (span !== undefined) this.options.guard(() => span.event(`${ours}.${name}`, now, attributes), undefined)
  }

  attribute(key: string, value: unknown): void {
    const { span } = this
    if (span !== undefined) this.options.guard(() => span.attribute(key, value), undefined)
  }

  /** It goes on without what holds it. */
  moveOut(now: bigint): void {
    const { attributes, caller, guard, holder, name, parent } = this.options
    holder?.launches?.delete(this)
    if (this.isOwn) return
    this.isOwn = true
    const { span } = this
    if (span === undefined) return
    // it is in nothing that ends
    if (parent === undefined) return this.attribute(kindKey, "Background")
    releaseAll(this, now)
    this.span = makeSpan(guard, caller, name, now, {
      parent: undefined,
      links: [linkTo(span), linkTo(parent)],
      attributes
    })
    this.attribute(kindKey, "Background")
    guard(() => span.end(now, Exit.void), undefined)
  }

  end(now: bigint, exit: Exit.Exit<unknown, unknown>): void {
    this.isOver = true
    this.options.holder?.launches?.delete(this)
    releaseAll(this, now)
    const { span } = this
    if (span !== undefined) this.options.guard(() => span.end(now, exit), undefined)
  }
}

/** What is held goes on by itself: the span around it ends. */
export const releaseAll = ({ launches }: Holder, now: bigint): void => {
  if (launches === undefined) return
  for (const launch of launches) launch.moveOut(now)
}

/** The spans of turns, and what wakes them up. */
import type * as Clock from "effect/Clock"
import * as Exit from "effect/Exit"
import type * as Tracer from "effect/Tracer"
import type { SessionId, TaskId, TurnRef } from "../../model/ids.js"
import type { ObservedCaller, ObservedCause, ObservedEnd } from "../../services/internal/observer.js"
import { runningInKey } from "../../shared/runningInKey.js"
import { type Holder, releaseAll } from "./LaunchSpan.js"
import {
  type Attributes,
  type Guard,
  interrupted,
  isOver,
  linkTo,
  makeSpan,
  ours,
  parentIn,
  pointerTo
} from "./making.js"
import type { Measures } from "./Measures.js"

export interface Turn extends Holder {
  readonly began: bigint
  /** How many launches and requests it has made. */
  launched: number
  requests: number
  /** How many run it: a host may run it twice at a time. */
  runs: number
}

export interface TurnOptions {
  readonly agentName: string | undefined
  /** Whether messages of failures are shown. */
  readonly content: boolean
  readonly clock: Clock.Clock
  readonly measures: Measures
  readonly guard: Guard
}

/** A host may take results itself, or close the session. */
const mostFinished = 1_000

// an id may be any text
const keyOf = (sessionId: SessionId, id: string): string => `${sessionId.length} ${sessionId}${id}`

export class Turns {
  private readonly options: TurnOptions
  private readonly turns = new Map<string, Turn>()
  /** Launches that have ended and may wake their model up, oldest first. */
  private readonly finished = new Map<string, Tracer.AnySpan>()

  constructor(options: TurnOptions) {
    this.options = options
  }

  private get now(): bigint {
    return this.options.clock.unsafeCurrentTimeNanos()
  }

  get({ sessionId, turnId }: TurnRef): Turn | undefined {
    return this.turns.get(keyOf(sessionId, turnId))
  }

  begin(caller: ObservedCaller, ref: TurnRef, cause: ObservedCause | undefined): Tracer.AnySpan | undefined {
    const { agentName, guard } = this.options
    const { sessionId, turnId } = ref
    const running = this.get(ref)
    if (running !== undefined) {
      running.runs++
      return running.span
    }
    const now = this.now
    const outer = parentIn(caller)
    // an agent that a tool runs belongs to that call; who else has opened a session does not wait for its turns
    const parent = outer !== undefined && !isOver(outer) && caller.context.unsafeMap.has(runningInKey)
      ? outer
      : undefined
    const span = makeSpan(guard, caller, agentName === undefined ? "invoke_agent" : `invoke_agent ${agentName}`, now, {
      parent,
      links: [...(outer === undefined || outer === parent ? [] : [linkTo(outer)]), ...this.wakers(sessionId, cause)],
      attributes: {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": agentName,
        "gen_ai.conversation.id": sessionId,
        [`${ours}.turn.id`]: turnId,
        [`${ours}.turn.cause`]: cause?._tag
      }
    })
    this.turns.set(keyOf(sessionId, turnId), {
      began: now,
      span,
      launches: undefined,
      launched: 0,
      requests: 0,
      runs: 1
    })
    return span
  }

  private wakers(sessionId: SessionId, cause: ObservedCause | undefined): ReadonlyArray<Tracer.SpanLink> {
    return (cause?.taskIds ?? []).flatMap((id) => {
      const span = this.finished.get(keyOf(sessionId, id))
      this.finished.delete(keyOf(sessionId, id))
      return span === undefined ? [] : [linkTo(span)]
    })
  }

  /** The launch may wake the model up. */
  finish(sessionId: SessionId, id: TaskId, span: Tracer.Span): void {
    this.finished.set(keyOf(sessionId, id), pointerTo(span))
    const [oldest] = this.finished.keys()
    if (this.finished.size > mostFinished && oldest !== undefined) this.finished.delete(oldest)
  }

  modelRetries(ref: TurnRef, errorType: string): void {
    this.event(ref, "retrying", { "error.type": errorType })
  }

  event(ref: TurnRef, name: string, attributes: Attributes): void {
    const span = this.get(ref)?.span
    if (span !== undefined) {
      this.options.guard(() => span.event(`${ours}.${name}`, this.now, { ...attributes }), undefined)
    }
  }

  end(ref: TurnRef, end: ObservedEnd): void {
    const turn = this.get(ref)
    if (turn === undefined || --turn.runs > 0) return
    this.turns.delete(keyOf(ref.sessionId, ref.turnId))
    const { agentName, content, guard, measures } = this.options
    const now = this.now
    releaseAll(turn, now)
    const { began, launched, requests, span } = turn
    const errorType = end._tag === "Failed" ? end.errorType : undefined
    measures.turnEnded(now - began, { agentName, errorType, requests, launches: launched })
    if (span === undefined) return
    if (errorType !== undefined) guard(() => span.attribute("error.type", errorType), undefined)
    const exit = end._tag === "Failed"
      ? Exit.fail(content ? end.message : end.errorType)
      : end._tag === "Interrupted"
      ? interrupted
      : Exit.void
    guard(() => span.end(now, exit), undefined)
  }

  /** Nothing is watched any more. */
  endAll(): void {
    for (const turn of this.turns.values()) {
      releaseAll(turn, this.now)
      this.options.guard(() => turn.span?.end(this.now, interrupted), undefined)
    }
    this.turns.clear()
    this.finished.clear()
  }
}

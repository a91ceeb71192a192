/**
 * The spans of turns and launches.
 *
 * A launch in the foreground is part of its turn's trace. One in the background outlives the turn: it is the root of a trace of its own,
 * linked to the turn. One that goes to the background, or runs when its turn ends, is both: its first span ends there, and a second one
 * goes on. What its tool makes from then on is a child of that.
 */
import type * as Clock from "effect/Clock"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import type * as Tracer from "effect/Tracer"
import type { SessionId, TaskId, TurnRef } from "../../model/ids.js"
import { outputText } from "../../model/outputText.js"
import type { TaskSnapshot } from "../../model/Task.js"
import type { TaskEvent } from "../../model/TaskEvent.js"
import type { ToolRequest } from "../../model/ToolCall.js"
import type { ObservedCaller, ObservedEnd, ObservedLaunch } from "../../services/internal/observer.js"
import { cutText } from "../../shared/cutText.js"
import { jsonText } from "../../shared/jsonText.js"
import { runningInKey } from "../../shared/runningInKey.js"
import { printable } from "../../shared/text.js"
import { type Attributes, interrupted, isOver, linkTo, makeSpan, ours, parentIn, pointerTo, viewOf } from "./making.js"
import type { Measures } from "./Measures.js"

export interface SpanOptions {
  readonly agentName: string | undefined
  /** Whether what goes into tools and comes out of them is shown. */
  readonly content: boolean
  readonly clock: Clock.Clock
  readonly measures: Measures
}

export interface Turn {
  readonly turn: TurnRef
  readonly began: bigint
  readonly span: Tracer.Span | undefined
  readonly launches: Set<Launch>
  launched: number
  requests: number
}

interface Launch {
  readonly caller: ObservedCaller
  readonly name: string
  readonly began: bigint
  readonly attributes: Attributes
  /** Undefined where it is not part of a turn's trace. */
  turn: Turn | undefined
  parent: Tracer.AnySpan | undefined
  span: Tracer.Span | undefined
  progress: number
}

/** What happened to a task between its launches. */
interface Waiting {
  queuedAt: number | undefined
  queuedMillis: number
  askedAt: number | undefined
  approvalMillis: number | undefined
  /** The launch that asked. */
  asker: Tracer.AnySpan | undefined
}

/** A tool may tell of its progress without end, and a span keeps what it is told. */
const mostProgress = 100

const mostContent = 32_768

const text = (value: string | undefined): string | undefined =>
  value === undefined ? undefined : cutText(value, mostContent).text

export class Spans {
  private readonly options: SpanOptions
  private readonly turns = new Map<SessionId, Turn>()
  private readonly launches = new Map<TaskId, Launch>()
  private readonly waiting = new Map<TaskId, Waiting>()

  constructor(options: SpanOptions) {
    this.options = options
  }

  private get now(): bigint {
    return this.options.clock.unsafeCurrentTimeNanos()
  }

  turnOf({ sessionId, turnId }: TurnRef): Turn | undefined {
    const turn = this.turns.get(sessionId)
    return turn?.turn.turnId === turnId ? turn : undefined
  }

  // ---- turns ----

  beginTurn(caller: ObservedCaller, turn: TurnRef, cause: string | undefined): Tracer.AnySpan | undefined {
    const { agentName } = this.options
    const now = this.now
    const outer = parentIn(caller)
    // an agent that a tool runs belongs to that call; who else has opened a session does not wait for its turns
    const parent = outer !== undefined && !isOver(outer) && caller.context.unsafeMap.has(runningInKey)
      ? outer
      : undefined
    const span = makeSpan(caller, agentName === undefined ? "invoke_agent" : `invoke_agent ${agentName}`, now, {
      parent,
      links: outer === undefined || outer === parent ? [] : [linkTo(outer)],
      attributes: {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": agentName,
        "gen_ai.conversation.id": turn.sessionId,
        [`${ours}.turn.id`]: turn.turnId,
        [`${ours}.turn.cause`]: cause
      }
    })
    this.turns.set(turn.sessionId, { turn, began: now, span, launches: new Set(), launched: 0, requests: 0 })
    return span
  }

  endTurn(ref: TurnRef, end: ObservedEnd): void {
    const turn = this.turnOf(ref)
    if (turn === undefined) return
    this.turns.delete(ref.sessionId)
    const { agentName, content, measures } = this.options
    const now = this.now
    for (const launch of turn.launches) this.moveOut(launch, now)
    const { began, launched, requests, span } = turn
    const errorType = end._tag === "Failed" ? end.errorType : undefined
    if (errorType !== undefined) span?.attribute("error.type", errorType)
    span?.end(
      now,
      end._tag === "Failed"
        ? Exit.fail(content ? end.message : end.errorType)
        : end._tag === "Interrupted"
        ? interrupted
        : Exit.void
    )
    measures.turnEnded(now - began, { agentName, errorType, requests, launches: launched })
  }

  // ---- launches ----

  beginLaunch(caller: ObservedCaller, snapshot: TaskSnapshot, request: ToolRequest): ObservedLaunch {
    const { id, kind, toolName } = snapshot
    const now = this.now
    const waited = this.waiting.get(id)
    this.waiting.delete(id)
    const turn = this.turnOf(snapshot)
    const inTurn = kind === "Foreground"
    const parent = this.parentOf(caller, turn)
    const name = `execute_tool ${printable(toolName)}`
    const attributes: Attributes = {
      "gen_ai.operation.name": "execute_tool",
      "gen_ai.tool.name": printable(toolName),
      "gen_ai.tool.call.id": snapshot.callId,
      "gen_ai.tool.type": "function",
      "gen_ai.conversation.id": snapshot.sessionId,
      [`${ours}.turn.id`]: snapshot.turnId,
      [`${ours}.task.id`]: id,
      [`${ours}.task.launch`]: snapshot.launch,
      [`${ours}.lane`]: snapshot.lane,
      "gen_ai.tool.call.arguments": this.options.content ? text(jsonText(request.input)) : undefined
    }
    const links = [waited?.asker, inTurn ? undefined : parent].flatMap((span) =>
      span === undefined ? [] : [linkTo(span)]
    )
    const span = makeSpan(caller, name, now, {
      parent: inTurn ? parent : undefined,
      links,
      attributes: { ...attributes, [`${ours}.task.kind`]: kind }
    })
    if (waited !== undefined) {
      if (waited.queuedMillis > 0) {
        span?.event(`${ours}.queued`, now, { [`${ours}.queue.duration`]: waited.queuedMillis / 1e3 })
      }
      if (waited.approvalMillis !== undefined) {
        span?.event(`${ours}.approved`, now, { [`${ours}.approval.duration`]: waited.approvalMillis / 1e3 })
      }
    }
    const launch: Launch = {
      caller,
      name,
      began: now,
      attributes,
      turn: inTurn ? turn : undefined,
      parent: inTurn ? parent : undefined,
      span,
      progress: 0
    }
    if (turn !== undefined) turn.launched++
    launch.turn?.launches.add(launch)
    this.launches.set(id, launch)
    this.options.measures.launchBegan(snapshot, waited?.queuedMillis ?? 0)
    return {
      // one in the background stays what it is
      span: span !== undefined && inTurn ? viewOf(() => launch.span ?? span) : span,
      logAnnotations: FiberRefs.getOrDefault(caller.fiberRefs, FiberRef.currentLogAnnotations).pipe(
        HashMap.set<string, unknown>("sessionId", printable(snapshot.sessionId)),
        HashMap.set<string, unknown>("turnId", printable(snapshot.turnId)),
        HashMap.set<string, unknown>("taskId", printable(id))
      )
    }
  }

  /** The span that the caller is in, if that is of the turn; an approval may come from anywhere. */
  private parentOf(caller: ObservedCaller, turn: Turn | undefined): Tracer.AnySpan | undefined {
    const outer = parentIn(caller)
    if (turn?.span === undefined) return outer === undefined || !isOver(outer) ? outer : pointerTo(outer)
    return outer !== undefined && outer.traceId === turn.span.traceId && !isOver(outer) ? outer : turn.span
  }

  /** The launch goes on without its turn. */
  private moveOut(launch: Launch, now: bigint): void {
    const { attributes, caller, name, parent, span, turn } = launch
    turn?.launches.delete(launch)
    launch.turn = undefined
    launch.parent = undefined
    if (span === undefined || parent === undefined) return
    launch.span = makeSpan(caller, name, now, {
      parent: undefined,
      links: [linkTo(span), linkTo(parent)],
      attributes: { ...attributes, [`${ours}.task.kind`]: "Background" }
    })
    span.end(now, Exit.void)
  }

  private endLaunch(
    snapshot: TaskSnapshot,
    errorType: string | undefined,
    exit: Exit.Exit<unknown, unknown>
  ): Launch | undefined {
    const launch = this.launches.get(snapshot.id)
    if (launch === undefined) return undefined
    const now = this.now
    const { began, span, turn } = launch
    this.launches.delete(snapshot.id)
    turn?.launches.delete(launch)
    span?.attribute(`${ours}.task.status`, snapshot.status)
    if (errorType !== undefined) span?.attribute("error.type", errorType)
    span?.end(now, exit)
    this.options.measures.launchEnded(snapshot, now - began, errorType)
    return launch
  }

  /** Nothing more is launched of the task. */
  private settled(snapshot: TaskSnapshot, at: number): void {
    const waited = this.waiting.get(snapshot.id)
    if (waited === undefined) return
    this.waiting.delete(snapshot.id)
    this.answered(snapshot, waited, at, snapshot.status === "Failed" ? "rejected" : "withdrawn")
  }

  private answered(snapshot: TaskSnapshot, waited: Waiting, at: number, answer: string): void {
    const { askedAt } = waited
    if (askedAt === undefined) return
    waited.askedAt = undefined
    waited.approvalMillis = at - askedAt
    this.options.measures.approvalAnswered(snapshot, waited.approvalMillis, answer)
    this.turnOf(snapshot)?.span?.event(`${ours}.approval_answered`, this.now, {
      [`${ours}.task.id`]: snapshot.id,
      [`${ours}.approval.answer`]: answer,
      [`${ours}.approval.duration`]: waited.approvalMillis / 1e3
    })
  }

  private waitingOf(id: TaskId): Waiting {
    const known = this.waiting.get(id)
    if (known !== undefined) return known
    const made: Waiting = {
      queuedAt: undefined,
      queuedMillis: 0,
      askedAt: undefined,
      approvalMillis: undefined,
      asker: undefined
    }
    this.waiting.set(id, made)
    return made
  }

  hear(event: TaskEvent): void {
    const { content, measures } = this.options
    switch (event._tag) {
      case "Queued": {
        const waited = this.waitingOf(event.taskId)
        this.answered(event.snapshot, waited, event.at, "approved")
        waited.queuedAt = event.at
        return
      }
      case "Started": {
        const waited = this.waiting.get(event.taskId)
        if (waited === undefined) return
        this.answered(event.snapshot, waited, event.at, "approved")
        if (waited.queuedAt !== undefined) waited.queuedMillis = event.at - waited.queuedAt
        return
      }
      case "Progress": {
        const launch = this.launches.get(event.taskId)
        if (launch === undefined || launch.progress++ >= mostProgress) return
        const { fraction, message } = event.progress
        launch.span?.event(`${ours}.progress`, this.now, {
          ...(fraction === undefined ? undefined : { [`${ours}.progress.fraction`]: fraction }),
          ...(content && message !== undefined ? { [`${ours}.progress.message`]: text(message) } : undefined)
        })
        return
      }
      case "Retrying":
        this.launches.get(event.taskId)?.span?.event(`${ours}.retrying`, this.now, {
          "error.type": event.error.reason,
          [`${ours}.retry.delay`]: event.delay / 1e3
        })
        return
      case "Detached": {
        measures.detached(event.snapshot)
        const launch = this.launches.get(event.taskId)
        if (launch === undefined) return
        const now = this.now
        launch.span?.event(`${ours}.detached`, now)
        this.moveOut(launch, now)
        return
      }
      case "AwaitingApproval": {
        const { snapshot } = event
        const asker = this.launches.get(event.taskId)
        asker?.span?.event(`${ours}.approval_requested`, this.now)
        this.endLaunch(snapshot, undefined, Exit.void)
        const waited = this.waitingOf(event.taskId)
        waited.askedAt = event.at
        waited.asker = asker?.span === undefined ? undefined : pointerTo(asker.span)
        this.turnOf(snapshot)?.span?.event(`${ours}.approval_requested`, this.now, { [`${ours}.task.id`]: snapshot.id })
        return
      }
      case "Completed": {
        const { isError, output } = event.result
        if (content) {
          this.launches.get(event.taskId)?.span?.attribute("gen_ai.tool.call.result", text(outputText(output)))
        }
        this.endLaunch(
          event.snapshot,
          isError ? "tool_error" : undefined,
          isError ? Exit.fail("tool_error") : Exit.void
        )
        this.settled(event.snapshot, event.at)
        return
      }
      case "Failed": {
        const { message, reason } = event.error
        this.endLaunch(event.snapshot, reason, Exit.fail(content ? message : reason))
        this.settled(event.snapshot, event.at)
        return
      }
      case "Cancelled":
        this.endLaunch(event.snapshot, undefined, interrupted)
        this.settled(event.snapshot, event.at)
        return
      default:
    }
  }

  /** Nothing is watched any more. */
  end(): void {
    const now = this.now
    for (const { span } of this.launches.values()) span?.end(now, interrupted)
    for (const { span } of this.turns.values()) span?.end(now, interrupted)
    this.launches.clear()
    this.turns.clear()
    this.waiting.clear()
  }
}

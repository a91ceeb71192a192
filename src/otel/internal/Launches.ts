/** The launches of one manager: what their spans are told of what happens to their tasks. */
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import type * as Tracer from "effect/Tracer"
import type { TaskId } from "../../model/ids.js"
import { outputText } from "../../model/outputText.js"
import type { TaskSnapshot } from "../../model/Task.js"
import type { TaskEvent } from "../../model/TaskEvent.js"
import type { ToolRequest } from "../../model/ToolCall.js"
import type { ObservedCaller, ObservedLaunch } from "../../services/internal/observer.js"
import { cutText } from "../../shared/cutText.js"
import { jsonText } from "../../shared/jsonText.js"
import { type Holder, launchAround, LaunchSpan } from "./LaunchSpan.js"
import { type Attributes, interrupted, isOver, linkTo, ours, parentIn, pointerTo, shownText } from "./making.js"
import type { Turn, TurnOptions, Turns } from "./Turns.js"

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

const annotationsOf = (
  { fiberRefs }: ObservedCaller,
  { id, sessionId, turnId }: TaskSnapshot
): ObservedLaunch["logAnnotations"] =>
  HashMap.mutate(FiberRefs.getOrDefault(fiberRefs, FiberRef.currentLogAnnotations), (annotations) => {
    HashMap.set<string, unknown>(annotations, "sessionId", shownText(sessionId))
    HashMap.set<string, unknown>(annotations, "turnId", shownText(turnId))
    HashMap.set<string, unknown>(annotations, "taskId", shownText(id))
  })

/** Whose span a launch is in: that of the tool or the turn that starts it, also where it is approved from elsewhere. */
const placeOf = (
  caller: ObservedCaller,
  turn: Turn | undefined
): {
  readonly holder: Holder | undefined
  readonly parent: Tracer.AnySpan | undefined
  readonly links: ReadonlyArray<Tracer.SpanLink>
} => {
  const outer = parentIn(caller)
  const around = launchAround(outer)
  const holder = around === undefined || around.isOver ? turn : around
  const isOpen = outer !== undefined && !isOver(outer)
  if (holder?.span === undefined) {
    return { holder, parent: isOpen ? outer : undefined, links: outer === undefined || isOpen ? [] : [linkTo(outer)] }
  }
  return { holder, parent: isOpen && outer.traceId === holder.span.traceId ? outer : holder.span, links: [] }
}

export class Launches {
  private readonly options: TurnOptions
  private readonly turns: Turns
  private readonly launches = new Map<TaskId, LaunchSpan>()
  private readonly waiting = new Map<TaskId, Waiting>()

  constructor(options: TurnOptions, turns: Turns) {
    this.options = options
    this.turns = turns
  }

  private get now(): bigint {
    return this.options.clock.unsafeCurrentTimeNanos()
  }

  begin(caller: ObservedCaller, snapshot: TaskSnapshot, request: ToolRequest): ObservedLaunch {
    const { id, kind, toolName } = snapshot
    const now = this.now
    const waited = this.waiting.get(id)
    this.waiting.delete(id)
    const turn = this.turns.get(snapshot)
    const { holder, links, parent } = placeOf(caller, turn)
    const tool = shownText(toolName)
    const attributes: Attributes = {
      "gen_ai.operation.name": "execute_tool",
      "gen_ai.tool.name": tool,
      "gen_ai.tool.call.id": snapshot.callId,
      "gen_ai.tool.type": "function",
      "gen_ai.conversation.id": snapshot.sessionId,
      [`${ours}.turn.id`]: snapshot.turnId,
      [`${ours}.task.id`]: id,
      [`${ours}.task.parent`]: snapshot.parentTaskId,
      [`${ours}.task.launch`]: snapshot.launch,
      [`${ours}.lane`]: snapshot.lane,
      "gen_ai.tool.call.arguments": this.options.content ? text(jsonText(request.input)) : undefined
    }
    const launch = new LaunchSpan({
      guard: this.options.guard,
      caller,
      name: `execute_tool ${tool}`,
      attributes,
      inForeground: kind === "Foreground",
      parent,
      links: waited?.asker === undefined ? links : [linkTo(waited.asker), ...links],
      holder
    }, now)
    if (waited !== undefined) {
      const { approvalMillis, queuedMillis } = waited
      if (queuedMillis > 0) launch.event("queued", now, { [`${ours}.queue.duration`]: queuedMillis / 1e3 })
      if (approvalMillis !== undefined) {
        launch.event("approved", now, { [`${ours}.approval.duration`]: approvalMillis / 1e3 })
      }
    }
    if (turn !== undefined) turn.launched++
    this.launches.set(id, launch)
    this.options.measures.launchBegan(snapshot, waited?.queuedMillis ?? 0)
    return { span: launch.view, logAnnotations: annotationsOf(caller, snapshot) }
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
        return launch.event("progress", this.now, {
          ...(fraction === undefined ? undefined : { [`${ours}.progress.fraction`]: fraction }),
          ...(content && message !== undefined ? { [`${ours}.progress.message`]: text(message) } : undefined)
        })
      }
      case "Retrying":
        return this.launches.get(event.taskId)?.event("retrying", this.now, {
          "error.type": event.error.reason,
          [`${ours}.retry.delay`]: event.delay / 1e3
        })
      case "Detached": {
        measures.detached(event.snapshot)
        const launch = this.launches.get(event.taskId)
        launch?.event("detached", this.now)
        return launch?.moveOut(this.now)
      }
      case "AwaitingApproval":
        return this.asked(event.snapshot, event.at)
      case "Completed": {
        const { isError, output } = event.result
        if (content) {
          this.launches.get(event.taskId)?.attribute("gen_ai.tool.call.result", text(outputText(output)))
        }
        this.end(event.snapshot, isError ? Exit.fail("tool_error") : Exit.void, isError ? "tool_error" : undefined)
        return this.settled(event.snapshot, event.at)
      }
      case "Failed": {
        const { message, reason } = event.error
        this.end(event.snapshot, Exit.fail(content ? message : reason), reason)
        return this.settled(event.snapshot, event.at)
      }
      case "Cancelled":
        this.end(event.snapshot, interrupted)
        return this.settled(event.snapshot, event.at)
      default:
    }
  }

  private end(snapshot: TaskSnapshot, exit: Exit.Exit<unknown, unknown>, errorType?: string): void {
    const launch = this.launches.get(snapshot.id)
    if (launch === undefined) return
    const now = this.now
    const { began, span } = launch
    this.launches.delete(snapshot.id)
    this.options.measures.launchEnded(snapshot, now - began, errorType)
    launch.attribute(`${ours}.task.status`, snapshot.status)
    if (errorType !== undefined) launch.attribute("error.type", errorType)
    launch.end(now, exit)
    if (span !== undefined && snapshot.kind === "Background" && snapshot.continuePolicy === "RequestContinue") {
      this.turns.finish(snapshot.sessionId, snapshot.id, span)
    }
  }

  private asked(snapshot: TaskSnapshot, at: number): void {
    const asker = this.launches.get(snapshot.id)
    asker?.event("approval_requested", this.now)
    this.end(snapshot, Exit.void)
    const waited = this.waitingOf(snapshot.id)
    waited.askedAt = at
    waited.asker = asker?.span === undefined ? undefined : pointerTo(asker.span)
    this.turns.event(snapshot, "approval_requested", { [`${ours}.task.id`]: snapshot.id })
  }

  private answered(snapshot: TaskSnapshot, waited: Waiting, at: number, answer: string): void {
    const { askedAt } = waited
    if (askedAt === undefined) return
    waited.askedAt = undefined
    waited.approvalMillis = at - askedAt
    this.options.measures.approvalAnswered(snapshot, waited.approvalMillis, answer)
    this.turns.event(snapshot, "approval_answered", {
      [`${ours}.task.id`]: snapshot.id,
      [`${ours}.approval.answer`]: answer,
      [`${ours}.approval.duration`]: waited.approvalMillis / 1e3
    })
  }

  /** Nothing more is launched of the task. */
  private settled(snapshot: TaskSnapshot, at: number): void {
    const waited = this.waiting.get(snapshot.id)
    if (waited === undefined) return
    this.waiting.delete(snapshot.id)
    this.answered(snapshot, waited, at, snapshot.status === "Failed" ? "rejected" : "withdrawn")
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

  /** The manager is gone. */
  endAll(): void {
    for (const launch of this.launches.values()) launch.end(this.now, interrupted)
    this.launches.clear()
    this.waiting.clear()
  }
}

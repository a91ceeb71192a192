/** Looks at what the host of a session was told: whether it is complete, and in the order in which it happened. */
import type { AgentEvent } from "../../../src/ai/loop/AgentEvent.js"
import type { AgentSessionWatch } from "../../../src/ai/loop/AgentSession.js"
import type { TaskId, ToolCallId, TurnId } from "../../../src/model/ids.js"
import { isSettled } from "../../../src/model/settled.js"
import type { TaskSnapshot } from "../../../src/model/Task.js"
import type { AgentWorld, Opening, SessionLog } from "./AgentWorld.js"

type Broken = (why: string) => void

/** A session that was just opened does nothing, and what lives of it is what the manager has of it. */
export const checkWatch = (world: AgentWorld, { sessionId }: SessionLog, watch: AgentSessionWatch): void => {
  const live = [...world.tasks.values()]
    .filter((task) => task.sessionId === sessionId && task.generation === world.generation && !isSettled(task.snapshot))
  const isRight = watch.turnId === undefined && watch.live.length === live.length
  if (!isRight) world.violate("told", `${sessionId}, just opened, is ${JSON.stringify(watch)}`)
}

/** Every event of the manager, in its order; some of them where the manager's own buffer was too small. */
const checkTasks = (world: AgentWorld, { sessionId }: SessionLog, opening: Opening, broken: Broken): void => {
  const published = world.publishedOf(opening.generation, sessionId).slice(opening.since)
  const told = opening.events.flatMap((event) => event._tag === "Task" ? [event.event] : [])
  if (opening.events.some(({ _tag }) => _tag === "Reset")) {
    world.meet("missed events")
    let last = 0
    for (const { seq } of told) {
      if (seq <= last) broken(`event ${seq} is told after ${last}`)
      last = seq
    }
    return
  }
  const heard = told.map(({ seq }) => seq).join()
  // the id may have been opened again since
  const happened = published.slice(0, told.length).map(({ seq }) => seq).join()
  if (heard !== happened) broken(`was told ${heard} of ${happened}`)
}

const isOwnCall = (event: AgentEvent): event is Extract<AgentEvent, { readonly _tag: "ToolCall" }> =>
  event._tag === "ToolCall" && !event.providerExecuted

/** Nothing is told before what it follows from, and of a turn nothing after its end. */
const checkCauses = (world: AgentWorld, session: SessionLog, opening: Opening, broken: Broken): void => {
  const known = new Map<TaskId, TaskSnapshot>()
  const calls = new Map<ToolCallId, TurnId>()
  const lives = (callId: ToolCallId): TaskId | undefined => {
    for (const { taskId } of world.tasksOf(session.sessionId, callId)) {
      const snapshot = known.get(taskId)
      if (snapshot === undefined || snapshot.kind === "Foreground" && !isSettled(snapshot)) return taskId
    }
    return undefined
  }
  let last: AgentEvent | undefined
  for (const event of opening.events) {
    // what was missed is not known
    if (event._tag === "Reset") return
    if (event._tag === "Task" && "snapshot" in event.event) known.set(event.event.taskId, event.event.snapshot)
    if (isOwnCall(event) && !session.isReused(event.callId)) {
      if (world.tasksOf(session.sessionId, event.callId).some(({ taskId }) => known.has(taskId))) {
        broken(`a task of ${event.callId} is told before the call`)
      }
      calls.set(event.callId, event.turnId)
    }
    if (event._tag === "TextDelta" || event._tag === "ReasoningDelta") {
      for (const callId of calls.keys()) {
        const task = lives(callId)
        if (task !== undefined) broken(`the model speaks after ${callId}, and ${task} lives`)
      }
    }
    if (event._tag === "TurnEnded" && event.reason._tag !== "Failed") {
      for (const [callId, turnId] of calls) {
        const task = turnId === event.turnId ? lives(callId) : undefined
        if (task !== undefined) broken(`${turnId} has ended, and ${task} lives`)
      }
    }
    if (
      event._tag === "ApprovalRequested" &&
      !(last?._tag === "Task" && last.event._tag === "AwaitingApproval" && last.event.taskId === event.approval.taskId)
    ) broken(`${event.approval.taskId} asks after ${last?._tag}`)
    last = event
  }
}

/** A session that was closed: its events end, and the last of them are those of what was cancelled. */
const checkEnd = (world: AgentWorld, { sessionId }: SessionLog, opening: Opening, broken: Broken): void => {
  const last = opening.events.at(-1)
  if (last?._tag === "Reset") return
  if (last?._tag !== "Task" || last.event._tag !== "SessionClosed") {
    return broken(`the last event is ${last?._tag}, and not that it is closed`)
  }
  if (opening.events.some(({ _tag }) => _tag === "Reset")) return
  const { seq } = last.event
  const missing = world.publishedOf(opening.generation, sessionId).slice(opening.since)
    .filter((event) => event.seq <= seq).length - opening.events.filter(({ _tag }) => _tag === "Task").length
  if (missing > 0) broken(`it was closed and ${missing} events were never told`)
}

/** Of every opening of a session, once they are over. */
export const checkTold = (world: AgentWorld, session: SessionLog): void => {
  for (const opening of session.openings) {
    const broken: Broken = (why) => world.violate("told", `${session.sessionId}: ${why}`)
    checkTasks(world, session, opening, broken)
    checkCauses(world, session, opening, broken)
    if (opening.isClosed) checkEnd(world, session, opening, broken)
  }
}

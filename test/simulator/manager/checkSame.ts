/** Calls with the same tool and input: who joined whom, and that both ended alike. */
import type { TaskId } from "../../../src/model/ids.js"
import { jsonEquals } from "../../../src/model/json.js"
import type { TaskLog } from "./check.js"
import type { World } from "./World.js"

/** The task that this one had joined when it settled; undefined for one that ran, or was cancelled. */
export const firstOf = (logs: ReadonlyMap<TaskId, TaskLog>, { terminal }: TaskLog): TaskLog | undefined => {
  const joined = terminal?.event._tag === "Cancelled" ? undefined : terminal?.event.snapshot.joinedTaskId
  return joined === undefined ? undefined : logs.get(joined)
}

/** A task that ends with the result of another one: in the step in which that ends, in the same way, and without a tool. */
export const checkJoined = (world: World, task: TaskLog, first: TaskLog): void => {
  const { id, launches, terminal } = task
  if (launches.some(({ run }) => run !== undefined)) world.violate(4, `${id} has joined ${first.id}, and ran`)
  const own = terminal?.event
  const other = first.terminal?.event
  if (own?._tag !== other?._tag || own?.at !== other?.at || (terminal?.order ?? 0) < (first.terminal?.order ?? 0)) {
    world.violate(
      4,
      `${id} has joined ${first.id}, and ended as ${own?._tag ?? ""} where that was ${other?._tag ?? ""}`
    )
  }
}

const decisionOf = ({ launches }: TaskLog) => launches[0]?.routes.at(-1)?.decision

/** The tasks with the same call that were live when this one came, and that others join. */
const liveWhen = (logs: ReadonlyMap<TaskId, TaskLog>, { events, id, planned }: TaskLog) => {
  const began = events[0]?.order ?? 0
  const { input, sessionId, toolName } = planned.request
  return [...logs.values()].filter((other) => {
    const { request } = other.planned
    const { duplicates = "run" } = decisionOf(other) ?? {}
    return other.id !== id && duplicates !== "run" && request.sessionId === sessionId &&
      request.toolName === toolName &&
      jsonEquals(request.input, input) && (other.events[0]?.order ?? Infinity) < began &&
      (other.terminal?.order ?? Infinity) > began
  })
}

const parentOf = (logs: ReadonlyMap<TaskId, TaskLog>, id: TaskId): TaskId | undefined => {
  const event = logs.get(id)?.events[0]?.event
  return event !== undefined && "snapshot" in event ? event.snapshot.parentTaskId : undefined
}

/** What has joined a task that completes or fails ends in that step. */
const checkJoins = (world: World, logs: ReadonlyMap<TaskId, TaskLog>, { events, id }: TaskLog): void => {
  for (const [index, { event }] of events.entries()) {
    if (event._tag !== "Queued" || event.snapshot.joinedTaskId === undefined) continue
    for (let up = event.snapshot.parentTaskId; up !== undefined; up = parentOf(logs, up)) {
      if (up === event.snapshot.joinedTaskId) world.violate(4, `${id} has joined ${up}, which it runs under`)
    }
    const first = logs.get(event.snapshot.joinedTaskId)?.terminal
    if (first === undefined || first.event._tag === "Cancelled") continue
    const next = events.slice(index + 1).find((record) => record.event._tag !== "Detached")
    if (next === undefined || next.order > first.order && next.event._tag !== first.event._tag) {
      world.violate(4, `${id} had joined ${first.event.snapshot.id}, which is ${first.event._tag}, and went on`)
    }
  }
}

/** A call whose route says so joins what is live, or is not accepted. */
export const checkSame = (world: World, logs: ReadonlyMap<TaskId, TaskLog>): void => {
  const { plan } = world
  if (!plan.features.duplicates || plan.manager === "Simple") return
  for (const task of logs.values()) checkJoins(world, logs, task)
  for (const task of logs.values()) {
    const { events, id, planned: { request } } = task
    const begun = events[0]?.event
    const { duplicates = "run" } = decisionOf(task) ?? {}
    if (begun === undefined || !("snapshot" in begun) || begun._tag === "Cancelled" || duplicates === "run") continue
    // what was closed is another session, though it has the same name
    const isClosed = world.calls.some(({ began, operation, sessionId }) =>
      operation === "closeSession" && sessionId === request.sessionId && began.order < (events[0]?.order ?? 0)
    )
    if (isClosed) continue
    const live = liveWhen(logs, task)
    if (duplicates === "reject") {
      if (live.length > 0) world.violate(4, `${id} was accepted while ${live[0]?.id ?? ""} was live`)
      continue
    }
    // tools that wait or have started it may be waiting for it, and one that asks is joined by nobody
    const mayRun = plan.features.waitingTools || plan.features.approvals || begun.snapshot.parentTaskId !== undefined
    if (live.length > 0 && !mayRun && begun.snapshot.joinedTaskId === undefined) {
      world.violate(4, `${id} has not joined ${live[0]?.id ?? ""}`)
    }
  }
}

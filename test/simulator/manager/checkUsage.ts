/** What tasks have used, by their events, and what was summed up. */
import { usage } from "../../../src/machine/queries.js"
import type { TaskId } from "../../../src/model/ids.js"
import type { TaskLog } from "./check.js"
import type { World } from "./World.js"

const times = (tasks: ReadonlyArray<TaskId>, id: TaskId): number => tasks.filter((one) => one === id).length

const startsOf = ({ events }: TaskLog): number => events.filter(({ event }) => event._tag === "Started").length

/** How long its tools ran, by the events. */
const runOf = ({ launches }: TaskLog): number =>
  launches.reduce(
    (sum, { end, startedAt }) => sum + (startedAt === undefined || end === undefined ? 0 : end.event.at - startedAt),
    0
  )

/** A task with a limit on what it reports does not complete beyond it. */
const checkLimit = (world: World, { id, terminal }: TaskLog): void => {
  const { ledger } = world.plan
  if (ledger === undefined || terminal === undefined) return
  const { event } = terminal
  if (event._tag === "Completed" && ledger.onLimit === "fail" && times(world.paid, id) > ledger.task) {
    world.violate(4, `${id} is Completed, and has paid ${times(world.paid, id)}`)
  }
  // what has joined another call ends as that does
  const hasJoined = "snapshot" in event && event.snapshot.joinedTaskId !== undefined
  if (hasJoined) return
  if (event._tag === "Failed" && event.error.reason === "LimitReached" && times(world.paying, id) <= ledger.task) {
    world.violate(4, `${id} has passed its limit, and has paid ${times(world.paying, id)}`)
  }
}

/** A call that is accepted comes before its session has used up its launches. */
const checkSession = (world: World, logs: ReadonlyMap<TaskId, TaskLog>, { events, id, planned }: TaskLog): void => {
  const [first] = events
  const { sessionId } = planned.request
  const isClosed = world.calls.some((call) => call.operation === "closeSession" && call.sessionId === sessionId)
  // what is accepted for a turn that is interrupted never begins
  if (first === undefined || isClosed || first.event._tag === "Cancelled") return
  let launches = 0
  for (const other of logs.values()) {
    if (other.planned.request.sessionId !== sessionId) continue
    launches += other.events.filter(({ event, order }) => event._tag === "Started" && order < first.order).length
  }
  if (launches >= (world.plan.ledger?.launches ?? Infinity)) {
    world.violate(4, `${id} was accepted after ${launches} launches of ${sessionId}`)
  }
}

/** Every amount is counted once. To be called at the end, when nothing runs. */
export const checkUsage = (world: World, logs: ReadonlyMap<TaskId, TaskLog>): void => {
  if (world.plan.ledger === undefined) return
  const { table } = world.subject.engine.state
  const all = usage(table, {})
  if (all === undefined || all === "Off") return world.violate(10, "nothing is summed up")
  const tasks = [...logs.values()]
  for (const task of tasks) {
    checkLimit(world, task)
    checkSession(world, logs, task)
    const own = task.terminal?.event.snapshot.usage
    const expected = { launches: startsOf(task), runMillis: runOf(task) }
    if (own?.launches !== expected.launches || own.runMillis !== expected.runMillis) {
      world.violate(4, `${task.id} has used ${JSON.stringify(own)}, not ${JSON.stringify(expected)}`)
    }
  }
  const launches = tasks.reduce((sum, task) => sum + startsOf(task), 0)
  const runMillis = tasks.reduce((sum, task) => sum + runOf(task), 0)
  const { usd = 0 } = all.costs
  if (all.launches !== launches || all.runMillis !== runMillis) {
    world.violate(4, `all have used ${JSON.stringify(all)}, and not ${launches} launches and ${runMillis} ms`)
  }
  // what was said while the tool was stopped may have been heard or not
  if (usd > world.paying.length) world.violate(4, `${usd} are paid, and ${world.paying.length} were`)
  for (const { live, turns } of table.ledger?.sessions.values() ?? []) {
    if (live !== 0) world.violate(10, `${live} tasks of a session are measured that do not live`)
    for (const turn of turns.values()) {
      if (turn.live !== 0) world.violate(10, `${turn.live} tasks of a turn are measured that do not live`)
    }
  }
}

/** Who waits for a place in a table, and whether the counts and lines of its limits are true. */
import type { Line } from "../../src/machine/state/lanes.js"
import type { Session } from "../../src/machine/state/Session.js"
import type { TaskRecord } from "../../src/machine/state/TaskRecord.js"
import type { TaskTable } from "../../src/machine/state/TaskTable.js"
import type { Waiter } from "../../src/machine/state/Waiter.js"

/** The tasks that are held back, in the order in which they came. */
export const queueOf = (table: TaskTable): ReadonlyArray<TaskRecord> =>
  [...table.live].filter(({ queueNode }) => queueNode !== undefined).sort((one, other) =>
    one.waitsSince - other.waitsSince
  )

/** The waits that are over and want their task's place back. */
export const returningOf = (table: TaskTable): ReadonlyArray<Waiter> => [
  ...new Set([...table.live].flatMap(({ returning }) => [...returning ?? []]))
]

const holderOf = (waiter: Waiter): TaskRecord | undefined => waiter.tasks.find((task) => task.place !== "shared")

/** Everything that is wrong with the places. */
export const wrongPlaces = (table: TaskTable): ReadonlyArray<string> => {
  const wrong: Array<string> = []
  const expect = (what: string, found: unknown, wanted: unknown): void => {
    if (found !== wanted) wrong.push(`${what} is ${String(found)} where ${String(wanted)} is true`)
  }
  const live = [...table.live]
  const held = live.filter(({ place }) => place === "held")
  expect("the number of places in use", table.places, held.length)
  for (const lane of table.lanes) {
    const inLane = held.filter((task) => task.lane === lane).length
    expect(`the number of places in use in the lane ${lane.name ?? "without a name"}`, lane.places, inLane)
  }
  const sessions = new Set<Session>([...table.sessions.values(), ...live.map(({ session }) => session)])
  for (const session of sessions) {
    const inSession = held.filter((task) => task.session === session).length
    expect(`the number of places in use in ${session.id}`, session.places, inSession)
  }
  const returning = returningOf(table)
  const waiting = [
    ...queueOf(table),
    ...returning.flatMap((waiter) => {
      const holder = holderOf(waiter)
      if (holder !== waiter.returnsTo) wrong.push("a wait returns to a task that is not the holder of its place")
      if (holder?.place === "held") wrong.push(`${holder.snapshot.id} waits for the place that it has`)
      return holder ?? []
    })
  ]
  for (const { duplicates, queueNode, snapshot: { id, status } } of live) {
    // one that has joined the same call waits for that, and for no place
    const wantsPlace = status === "Queued" && duplicates?.join === undefined
    expect(`whether ${id}, which is ${status}, is in a line`, queueNode !== undefined, wantsPlace)
  }
  expect("the number of those that wait for a place", table.waiting, waiting.length)
  const isFull = (session: Session): boolean => session.places >= table.limits.perSession
  for (const { lane, session, snapshot: { id } } of waiting) {
    if (table.places < table.limits.concurrency && lane.places < lane.limit && !isFull(session)) {
      wrong.push(`${id} waits while a place is free`)
    }
  }
  const lines = new Set<Line>([
    ...[...sessions].flatMap(({ lines }) => [...lines?.values() ?? []]),
    ...table.lanes.flatMap(({ line }) => line ?? [])
  ])
  for (const line of lines) {
    const isReady = !line.isEmpty && !(line.session !== undefined && isFull(line.session))
    expect("whether a line is among those that are ready", line.index !== -1, isReady)
    if (line.session !== undefined && line.isEmpty) wrong.push("an empty line is kept")
  }
  const ready = [...lines].filter(({ index }) => index !== -1).length
  expect("the number of ready lines", table.lanes.reduce((sum, lane) => sum + lane.ready.size, 0), ready)
  return wrong
}

/**
 * What tasks use, summed up as it happens, where the configuration asks for it: each amount is added to the sums of its task, its turn, its
 * session, its lane and of all, so that no question costs more for what has settled.
 *
 * | the sums of | live                                                                                              |
 * | ----------- | ------------------------------------------------------------------------------------------------- |
 * | a task      | in its snapshot                                                                                   |
 * | a session   | until it is closed, or was not used while `maxSessions` others were                               |
 * | a turn      | as long as its session's, until it was not used while `maxTurns` others of it were                |
 * | a lane, all | as long as the manager                                                                            |
 */
import type { SessionId, TurnId, TurnRef } from "../model/ids.js"
import type { TaskSnapshot } from "../model/Task.js"
import type { ReachedLimit, Usage, UsageCosts } from "../model/Usage.js"
import { modelCosts } from "../shared/modelCosts.js"
import {
  type Amount,
  amounts,
  type Ledger,
  type Limit,
  type Meter,
  plus,
  type SessionSums,
  Sums,
  type TurnSums
} from "./state/Ledger.js"
import type { TaskRecord } from "./state/TaskRecord.js"
import type { TaskTable } from "./state/TaskTable.js"

const maxSessions = 4_096
const maxTurns = 64
/** How many names of costs there may be besides those of models: each sum has a number for each of them. */
const maxNames = 64
const namesOfModels: ReadonlySet<string> = new Set(modelCosts)

/** Of what nothing is known yet. */
const unused = new Sums()

/** What has used nothing. */
export const nothingUsed: Usage = Object.freeze({ ...unused.usage, costs: Object.freeze({}) })

const ensure = <K, V>(map: Map<K, V>, key: K, make: () => V): V => {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}

/** That of the key, used last from now on; a new one where there is none. */
const used = <K, V extends TurnSums>(map: Map<K, V>, key: K, max: number, make: () => V): V => {
  const known = map.get(key)
  if (known === undefined) {
    // each new one drops an old one; of those that live a few are passed over, and looked at again later
    let passedOver = 0
    for (const [oldest, sums] of map) {
      if (map.size < max || passedOver === 8) break
      map.delete(oldest)
      if (sums.live > 0) {
        passedOver++
        map.set(oldest, sums)
      }
    }
  } else map.delete(key)
  const sums = known ?? make()
  map.set(key, sums)
  return sums
}

const sessionSums = ({ sessions }: Ledger, id: SessionId): SessionSums =>
  used(sessions, id, maxSessions, () => ({ sums: new Sums(), turns: new Map(), live: 0 }))

const turnSums = ({ turns }: SessionSums, id: TurnId): TurnSums =>
  used(turns, id, maxTurns, () => ({ sums: new Sums(), live: 0 }))

/** It was used last, unless it was closed meanwhile. */
const endsIn = <K, V extends TurnSums>(map: Map<K, V>, key: K, sums: V): void => {
  sums.live--
  if (map.get(key) !== sums) return
  map.delete(key)
  map.set(key, sums)
}

/** Measures a task from now on. `limit`: that of its route. */
export const openMeter = (
  ledger: Ledger,
  { lane, session: { id }, turn }: TaskRecord,
  limit: Limit | undefined
): Meter => {
  const session = sessionSums(ledger, id)
  const ofTurn = turnSums(session, turn.id)
  session.live++
  ofTurn.live++
  const own = new Sums()
  const meter: Meter = {
    ledger,
    own,
    session,
    turn: ofTurn,
    targets: [own, ofTurn.sums, session.sums, ensure(ledger.lanes, lane, () => new Sums()), ledger.all],
    spends: undefined,
    hasBegun: false,
    limit: limit ?? ledger.limits.task
  }
  for (const sums of meter.targets) sums.unbegun++
  meterSpends(meter, "queueMillis")
  return meter
}

const add = ({ targets }: Meter, amount: Amount, by: number): void => {
  for (const sums of targets) sums[amount] = plus(sums[amount], by)
}

/** The time until now goes to what it was spent for, and from now on to something else. */
export const meterSpends = (meter: Meter, next: Meter["spends"]): void => {
  for (const sums of meter.targets) {
    sums.moveTo(meter.ledger.now)
    if (meter.spends !== undefined) sums.spending[meter.spends]--
    if (next !== undefined) sums.spending[next]++
  }
  meter.spends = next
}

/** Its first launch begins, or never will. */
const noLongerUnbegun = (meter: Meter): void => {
  if (meter.hasBegun) return
  meter.hasBegun = true
  for (const sums of meter.targets) sums.unbegun--
}

/** The tool of the task begins. */
export const meterBegins = (meter: Meter): void => {
  meterSpends(meter, "runMillis")
  noLongerUnbegun(meter)
  add(meter, "launches", 1)
}

/** The task asks, and is shown with what it has used so far. */
export const meterAsks = (meter: Meter, snapshot: TaskSnapshot): TaskSnapshot => {
  meterSpends(meter, "approvalMillis")
  return { ...snapshot, usage: meter.own.usage }
}

/** The task was answered, and waits for a place. */
export const meterResumes = (meter: Meter): void => meterSpends(meter, "queueMillis")

/** The task has settled, and is shown with what it has used. */
export const meterEnds = (
  { ledger }: TaskTable,
  meter: Meter,
  task: TaskRecord,
  snapshot: TaskSnapshot
): TaskSnapshot => {
  meterSpends(meter, undefined)
  noLongerUnbegun(meter)
  add(meter, "outputBytes", task.output?.end ?? 0)
  if (ledger !== undefined) endsIn(ledger.sessions, task.session.id, meter.session)
  endsIn(meter.session.turns, task.turn.id, meter.turn)
  return { ...snapshot, usage: meter.own.usage }
}

/** A task that an earlier process has measured goes on with that. What it has written is counted when it settles. */
export const meterAgain = ({ names }: Ledger, meter: Meter, before: Usage): void => {
  for (const name of Object.keys(before.costs)) if (!namesOfModels.has(name)) names.add(name)
  if (before.launches > 0) noLongerUnbegun(meter)
  for (const amount of amounts) if (amount !== "outputBytes") add(meter, amount, before[amount])
  for (const sums of meter.targets) addTo(sums, before.costs)
}

const addTo = ({ costs }: Sums, reported: UsageCosts): void => {
  for (const name of Object.keys(reported)) costs.set(name, plus(costs.get(name) ?? 0, reported[name] ?? 0))
}

/** The first name that is one too many; if there is none, all are known from now on. */
const nameTooMany = ({ names }: Ledger, costs: UsageCosts): string | undefined => {
  const more = Object.keys(costs).filter((name) => !names.has(name) && !namesOfModels.has(name))
  const free = Math.max(0, maxNames - names.size)
  if (more.length > free) return more[free]
  for (const name of more) names.add(name)
  return undefined
}

/** A name of costs for which there is no room: nothing of the report counts. */
export interface NameTooMany {
  readonly nameTooMany: string
}

/** Adds what a tool has reported. Returns the limit that is passed with it, and what it means, if any: one that fails before one that asks. */
export const report = (
  ledger: Ledger,
  { limit, own, session, targets, turn }: Meter,
  costs: UsageCosts
): Broken | NameTooMany | undefined => {
  const name = nameTooMany(ledger, costs)
  if (name !== undefined) return { nameTooMany: name }
  const { limits } = ledger
  for (const sums of targets) addTo(sums, costs)
  return firstOf(
    passed("task", limit, own),
    passed("turn", limits.turn, turn.sums),
    passed("session", limits.session, session.sums)
  )
}

/** A limit that was reached or passed, and what follows. */
export interface Broken {
  readonly reached: ReachedLimit
  readonly onLimit: "fail" | "ask"
}

/** One that asks leaves the others as they are. */
const firstOf = (...all: ReadonlyArray<Broken | undefined>): Broken | undefined =>
  all.find((broken) => broken?.onLimit === "fail") ?? all.find((broken) => broken !== undefined)

const passed = (scope: ReachedLimit["scope"], limit: Limit | undefined, sums: Sums): Broken | undefined => {
  if (limit === undefined) return undefined
  for (const [name, max] of limit.costs) {
    if ((sums.costs.get(name) ?? 0) > max) return { reached: { scope, name, max }, onLimit: limit.onLimit }
  }
  return undefined
}

const reachedOf = (
  scope: ReachedLimit["scope"],
  limit: Limit | undefined,
  sums: Sums,
  now: number
): Broken | undefined => {
  if (limit === undefined) return undefined
  const { launches, onLimit, runMillis } = limit
  const broken = (name: string, max: number): Broken => ({ reached: { scope, name, max }, onLimit })
  if (sums.launches + sums.unbegun >= launches) return broken("launches", launches)
  if (sums.timeAt("runMillis", now) >= runMillis) return broken("runTime", runMillis)
  for (const [name, max] of limit.costs) if ((sums.costs.get(name) ?? 0) >= max) return broken(name, max)
  return undefined
}

/** The limit that a new call of the turn would break now, if any. One that is interrupted accepts its calls, and cancels them. */
export const limitReachedBy = (
  { ledger, sessions }: TaskTable,
  { sessionId, turnId }: TurnRef
): Broken | undefined => {
  const known = ledger?.sessions.get(sessionId)
  if (ledger === undefined || sessions.get(sessionId)?.turns.get(turnId)?.interrupted === true) return undefined
  const { limits, now } = ledger
  // also where nothing was used: a limit may be that nothing is
  return firstOf(
    reachedOf("turn", limits.turn, known?.turns.get(turnId)?.sums ?? unused, now),
    reachedOf("session", limits.session, known?.sums ?? unused, now)
  )
}

/** Adds what the loop of a turn has reported. */
export const reportOfTurn = (
  { ledger }: TaskTable,
  { sessionId, turnId }: TurnRef,
  costs: UsageCosts
): NameTooMany | undefined => {
  if (ledger === undefined) return undefined
  const name = nameTooMany(ledger, costs)
  if (name !== undefined) return { nameTooMany: name }
  const session = sessionSums(ledger, sessionId)
  for (const sums of [turnSums(session, turnId).sums, session.sums, ledger.all]) addTo(sums, costs)
  return undefined
}

/** The session is closed: what its tasks still use is counted nowhere but for the lanes and for all. */
export const closeSums = ({ ledger }: TaskTable, id: SessionId): void => void ledger?.sessions.delete(id)

/** Several usages as one. */
export const sumOf = (usages: ReadonlyArray<Usage>): Usage => {
  const sums = new Sums()
  for (const usage of usages) {
    for (const amount of amounts) sums[amount] = plus(sums[amount], usage[amount])
    addTo(sums, usage.costs)
  }
  return sums.usage
}

/** What a live task has used until now. What it has written is added when it settles. */
export const usageNow = ({ output }: TaskRecord, { ledger, own }: Meter): Usage => ({
  ...own.usageAt(ledger.now),
  outputBytes: output?.end ?? 0
})

/** The bar of a task on the time line: which phases it went through, and when. */
import type { TaskSnapshot } from "../../../../model/Task.js"
import type { TaskEvent } from "../../../../model/TaskEvent.js"
import type { UsualEvent } from "./told.js"

/** `Retry`: its tool has failed, and the next attempt has not begun. */
export type Phase = "Queued" | "Foreground" | "Background" | "Approval" | "Retry"

/** A phase lasts until the next one, the last until the end of the bar. */
export interface PhaseFrom {
  readonly phase: Phase
  readonly from: number
}

/** A task that asks again and again has no end of phases: the earliest are forgotten. */
const mostPhases = 64

/** What a snapshot alone says: what was between its times is not known. */
export const phasesOf = (snapshot: TaskSnapshot): Array<PhaseFrom> => {
  const phases: Array<PhaseFrom> = [{ phase: "Queued", from: snapshot.createdAt }]
  if (snapshot.startedAt !== undefined) phases.push({ phase: snapshot.kind, from: snapshot.startedAt })
  if (snapshot.status === "Suspended") {
    phases.push({ phase: "Approval", from: snapshot.startedAt ?? snapshot.createdAt })
  }
  return phases
}

/** Begins a phase; one of no length, or of the same name, is not kept twice. */
const beginPhase = (phases: Array<PhaseFrom>, phase: Phase, from: number): void => {
  while ((phases.at(-1)?.from ?? -Infinity) >= from && phases.length > 0) phases.pop()
  if (phases.at(-1)?.phase === phase) return
  phases.push({ phase, from })
  if (phases.length > mostPhases) phases.shift()
}

/** Changes the phases of a bar by what an event says. */
export const followPhases = (phases: Array<PhaseFrom>, event: UsualEvent<TaskEvent>): void => {
  const { at, snapshot } = event
  switch (event._tag) {
    case "Queued":
      return beginPhase(phases, "Queued", at)
    case "Started":
    case "Recovered":
      return beginPhase(phases, snapshot.status === "Queued" ? "Queued" : snapshot.kind, at)
    case "Detached":
      // a task that is detached in the queue has not begun yet
      return beginPhase(phases, snapshot.status === "Queued" ? "Queued" : snapshot.kind, at)
    case "AwaitingApproval":
      return beginPhase(phases, "Approval", at)
    case "Retrying":
      beginPhase(phases, "Retry", at)
      return beginPhase(phases, snapshot.kind, at + event.delay)
  }
}

/** A part of a bar, in epoch milliseconds. */
export interface Span {
  readonly phase: Phase
  readonly from: number
  readonly until: number
}

/** The parts of a bar up to its end; what begins after it, such as an attempt that never came, is left out. */
export const spansOf = (phases: ReadonlyArray<PhaseFrom>, end: number): ReadonlyArray<Span> =>
  phases.flatMap(({ from, phase }, index) => {
    const until = Math.min(end, phases[index + 1]?.from ?? end)
    return until > from || (until === from && index === phases.length - 1) ? [{ phase, from, until }] : []
  })

/** How long a task was in each phase up to `end`, in milliseconds. */
export const lengthsOf = (phases: ReadonlyArray<PhaseFrom>, end: number): ReadonlyMap<Phase, number> => {
  const lengths = new Map<Phase, number>()
  for (const { from, phase, until } of spansOf(phases, end)) {
    lengths.set(phase, (lengths.get(phase) ?? 0) + until - from)
  }
  return lengths
}

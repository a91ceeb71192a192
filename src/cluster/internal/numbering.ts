/**
 * The numbers of events. Each group counts its own; told to a caller, a number says which group it is of. With one group they are the
 * same.
 */
import type { FilteredTaskEvent } from "../../model/TaskEvent.js"

export interface Numbering {
  /** The number that a caller is told. */
  readonly told: (group: number, seq: number) => number
  /** The number in its group. */
  readonly ofGroup: (seq: number) => number
  readonly tell: <Event extends FilteredTaskEvent>(group: number, event: Event) => Event
}

export const numberingOf = (groups: number): Numbering => {
  const told = (group: number, seq: number): number => groups === 1 ? seq : seq * groups + group
  return {
    told,
    ofGroup: (seq) => groups === 1 ? seq : Math.floor(seq / groups),
    tell: (group, event) => groups === 1 ? event : { ...event, seq: told(group, event.seq) }
  }
}

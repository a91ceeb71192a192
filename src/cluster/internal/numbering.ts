/**
 * The numbers of events. Each group counts its own; told to a caller, a number says which group it is of, and which client has told it:
 * in which order those of several groups have come is known to one client alone. With one group they are the same.
 */
import type { FilteredTaskEvent } from "../../model/TaskEvent.js"

/** How many clients can be told apart. */
export const clients = 1_024

export interface Numbering {
  /** The number that a caller is told. */
  readonly told: (group: number, seq: number) => number
  /** The number in its group, of whichever client; undefined where it is not of that group. 0 is before the first one of each. */
  readonly ofGroup: (group: number, told: number) => number | undefined
  /** A number that no event has, above another one. */
  readonly placeAbove: (told: number) => number
  readonly tell: <Event extends FilteredTaskEvent>(group: number, event: Event) => Event
}

/** `client` is a number below `clients`. */
export const numberingOf = (groups: number, client: number): Numbering => {
  if (groups === 1) {
    return {
      told: (_group, seq) => seq,
      ofGroup: (_group, told) => told,
      placeAbove: (told) => told,
      tell: (_, event) => event
    }
  }
  // one more, for numbers that no event has
  const perSeq = groups + 1
  const told = (group: number, seq: number): number => (seq * perSeq + group) * clients + client
  return {
    told,
    ofGroup: (group, number) => {
      const count = Math.floor(number / clients)
      return number === 0 ? 0 : count % perSeq === group ? Math.floor(count / perSeq) : undefined
    },
    placeAbove: (number) => told(groups, Math.floor(number / clients / perSeq) + 1),
    tell: (group, event) => ({ ...event, seq: told(group, event.seq) })
  }
}

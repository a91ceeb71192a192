/**
 * What one consumer of a turn has of its updates. They are numbered from 1; who asks for a number has used all before it.
 *
 * | the consumer has … of update n     | asks for n         | asks for n + 1          | ends before n    | ends before n + 1 | is forgotten     |
 * | ---------------------------------- | ------------------ | ----------------------- | ---------------- | ----------------- | ---------------- |
 * | nothing, for it is not known       | n = 1: Taking      | refused                 | –                | refused           | –                |
 * | Taking: nothing yet                | waits              | refused                 | taking is left   | taking is left    | taking is left   |
 * | Given: not said that it is used    | is given it again  | Delivering; waits       | n is put back    | n is delivered    | n is put back    |
 * | Delivering: said it; not taken in  | refused            | waits                   | –                | n is delivered    | n is delivered   |
 * | Drained: there is none             | is told so again   | refused                 | –                | –                 | –                |
 * | Ended                              | refused            | refused                 | –                | –                 | –                |
 *
 * Any other number is refused, and before it ends nothing is used but what is said. What is Delivering becomes Taking of n + 1.
 */
import type { TurnTaskUpdate } from "../../../model/TaskResolution.js"

export type Reading =
  | { readonly _tag: "Taking"; readonly number: number }
  | { readonly _tag: "Given"; readonly number: number; readonly update: TurnTaskUpdate }
  | { readonly _tag: "Delivering"; readonly number: number }
  | { readonly _tag: "Drained"; readonly number: number }
  | { readonly _tag: "Ended" }

export const first: Reading = { _tag: "Taking", number: 1 }

const ended: Reading = { _tag: "Ended" }

/** What can be said at once. */
export type Answer =
  | { readonly _tag: "Give"; readonly update: TurnTaskUpdate }
  | { readonly _tag: "Drained" }
  | { readonly _tag: "Refuse" }

/** `Deliver`: the manager is told that what is in hand was used, and then it waits. */
export type Asked = Answer | { readonly _tag: "Wait" | "Deliver"; readonly reading: Reading }

/** Asks for the update of a number. */
export const ask = (reading: Reading, number: number): Asked => {
  switch (reading._tag) {
    case "Taking":
      return number === reading.number ? { _tag: "Wait", reading } : { _tag: "Refuse" }
    case "Given":
      if (number === reading.number) return { _tag: "Give", update: reading.update }
      return number === reading.number + 1
        ? { _tag: "Deliver", reading: { _tag: "Delivering", number: reading.number } }
        : { _tag: "Refuse" }
    case "Delivering":
      return number === reading.number + 1 ? { _tag: "Wait", reading } : { _tag: "Refuse" }
    case "Drained":
      return number === reading.number ? { _tag: "Drained" } : { _tag: "Refuse" }
    case "Ended":
      return { _tag: "Refuse" }
  }
}

/** `Leave`: nothing is in hand, and nothing more is taken; `Nothing`: it is over already, or will be by itself. */
export interface Ended {
  readonly act: "Leave" | "Deliver" | "PutBack" | "Nothing"
  readonly reading: Reading
}

/** The consumer has used all before a number, and asks for nothing more; one that is forgotten has said nothing: 0. */
export const end = (reading: Reading, number: number): Ended => {
  switch (reading._tag) {
    case "Taking":
      return { act: "Leave", reading: ended }
    case "Given":
      return { act: number === reading.number + 1 ? "Deliver" : "PutBack", reading: ended }
    case "Delivering":
      return { act: "Nothing", reading: ended }
    case "Drained":
    case "Ended":
      return { act: "Nothing", reading }
  }
}

/** The manager gives the next update; undefined where it must go back. */
export const give = (reading: Reading, update: TurnTaskUpdate): Reading | undefined =>
  reading._tag === "Taking" ? { _tag: "Given", number: reading.number, update } : undefined

/** The manager has none any more. */
export const drain = (reading: Reading): Reading =>
  reading._tag === "Taking" ? { _tag: "Drained", number: reading.number } : reading

/** The manager knows that what was in hand is delivered. */
export const deliver = (reading: Reading): Reading =>
  reading._tag === "Delivering" ? { _tag: "Taking", number: reading.number + 1 } : reading

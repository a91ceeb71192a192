/** The limit of a lane, over all groups: each has its own. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { ConcurrencyRefused } from "../../errors.js"
import { type Connection, nothing } from "./Connection.js"

/** How many groups are asked at once. */
const concurrency = 8

/**
 * Sets it in every group. Where one refuses it, the others go back to what they had: which one it will be shows only when they are asked.
 * Where another client has set one since, that stays.
 */
export const setLaneLimit = (
  { ask, groups }: Pick<Connection, "ask" | "groups">,
  lane: string,
  limit: number
): Effect.Effect<void, ConcurrencyRefused> => {
  const given = limit === Infinity ? null : limit
  const setIn = (group: number, to: number | null, only: { readonly onlyAfter?: number | null } = {}) =>
    ask(group, (client, header) => client.SetConcurrency({ header, lane, limit: to, ...only }), nothing)
  return Effect.gen(function*() {
    const set = yield* Effect.forEach(
      Array.from({ length: groups }, (_, group) => group),
      (group) => Effect.either(setIn(group, given)),
      { concurrency }
    )
    const refused = set.find(Either.isLeft)
    if (refused === undefined) return
    yield* Effect.forEach(
      set,
      (outcome, group) =>
        // more than that may run there by now
        Either.isLeft(outcome) ? Effect.void : Effect.ignore(setIn(group, outcome.right, { onlyAfter: given })),
      { concurrency, discard: true }
    )
    return yield* refused.left
  })
}

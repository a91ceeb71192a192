/** The limit of a lane over several groups. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { ConcurrencyRefused } from "effect-task-manager"
import type { Connection } from "../../src/cluster/internal/Connection.js"
import { setLaneLimit } from "../../src/cluster/internal/laneLimits.js"

/** Groups that have a limit of 4 each. `before` runs when one is asked; the last one refuses 2. */
const groupsOf = (count: number) => {
  const limits = Array.from({ length: count }, (): number | null => 4)
  const connection = (
    before: (group: number, limit: number | null) => Effect.Effect<void, ConcurrencyRefused> = () => Effect.void
  ): Pick<Connection, "ask" | "groups"> => ({
    groups: count,
    ask: (group, send) =>
      Effect.suspend(() => {
        let asked: { readonly limit: number | null; readonly onlyAfter?: number | null | undefined } | undefined
        // what a runner is sent is all that counts here
        const client = { SetConcurrency: (payload: typeof asked) => asked = payload } as never
        void send(client, {} as never, false)
        const { limit = null, onlyAfter } = asked ?? {}
        const set = Effect.sync(() => {
          const now = limits[group] ?? null
          if (onlyAfter === undefined || onlyAfter === now) limits[group] = limit
          return now as never
        })
        return Effect.zipRight(before(group, limit), set) as never
      })
  })
  return { limits, connection }
}

const refuse = (group: number, limit: number | null) =>
  group === 2 && limit === 2
    ? new ConcurrencyRefused({ lane: "lane", reason: "InUse", running: 3 })
    : Effect.void

describe("a limit that one group refuses", () => {
  it.effect("is taken back where it was set", () =>
    Effect.gen(function*() {
      const { connection, limits } = groupsOf(3)
      const exit = yield* Effect.exit(setLaneLimit(connection(refuse), "lane", 2))
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(limits, [4, 4, 4])
    }))

  it.effect("is not taken back where another client has set one since", () =>
    Effect.gen(function*() {
      const { connection, limits } = groupsOf(3)
      const others = setLaneLimit(connection(), "lane", 10)
      const exit = yield* Effect.exit(setLaneLimit(
        connection((group, limit) =>
          group === 2 && limit === 2 ? Effect.zipRight(Effect.orDie(others), refuse(group, limit)) : Effect.void
        ),
        "lane",
        2
      ))
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(limits, [10, 10, 10])
    }))
})

import { it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { assert } from "vitest"
import { journalSuite } from "./suites/journal.js"
import { id, sqlite, turn } from "./support.js"

journalSuite(sqlite)

// who asks without a pause leaves the event loop no turn: what is written in this process must not wait for one
it.scopedLive("whoever asks in a row without a pause holds up no write", () =>
  Effect.gen(function*() {
    const { manager, start } = yield* Effect.flatMap(sqlite.make(), (database) => database.open())
    yield* start("a", "quick")
    const taken = yield* Effect.repeat(manager.takeResult(id("a")), { until: Option.isSome })
    assert.isTrue(Option.isSome(taken))
    yield* start("b", "quick")
    yield* Effect.repeat(manager.handle.get(id("b")), { until: ({ status }) => status === "Completed" })
    assert.isTrue(Option.isSome(yield* manager.waitForTurn(turn)))
  }))

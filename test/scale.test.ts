/** The numbers of docs/scale.md are those of the program. */
import { EntityId, Sharding } from "@effect/cluster"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { assert, describe, it } from "vitest"
import { readInputs } from "../scripts/scale/inputs.js"
import { runnersOfGroups, shardOf } from "../scripts/scale/placing.js"
import { withTables } from "../scripts/scale/report.js"
import { write } from "../scripts/scale/writing.js"
import { memoryCluster } from "./cluster/support.js"

describe("what a cluster of a million sessions asks for", () => {
  it("is what the document says: npm run scale -- --write makes its tables", () => {
    const document = readFileSync("docs/scale.md", "utf8")
    assert.strictEqual(withTables(document, readInputs()), document)
  }, 60_000)

  it("groups are in the shards in which the engine has them", () =>
    Effect.gen(function*() {
      const sharding = yield* Sharding.Sharding
      for (let group = 0; group < 100; group++) {
        assert.strictEqual(sharding.getShardId(EntityId.make(String(group)), "default").id, shardOf(group) + 1)
      }
    }).pipe(Effect.provide(memoryCluster()), Effect.scoped, Effect.runPromise))

  it("every group has a runner, and one that leaves has none", () => {
    const runners = [0, 1, 2, 3]
    assert.deepStrictEqual([...new Set(runnersOfGroups(256, runners))].sort(), runners)
    assert.notInclude(runnersOfGroups(256, [1, 2, 3]), 0)
  })

  it("without other work a row waits as long as its own transaction takes, and each row is counted once", () => {
    const inputs = {
      ...readInputs(),
      serverMillisPerTransaction: 1,
      serverMillisPerRow: 1,
      diskMillis: 3,
      rowsPerLifecycle: 1
    }
    const quiet = write(inputs, { seed: 1, lifecycles: 10, shares: [1], serverCores: 1, seconds: 100 })
    assert.strictEqual(quiet.p50, 5)
    assert.closeTo(quiet.rows, 10, 1)
    assert.closeTo(quiet.busy, 0.02, 0.005)
    // one writer, 500 rows a second: each of its transactions has what came while the one before was made, n = (1 + n + 3) / 2
    const full = write(inputs, { seed: 1, lifecycles: 500, shares: [1], serverCores: 1, seconds: 100 })
    assert.closeTo(full.rows / full.transactions, 4, 0.5)
  })
})

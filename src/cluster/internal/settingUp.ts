/** What the layers of a cluster do with their options, before anything else. */
import type { Sharding } from "@effect/cluster/Sharding"
import type * as Migrator from "@effect/sql/Migrator"
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import type { DurableOptions } from "../../durable/DurableOptions.js"
import { checkCodec, checkName, readOptions } from "../../durable/internal/checks.js"
import * as schema from "../../durable/internal/schema.js"
import { millisOf } from "../../shared/durations.js"
import { integerOf } from "../../shared/refusals.js"
import type { ClusterError } from "../ClusterError.js"
import type { ClusterClientOptions, ClusterOptions, ClusterRunnerOptions } from "../ClusterOptions.js"
import { checkLayout } from "./layout.js"

export interface ClusterPlace {
  readonly name: string
  readonly groups: number
}

/** In bytes: the journals of its groups have it with their number behind it. */
const longestName = 500

/** Makes the tables, and fails where the cluster was set up in another way. */
export const setUp = (
  { codec, groups = 64, name = "cluster" }: ClusterOptions
): Effect.Effect<ClusterPlace, ClusterError | Migrator.MigrationError | SqlError, Sharding | SqlClient.SqlClient> =>
  Effect.gen(function*() {
    checkName("TaskManagerCluster", name, longestName)
    checkCodec("TaskManagerCluster: codec", codec)
    const place = { name, groups: integerOf("TaskManagerCluster: groups", groups, 1, 4_096) }
    yield* schema.migrate
    yield* checkLayout(name, place.groups)
    return place
  })

/** Throws for an option that is out of range, and names it. */
export const readRunnerOptions = (
  options: ClusterRunnerOptions
): { readonly durable: DurableOptions; readonly leaseMillis: number; readonly maxIdleTime: number } => {
  const { codec, executorOf, onDamaged, onInterrupted, output, retention, lease = "4 seconds", shutdown = "keep" } =
    options
  const durable = { codec, executorOf, onDamaged, onInterrupted, output, retention, lease, shutdown }
  const { leaseMillis } = readOptions("TaskManagerCluster.runner", durable)
  return {
    durable: { ...durable, onOwned: "wait" },
    leaseMillis,
    maxIdleTime: millisOf("TaskManagerCluster.runner: maxIdleTime", options.maxIdleTime ?? "1 minute")
  }
}

export const patienceOf = ({ patience = "1 minute" }: ClusterClientOptions): number =>
  millisOf("TaskManagerCluster.layer: patience", patience)

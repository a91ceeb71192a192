/** Where sessions are: in the groups of a cluster, which are in the shards of the engine, which are on runners. */
import { RunnerAddress } from "@effect/cluster"
import { HashRing } from "effect"
import { hashOf } from "../../src/cluster/internal/Connection.js"

/** The shards of the engine, as `clusterShardingConfig` leaves them. */
export const shards = 300

/** As the engine hashes the name of an entity (test/scale.test.ts holds it against the engine). */
const engineHash = (text: string): number => {
  let hash = 5_381
  for (let at = text.length; at > 0; at--) hash = (hash * 33) ^ text.charCodeAt(at - 1)
  return (hash & 0xbfffffff) | ((hash >>> 1) & 0x40000000)
}

export const shardOf = (group: number): number => Math.abs(engineHash(String(group)) % shards)

/** Which runner has each group. */
export const runnersOfGroups = (groups: number, runners: ReadonlyArray<number>): ReadonlyArray<number> => {
  const ring = HashRing.make<RunnerAddress.RunnerAddress>()
  const numbers = new Map<string, number>()
  for (const number of runners) {
    const address = RunnerAddress.make(`10.0.${number >> 8}.${number & 255}`, 34_431)
    numbers.set(address.toString(), number)
    HashRing.add(ring, address)
  }
  const placed = HashRing.getShards(ring, shards) ?? []
  return Array.from(
    { length: groups },
    (_, group) => numbers.get(placed[shardOf(group)]?.toString() ?? "") ?? 0
  )
}

const placedSessions = new Map<string, Uint32Array>()

/** How many of so many sessions are in each group. */
export const sessionsOfGroups = (groups: number, sessions: number): Uint32Array => {
  const known = placedSessions.get(`${groups} ${sessions}`)
  if (known !== undefined) return known
  const counts = new Uint32Array(groups)
  for (let session = 0; session < sessions; session++) {
    const group = hashOf(`session-${session}`) % groups
    counts[group] = (counts[group] ?? 0) + 1
  }
  placedSessions.set(`${groups} ${sessions}`, counts)
  return counts
}

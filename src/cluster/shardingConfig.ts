/**
 * How the engine below a cluster is configured: how soon a runner that is gone is noticed, and where a runner listens.
 *
 * @since 0.1.0
 */
import * as RunnerAddress from "@effect/cluster/RunnerAddress"
import type { ShardingConfig } from "@effect/cluster/ShardingConfig"
import * as Option from "effect/Option"
import { integerOf, refuseUnless } from "../shared/refusals.js"

/**
 * Where a runner is.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunnerPlace {
  /** The address at which the other processes reach it, and where it listens unless `listenHost` says otherwise. */
  readonly host: string
  /** From 1 to 65 535. */
  readonly port: number
  /** The address on which it listens. */
  readonly listenHost?: string | undefined
  /** From 1 to 65 535. */
  readonly listenPort?: number | undefined
  /**
   * Whether it may listen on an address that is neither of this machine nor of a private network. Its port has no authentication:
   * whoever reaches it can run every tool.
   */
  readonly allowPublic?: boolean | undefined
}

// as they are written nearly everywhere: a zero in front makes a number octal to some, and decimal to others
const quarter = "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
const quarters = new RegExp(`^${[quarter, quarter, quarter, quarter].join("\\.")}$`)

/** Whether an address can be reached from this machine or a private network alone. */
const isPrivate = (host: string): boolean => {
  const address = host.replace(/^\[(.*)\]$/, "$1").toLowerCase()
  if (address === "localhost" || address === "::1") return true
  // unique local and link local
  if (/^f[cd][0-9a-f]{2}:/.test(address) || /^fe[89ab][0-9a-f]:/.test(address)) return true
  const found = quarters.exec(address.replace(/^::ffff:/, ""))
  if (found === null) return false
  const [first = 0, second = 0] = found.slice(1).map(Number)
  return first === 127 || first === 10 || first === 192 && second === 168 ||
    first === 172 && second >= 16 && second < 32 ||
    first === 169 && second === 254 || first === 100 && second >= 64 && second < 128
}

const addressOf = (fields: readonly [host: string, port: string], host: string, port: number) => {
  const [hostField, portField] = fields
  refuseUnless(typeof host === "string" && host !== "", `clusterShardingConfig: ${hostField}`, "a host", host)
  return RunnerAddress.make(host, integerOf(`clusterShardingConfig: ${portField}`, port, 1, 65_535))
}

/**
 * The configuration of `@effect/cluster` for a runner at a place, or for a client. A runner that does not answer is noticed within
 * seconds: it is asked every 2 seconds, and the locks of its shards end after 5; it does no harm if two
 * runners have a group for a moment, because only one of them can write. Throws for a public address, unless it is allowed, and names the field.
 *
 * @example
 * ```ts
 * import { clusterShardingConfig } from "effect-task-manager/cluster"
 *
 * // for NodeClusterSocket.layer({ storage: "sql", shardingConfig })
 * const shardingConfig = clusterShardingConfig({ host: "10.0.0.7", port: 34431 })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const clusterShardingConfig = (place?: RunnerPlace): Partial<ShardingConfig["Type"]> => {
  const common = {
    shardLockDisableAdvisory: true,
    shardLockRefreshInterval: "1500 millis",
    shardLockExpiration: "5 seconds",
    runnerHealthCheckInterval: "2 seconds",
    refreshAssignmentsInterval: "1 second",
    entityMessagePollInterval: "2 seconds",
    entityTerminationTimeout: "5 seconds",
    sendRetryInterval: "50 millis"
  } as const
  if (place === undefined) return { ...common, runnerAddress: Option.none() }
  const { allowPublic = false, host, listenHost = host, listenPort = place.port, port } = place
  const listens = addressOf(["listenHost", "listenPort"], listenHost, listenPort)
  if (!isPrivate(listenHost) && !allowPublic) {
    const field = place.listenHost === undefined ? "host" : "listenHost"
    throw new RangeError(
      `clusterShardingConfig: ${field} ${
        JSON.stringify(listenHost)
      } is not an address of this machine or of a private network. The port ` +
        "of a runner asks nobody who he is: listen on a private address, or say allowPublic: true"
    )
  }
  return {
    ...common,
    runnerAddress: Option.some(addressOf(["host", "port"], host, port)),
    runnerListenAddress: Option.some(listens)
  }
}

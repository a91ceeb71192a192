/**
 * What a client of a server takes.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Redacted from "effect/Redacted"

/**
 * What `TaskManagerClient.layer` takes. `url` is where the server listens: `http://127.0.0.1:4860`. `patience` is how long a request is made
 * again while the server is away, if it can be made twice; a number is milliseconds. Default: 30 seconds. `eventBuffer` and `eventBytes` are how
 * many events, an integer from 1, and bytes of them, an integer from 0, wait for each reader: see `TaskManagerConfig`. Defaults: 4 096, 32 MiB.
 *
 * @since 0.1.0
 * @category models
 */
export interface TaskManagerClientOptions {
  readonly url: string
  readonly token: Redacted.Redacted
  readonly patience?: Duration.DurationInput | undefined
  readonly eventBuffer?: number | undefined
  readonly eventBytes?: number | undefined
}

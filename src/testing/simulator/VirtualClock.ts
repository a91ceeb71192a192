/**
 * A clock that moves only when no fiber is ready to run.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { SimRandom } from "./SimRandom.js"

interface Sleeper {
  readonly until: number
  readonly wake: () => void
}

/**
 * A `Clock` whose time moves only through `advance`: from one sleeper to the next, in no time at all. All sleepers of one
 * instant wake up together, so that their order is up to the scheduler.
 *
 * @since 0.1.0
 * @category clocks
 */
export class VirtualClock implements Clock.Clock {
  /**
   * What makes it a `Clock` of Effect.
   *
   * @since 0.1.0
   */
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  private readonly random: SimRandom | undefined
  private readonly jitterMillis: number
  private readonly sleepers = new Set<Sleeper>()
  private now: number

  /** `start` is in milliseconds, 0 by default. With `jitter`, every sleep lasts up to `millis` longer than was asked, as timers do. */
  constructor(options?: {
    readonly start?: number | undefined
    readonly jitter?: { readonly random: SimRandom; readonly millis: number } | undefined
  }) {
    this.now = options?.start ?? 0
    this.random = options?.jitter?.random
    this.jitterMillis = options?.jitter?.millis ?? 0
  }

  /**
   * The virtual time in milliseconds.
   *
   * @since 0.1.0
   */
  unsafeCurrentTimeMillis(): number {
    return this.now
  }

  /**
   * The virtual time in nanoseconds.
   *
   * @since 0.1.0
   */
  unsafeCurrentTimeNanos(): bigint {
    return BigInt(Math.round(this.now)) * 1_000_000n
  }

  /**
   * The virtual time in milliseconds.
   *
   * @since 0.1.0
   */
  readonly currentTimeMillis: Effect.Effect<number> = Effect.sync(() => this.now)

  /**
   * The virtual time in nanoseconds.
   *
   * @since 0.1.0
   */
  readonly currentTimeNanos: Effect.Effect<bigint> = Effect.sync(() => this.unsafeCurrentTimeNanos())

  /**
   * Sleeps for the duration in virtual time; without end if it is infinite.
   *
   * @since 0.1.0
   */
  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      const millis = Duration.toMillis(duration)
      if (millis === Infinity) return
      const jitter = this.random === undefined ? 0 : this.random.int(this.jitterMillis + 1)
      const sleeper: Sleeper = { until: this.now + millis + jitter, wake: () => resume(Effect.void) }
      this.sleepers.add(sleeper)
      return Effect.sync(() => {
        this.sleepers.delete(sleeper)
      })
    })
  }

  /**
   * Moves the time to the next sleeper and wakes all that are due. Returns false if there is no sleeper.
   *
   * @since 0.1.0
   */
  advance(): boolean {
    if (this.sleepers.size === 0) return false
    let next = Infinity
    for (const { until } of this.sleepers) next = Math.min(next, until)
    this.now = next
    // a fiber that is woken only runs later, so no new one begins to sleep here
    for (const sleeper of this.sleepers) {
      if (sleeper.until > next) continue
      this.sleepers.delete(sleeper)
      sleeper.wake()
    }
    return true
  }
}

/** How long the two sides wait for each other. These are times of the wire, whatever clock the tasks run on. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { monotonicMillis } from "../../shared/monotonic.js"

const wireClock = Clock.make()

/** A runner answers a wait after that time, with what it waited for or without. */
export const answersWithin = 3_000

/** A client that has no answer by then asks again: its runner is frozen, or the wire is cut. */
export const answeredWithin = Duration.millis(4_500)

/** What a client has in its hands, or does not ask for any more, is put back and forgotten after that time. */
export const forgottenAfter = 20_000

export const onWire = Effect.withClock(wireClock)

/** On a clock that is never set. */
export const wireMillis = (): number => monotonicMillis(wireClock)

export const wireSleep = (duration: Duration.DurationInput): Effect.Effect<void> =>
  wireClock.sleep(Duration.decode(duration))

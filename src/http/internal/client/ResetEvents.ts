/**
 * Events that came from a server, for a reader here, within bounds. One that is not read in time loses the oldest, or all of them: then a
 * `Reset` stands for them, for which the server is asked once somebody reads again.
 */
import { EventSubscription, type StandIn } from "../../../shared/EventSubscription.js"
import type { Frame } from "./FrameReader.js"

export interface Bounds {
  /** How many events wait for a reader. */
  readonly limit: number
  /** How many bytes of them. */
  readonly bytes: number
}

/** Of an event in a buffer, beside its text. */
const bareBytes = 160

/** How much memory the event of a frame takes in a buffer, about. */
export const eventBytes = ({ bytes }: Frame): number => bareBytes + bytes

export const subscriptionOf = <A>(
  { bytes, limit }: Bounds,
  isEnded: () => boolean,
  reset?: () => StandIn<A>
): EventSubscription<A> =>
  new EventSubscription<A>({
    limit,
    bytes,
    isEnded,
    reset,
    onNews: (events) => events.unsafeWake(),
    onClose: () => {}
  })

interface Asked<A> extends StandIn<A> {
  value: A
}

export class ResetEvents<A> {
  readonly events: EventSubscription<A>
  private asked: Asked<A> | undefined = undefined

  /** `ask` asks the server for a `Reset`; `empty` is one that nobody is told. */
  constructor(
    bounds: Bounds,
    options: { readonly isEnded: () => boolean; readonly empty: A; readonly ask: () => void }
  ) {
    this.events = subscriptionOf(bounds, options.isEnded, () => {
      const asked: Asked<A> = { value: options.empty, isTold: false }
      this.asked = asked
      options.ask()
      return asked
    })
  }

  /** Whether a `Reset` was asked for that has not come. */
  get isAsking(): boolean {
    return this.asked !== undefined
  }

  /** A `Reset` has come: the one that was asked for, or by itself. */
  reset(value: A, bytes: number): void {
    const { asked } = this
    if (asked === undefined) return this.events.unsafeOffer(value, bytes)
    this.asked = undefined
    asked.value = value
    asked.isTold = true
    this.events.unsafeWake()
  }
}

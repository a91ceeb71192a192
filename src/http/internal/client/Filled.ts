/** A subscription that is filled here, from somewhere else, and read like any other. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { EventSubscription } from "../../../shared/EventSubscription.js"

/** Whoever fills it asks for room: it drops nothing, and its reader may be slow. */
export class Filled<A> {
  isEnded = false
  readonly events = new EventSubscription<A>({
    limit: Infinity,
    bytes: Infinity,
    reset: undefined,
    isEnded: () => this.isEnded,
    onNews: (subscription) => subscription.unsafeWake(),
    onClose: () => {}
  })
  private readonly most: number

  private constructor(most: number) {
    this.most = most
  }

  /** Until the scope closes. `most`: how many wait for the reader where there is no room. */
  static readonly make = <A>(most: number): Effect.Effect<Filled<A>, never, Scope.Scope> =>
    Effect.acquireRelease(
      Effect.sync(() => new Filled<A>(most)),
      ({ events }) => Effect.sync(() => events.unsafeClose())
    )

  add(event: A): void {
    this.events.unsafeOffer(event, 0)
  }

  /** Nothing more comes. */
  end(): void {
    this.isEnded = true
    this.events.unsafeWake()
  }

  /** Returns once there is room. */
  get awaitRoom(): Effect.Effect<void> {
    return Effect.suspend(() =>
      Option.getOrElse(this.events.unsafeSize(), () => 0) > this.most
        // oxlint-disable-next-line no-accessor-recursion -- asked again when the effect runs, not by the getter
        ? Effect.zipRight(Effect.sleep("20 millis"), this.awaitRoom)
        : Effect.void
    )
  }
}

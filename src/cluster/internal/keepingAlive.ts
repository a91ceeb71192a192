/**
 * The one message of a group that is stored: as long as it is there, whoever gets the group starts it by itself.
 *
 * | the message is | a task is about to be accepted     | nothing has run for a while |
 * | -------------- | ---------------------------------- | --------------------------- |
 * | perhaps stored | is stored, before it is accepted   | is answered, then deleted   |
 * | stored         | stays                              | is answered, then deleted   |
 * | answered       | is stored, before it is accepted   | is deleted                  |
 * | deleted        | is stored, before it is accepted   | –                           |
 */
import * as Entity from "@effect/cluster/Entity"
import type { EntityAddress } from "@effect/cluster/EntityAddress"
import * as MessageStorage from "@effect/cluster/MessageStorage"
import type { Sharding } from "@effect/cluster/Sharding"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { GroupNotReady } from "./protocol.js"
import { wireMillis, wireSleep } from "./wire.js"

export interface KeepingAlive {
  /** Runs what accepts a task, with the message stored. */
  readonly during: <A, E>(self: Effect.Effect<A, E>) => Effect.Effect<A, E | GroupNotReady>
}

/** How long nothing must have run. */
const idleMillis = 10_000

export const keepingAlive = (
  isBusy: () => boolean
): Effect.Effect<KeepingAlive, never, Sharding | Entity.CurrentAddress | MessageStorage.MessageStorage | Scope.Scope> =>
  Effect.gen(function*() {
    const storage = yield* MessageStorage.MessageStorage
    const address: EntityAddress = yield* Entity.CurrentAddress
    // with its span: keepAlive asks for one
    const context = yield* Effect.context<Sharding | Entity.CurrentAddress>()
    const keep = (isOn: boolean): Effect.Effect<void> =>
      Effect.provide(Effect.withSpan(Entity.keepAlive(isOn), "TaskManagerCluster.keepAlive", { root: true }), context)
    const one = yield* Effect.makeSemaphore(1)
    // an earlier runner may have stored it
    let state: "Unknown" | "Stored" | "Answered" | "Deleted" = "Unknown"
    let accepting = 0
    let busyAt = wireMillis()

    const switchOn = one.withPermits(1)(
      Effect.suspend(() =>
        state === "Stored" ? Effect.void : Effect.zipRight(
          // a database that is away is a defect here: the client asks again
          Effect.catchAllDefect(keep(true), () => new GroupNotReady()),
          Effect.sync(() => {
            state = "Stored"
          })
        )
      )
    )
    const switchOff = one.withPermits(1)(Effect.suspend(() => {
      const now = wireMillis()
      if (accepting > 0 || isBusy()) busyAt = now
      if (state === "Deleted" || now - busyAt < idleMillis) return Effect.void
      if (state === "Answered") {
        state = "Deleted"
        return Effect.ignoreLogged(storage.clearAddress(address))
      }
      // its answer is stored too, a moment later
      state = "Answered"
      return keep(false)
    }))
    yield* Effect.forkScoped(Effect.interruptible(Effect.forever(Effect.zipRight(wireSleep("2 seconds"), switchOff))))

    return {
      during: (self) =>
        Effect.suspend(() => {
          accepting++
          busyAt = wireMillis()
          const begun = state === "Stored" ? self : Effect.zipRight(switchOn, self)
          return Effect.ensuring(begun, Effect.sync(() => accepting--))
        })
    }
  })

/** The updates of a turn as a stream that loses nothing when its reader is interrupted. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as delivery from "../../machine/delivery.js"
import type { TurnRef } from "../../model/ids.js"
import type { TurnTaskUpdate } from "../../model/TaskResolution.js"
import type { Engine } from "../Engine.js"
import { type Consumed, endDelivered, endFailed } from "./consuming.js"
import { turnReady } from "./loop.js"
import type { WaitEnd } from "./parking.js"

/**
 * Between the step that takes and the reader of a stream there are always more operations, so what is taken counts as
 * undelivered until the reader asks for the next one or ends well; otherwise it is put back.
 */
export const turnUpdates = (engine: Engine, ref: TurnRef): Stream.Stream<TurnTaskUpdate> =>
  Stream.unwrapScoped(Effect.suspend(() => {
    const { state } = engine
    let given: Consumed | undefined = undefined

    const take = () =>
      state.unsafeModify((table) => {
        if (given !== undefined) endDelivered(table, given)
        given = undefined
        const update = delivery.takeTurnUpdate(table, ref)
        if (update === delivery.Drained || update === delivery.NotReady || update === delivery.NotWritten) return update
        const session = delivery.enterConsumer(table, ref.sessionId, 1)
        given = {
          session,
          taken: [update],
          putBack: (later) => delivery.putBackTurnUpdate(later, session, ref, update)
        }
        return update
      })

    const pull = Effect.uninterruptibleMask((restore) => {
      const next = (
        end: WaitEnd
      ): Effect.Effect<Chunk.Chunk<TurnTaskUpdate>, Option.Option<never>> =>
        Effect.suspend(() => {
          // it may be lost between two updates
          if (state.journal?.isGone === true) return state.journal.farewell
          const taken = take()
          if (taken === delivery.Drained || taken === delivery.NotReady && end === "Over") {
            return Effect.fail(Option.none())
          }
          return taken === delivery.NotReady || taken === delivery.NotWritten
            ? Effect.flatMap(restore(turnReady(engine, ref)), next)
            : Effect.succeed(Chunk.of(taken.value))
        })
      return next("Woken")
    })

    return Effect.as(
      Effect.addFinalizer((exit) =>
        Effect.suspend(() => {
          const last = given
          given = undefined
          if (last === undefined) return Effect.void
          return exit._tag === "Success"
            ? state.modify((table) => endDelivered(table, last))
            : endFailed(engine, [last])
        })
      ),
      Stream.repeatEffectChunkOption(pull)
    )
  }))

/** The updates of a turn as a stream that loses nothing when its reader is interrupted. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as delivery from "../../machine/delivery.js"
import type { Delivery, Session } from "../../machine/TaskTable.js"
import type { TurnRef } from "../../model/ids.js"
import type { TurnTaskUpdate } from "../../model/TaskResolution.js"
import type { Engine } from "../Engine.js"
import { turnReady } from "./loop.js"
import type { WaitEnd } from "./parking.js"

/** What the reader was given and has not asked beyond. */
interface InHand {
  readonly session: Session
  readonly update: Delivery<TurnTaskUpdate>
}

/**
 * Between the step that takes and the reader of a stream there are always more operations, so what is taken stays in hand until
 * the reader asks for the next one or ends well; else it is put back.
 */
export const turnUpdates = (engine: Engine, ref: TurnRef): Stream.Stream<TurnTaskUpdate> =>
  Stream.unwrapScoped(Effect.suspend(() => {
    const { state } = engine
    let inHand: InHand | undefined = undefined

    const take = () =>
      state.unsafeModify((table) => {
        if (inHand !== undefined) delivery.leaveConsumer(table, inHand.session, 1)
        inHand = undefined
        const update = delivery.takeTurnUpdate(table, ref)
        if (update === delivery.Drained || update === delivery.NotReady) return update
        inHand = { update, session: delivery.enterConsumer(table, ref.sessionId, 1) }
        return update
      })

    const pull = Effect.uninterruptibleMask((restore) => {
      const next = (
        end: WaitEnd
      ): Effect.Effect<Chunk.Chunk<TurnTaskUpdate>, Option.Option<never>> =>
        Effect.suspend(() => {
          const taken = take()
          if (taken === delivery.Drained || taken === delivery.NotReady && end === "Over") {
            return Effect.fail(Option.none())
          }
          return taken === delivery.NotReady
            ? Effect.flatMap(restore(turnReady(engine, ref)), next)
            : Effect.succeed(Chunk.of(taken.value))
        })
      return next("Woken")
    })

    return Effect.as(
      Effect.addFinalizer((exit) =>
        state.modify((table) => {
          if (inHand === undefined) return
          const { session, update } = inHand
          inHand = undefined
          if (exit._tag === "Success") delivery.leaveConsumer(table, session, 1)
          else delivery.putBackTurnUpdate(table, session, ref, update)
        })
      ),
      Stream.repeatEffectChunkOption(pull)
    )
  }))

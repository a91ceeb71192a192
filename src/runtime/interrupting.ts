/** Ending many tasks at once: a turn, a session, the whole manager. */
import * as Effect from "effect/Effect"
import * as control from "../machine/control.js"
import type { TaskRecord } from "../machine/state/TaskRecord.js"
import type { SessionId, TurnRef } from "../model/ids.js"
import type { InterruptReceipt } from "../model/TaskResolution.js"
import { refuseUnless } from "../shared/refusals.js"
import type { Engine } from "./Engine.js"
import { ancestryOf } from "./launch/RunningIn.js"
import { endOf } from "./starting/waitToStart.js"
import type { Transition } from "./State.js"
import { waitUntilSettled } from "./waiting/untilSettled.js"

const snapshotOf = ({ snapshot }: TaskRecord) => snapshot

/** Decides in one step, then waits for the tasks to settle; the receipt shows them settled. */
const interrupt = (engine: Engine, decide: Transition<control.Interruption>): Effect.Effect<InterruptReceipt> =>
  Effect.withFiberRuntime((fiber) => {
    const { cancelled, kept, unknown = [], unsettled } = engine.state.unsafeModify(decide)
    const keptSnapshots = kept.map(snapshotOf)
    const settled = waitUntilSettled(engine, unsettled, ancestryOf(fiber))
    const known = unknown.length === 0 ? settled : Effect.zipRight(Effect.forEach(unknown, endOf), settled)
    return Effect.map(known, () => ({
      cancelled: [...cancelled, ...unknown.flatMap(({ accepted }) => accepted ?? [])].map(snapshotOf),
      kept: keptSnapshots
    }))
  })

export const onTurnInterrupted = (engine: Engine, turn: TurnRef): Effect.Effect<InterruptReceipt> =>
  interrupt(engine, (table, now) => control.interruptTurn(table, turn, now))

export const closeSession = (engine: Engine, sessionId: SessionId): Effect.Effect<InterruptReceipt> =>
  Effect.suspend(() => {
    // its end would be told of a session that there cannot be
    refuseUnless(typeof sessionId === "string" && sessionId !== "", "closeSession", "the id of a session", sessionId)
    return interrupt(engine, (table, now) => control.closeSession(table, sessionId, now))
  })

/** Once everything is written, unless the journal is lost: then nothing is left to wait for. */
const written = ({ state: { journal } }: Engine): Effect.Effect<void> =>
  journal === undefined ? Effect.void : Effect.catchAllCause(journal.synced, () => Effect.void)

/**
 * Cancels everything, ends every wait, and ends the event streams once they are read. Tasks that are kept for the next process are
 * cancelled in memory alone: nothing is told of it, and nothing is written.
 */
export const shutdown = (engine: Engine): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { events, state, timers } = engine
    const { journal } = state
    const stopped = journal?.journal.keepsTasks === true
      ? state.modify(control.stopStarting).pipe(
        Effect.zipRight(written(engine)),
        Effect.zipRight(Effect.sync(() => journal.keep()))
      )
      : Effect.void
    return stopped.pipe(
      Effect.zipRight(interrupt(engine, control.beginShutdown)),
      Effect.zipRight(state.modify(control.endShutdown)),
      Effect.zipRight(written(engine)),
      Effect.zipRight(Effect.sync(() => {
        journal?.close()
        events.unsafeEnd()
      })),
      Effect.zipRight(timers.shutdown)
    )
  })

/** The messages to a running tool as a stream that loses none when its reader is interrupted. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { listen, messageRead, putBackMessage, takeMessage } from "../../machine/messages.js"
import type { Message } from "../../machine/state/Inbox.js"
import type { TaskRecord } from "../../machine/state/TaskRecord.js"
import type { Engine } from "../Engine.js"

/**
 * What is said to the task of a launch. As in turnUpdates.ts, a message counts as read once its reader asks for the next one or
 * ends well.
 */
export const messagesTo = (engine: Engine, task: TaskRecord, launch: number): Stream.Stream<string> =>
  Stream.unwrapScoped(Effect.suspend(() => {
    const { state } = engine
    let given: Message | undefined = undefined

    const take = () =>
      state.unsafeModify(() => {
        if (given !== undefined) messageRead(task, given)
        given = undefined
        const taken = takeMessage(task, launch)
        if (typeof taken === "object") given = taken
        return taken
      })

    // not `waitUntil`: a tool that listens may work meanwhile, so it keeps its place under the concurrency limit
    const changed = Effect.async<void>((resume) => {
      const inbox = listen(task, launch)
      if (inbox === undefined || !inbox.waiting.isEmpty) return resume(Effect.void)
      const reader = inbox.readers.append(() => resume(Effect.void))
      return Effect.sync(() => inbox.readers.remove(reader))
    })

    const pull = Effect.uninterruptibleMask((restore) => {
      const next: Effect.Effect<Chunk.Chunk<string>, Option.Option<never>> = Effect.suspend(() => {
        const taken = take()
        if (taken === "Over") return Effect.fail(Option.none())
        return taken === "NotReady" ? Effect.zipRight(restore(changed), next) : Effect.succeed(Chunk.of(taken.text))
      })
      return next
    })

    return Effect.as(
      Effect.addFinalizer((exit) =>
        state.modify((table) => {
          if (given === undefined) return
          if (exit._tag === "Success") messageRead(task, given)
          else putBackMessage(table, task, given)
          given = undefined
        })
      ),
      Stream.repeatEffectChunkOption(pull)
    )
  }))

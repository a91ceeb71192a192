/** What was taken of the manual queue for a request whose answer may have been lost: the same request is given it again. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type { SessionId } from "../../model/ids.js"
import type { TaskResolution } from "../../model/TaskResolution.js"
import type { TaskManagerHandle } from "../../services/TaskManager.js"

type Items = ReadonlyArray<TaskResolution.Item>

export interface Drained {
  readonly take: (key: string, sessionId: SessionId | undefined) => Effect.Effect<Items>
}

/** How many answers are remembered. */
const mostKept = 64

export const makeDrained = (handle: TaskManagerHandle): Drained => {
  const taken = new Map<string, Items>()
  const taking = new Map<string, Deferred.Deferred<Items>>()
  const keep = (key: string, items: Items): void => {
    taken.set(key, items)
    for (const oldest of taken.keys()) {
      if (taken.size <= mostKept) return
      taken.delete(oldest)
    }
  }
  return {
    take: (key, sessionId) =>
      Effect.suspend(() => {
        const known = taken.get(key)
        if (known !== undefined) return Effect.succeed(known)
        const running = taking.get(key)
        if (running !== undefined) return Deferred.await(running)
        const answer = Deferred.unsafeMake<Items>(FiberId.none)
        taking.set(key, answer)
        // what is taken is kept, also if who asks has gone meanwhile; one that dies has taken nothing, and the next request asks again
        return Effect.uninterruptible(
          Effect.onExit(
            sessionId === undefined ? handle.drainReadyItems : handle.drainReadyItemsOf(sessionId),
            (exit) =>
              Effect.sync(() => {
                taking.delete(key)
                if (Exit.isSuccess(exit)) keep(key, exit.value)
                Deferred.unsafeDone(answer, exit)
              })
          )
        )
      })
  }
}

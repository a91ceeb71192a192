/** What was taken of the manual queue for a request whose answer may have been lost: the same request is given it again. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { SessionId } from "../../model/ids.js"
import type { TaskResolution } from "../../model/TaskResolution.js"
import type { TaskManagerHandle } from "../../services/TaskManager.js"

type Items = ReadonlyArray<TaskResolution.Item>

export interface Drained {
  readonly take: (key: string, sessionId: SessionId | undefined) => Effect.Effect<Items>
}

/** How many requests are remembered. */
const mostKept = 64

export const makeDrained = (handle: TaskManagerHandle): Drained => {
  const taken = new Map<string, Deferred.Deferred<Items>>()
  const forgetOldest = (): void => {
    for (const key of taken.keys()) {
      if (taken.size <= mostKept) return
      taken.delete(key)
    }
  }
  return {
    take: (key, sessionId) =>
      Effect.suspend(() => {
        const known = taken.get(key)
        if (known !== undefined) return Deferred.await(known)
        const answer = Deferred.unsafeMake<Items>(Effect.runSync(Effect.fiberId))
        taken.set(key, answer)
        forgetOldest()
        // what is taken is kept, also if who asks has gone meanwhile
        return Effect.uninterruptible(
          Effect.tap(
            sessionId === undefined ? handle.drainReadyItems : handle.drainReadyItemsOf(sessionId),
            (items) => Deferred.succeed(answer, items)
          )
        )
      })
  }
}

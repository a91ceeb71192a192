import { Effect, type Exit, FiberMap, PubSub, Queue } from "effect"
import type { ToolRequest, ToolResult } from "effect-task-manager"
import { effectBody } from "../work.js"
import type { Contender } from "./Contender.js"
import { readEvents } from "./eventReader.js"

interface Event {
  readonly _tag: "Started" | "Ended"
  readonly id: string
  readonly exit?: Exit.Exit<ToolResult>
}

/** What an Effect user would write: fibers by id, a `PubSub` of events, a `Queue` of results. */
export const fiberMap: Contender = {
  name: "fiber-map",
  title: "`FiberMap.run` + `PubSub` + `Queue`, by hand",
  lacks: "routing, turns and sessions, numbered events, exactly one ending when a cancel races, bounded history",
  make: (batches, body) =>
    Effect.gen(function*() {
      const events = yield* PubSub.unbounded<Event>()
      const results = yield* Queue.unbounded<Exit.Exit<ToolResult>>()
      const fibers = yield* FiberMap.make<string>()
      const reader = yield* readEvents(yield* PubSub.subscribe(events), () => {})
      const run = effectBody[body]

      const start = (request: ToolRequest) => {
        const id = request.callId
        return Effect.zipRight(
          PubSub.publish(events, { _tag: "Started", id }),
          FiberMap.run(
            fibers,
            id,
            Effect.onExit(run(request), (exit) =>
              Effect.zipRight(
                PubSub.publish(events, { _tag: "Ended", id, exit }),
                Queue.offer(results, exit)
              ))
          )
        )
      }

      const runAll = Effect.gen(function*() {
        let calls = 0
        for (const batch of batches) {
          for (const request of batch) yield* start(request)
          for (let taken = 0; taken < batch.length; taken++) yield* Queue.take(results)
          calls += batch.length
        }
        yield* reader.hasRead(2 * calls)
      })
      return { run: runAll }
    })
}

import { Effect, type Exit, PubSub, Runtime } from "effect"
import type { ToolRequest, ToolResult } from "effect-task-manager"
import { effectBody } from "../work.js"
import type { Contender } from "./Contender.js"
import { readEvents } from "./eventReader.js"

interface Event {
  readonly _tag: "Started" | "Ended"
  readonly id: string
  readonly exit?: Exit.Exit<ToolResult>
}

/**
 * The least that Effect lets such a program cost: a fiber per call, two events in a bounded `PubSub`, a list of results with
 * a parked reader. A target far below that cannot be met on this runtime.
 */
export const leanest: Contender = {
  name: "leanest",
  title: "`Runtime.runFork` + an observer + two events, by hand: little more than the fiber",
  lacks: "routing, turns and sessions, cancel, snapshots, history, a result that is checked and copied",
  make: (batches, body) =>
    Effect.gen(function*() {
      const events = yield* PubSub.bounded<Event>(Math.max(4_096, 2 * (batches[0]?.length ?? 0)))
      const reader = yield* readEvents(yield* PubSub.subscribe(events), () => {})
      const runFork = Runtime.runFork(yield* Effect.runtime<never>())
      const run = effectBody[body]
      const results: Array<Exit.Exit<ToolResult>> = []
      let taken = 0
      let wake: (() => void) | undefined = undefined

      const start = (request: ToolRequest) =>
        Effect.sync(() => {
          events.unsafeOffer({ _tag: "Started", id: request.callId })
          runFork(run(request)).addObserver((exit) => {
            events.unsafeOffer({ _tag: "Ended", id: request.callId, exit })
            results.push(exit)
            const waiting = wake
            wake = undefined
            waiting?.()
          })
        })
      const parked = Effect.async<void>((resume) => {
        wake = () => resume(Effect.void)
      })
      const take = Effect.suspend(() => taken < results.length ? next : Effect.zipRight(parked, next))
      const next = Effect.sync(() => results[taken++])

      const runAll = Effect.gen(function*() {
        let calls = 0
        for (const batch of batches) {
          for (const request of batch) yield* start(request)
          for (let count = 0; count < batch.length; count++) yield* take
          results.length = 0
          taken = 0
          calls += batch.length
        }
        yield* reader.hasRead(2 * calls)
      })
      return { run: runAll }
    })
}

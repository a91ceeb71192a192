import { Effect } from "effect"
import type { ToolRequest, ToolResult } from "effect-task-manager"
import { promise as fastqPromise } from "fastq"
import PQueue from "p-queue"
import { from, lastValueFrom, mergeMap, tap } from "rxjs"
import { type Batch, promiseBody } from "../work.js"
import type { Contender, Prepared } from "./Contender.js"

/** Starts every call of a batch, then takes every result. */
const eachBatch = (
  batches: ReadonlyArray<Batch>,
  start: (request: ToolRequest) => Promise<ToolResult | void>
): Prepared => ({
  run: Effect.promise(async () => {
    for (const batch of batches) {
      const results = batch.map(start)
      for (const result of results) await result
    }
  })
})

export const promises: Contender = {
  name: "promises",
  title: "promises in a `Map`",
  lacks: "routing, events, cancel, delivery",
  make: (batches, body) =>
    Effect.sync(() => {
      const running = new Map<string, Promise<ToolResult>>()
      const run = promiseBody[body]
      return eachBatch(batches, (request) => {
        const result = run(request).finally(() => running.delete(request.callId))
        running.set(request.callId, result)
        return result
      })
    })
}

export const pQueue: Contender = {
  name: "p-queue",
  title: "p-queue, an `AbortController` per task",
  lacks: "routing, events per task, delivery",
  make: (batches, body) =>
    Effect.sync(() => {
      const queue = new PQueue()
      const running = new Map<string, AbortController>()
      const run = promiseBody[body]
      return eachBatch(batches, (request) => {
        const controller = new AbortController()
        running.set(request.callId, controller)
        return queue.add(() => run(request), { signal: controller.signal }).finally(() =>
          running.delete(request.callId)
        )
      })
    })
}

export const fastq: Contender = {
  name: "fastq",
  title: "fastq",
  lacks: "routing, events, cancel, delivery",
  make: (batches, body) =>
    Effect.sync(() => {
      const queue = fastqPromise<unknown, ToolRequest, ToolResult>(promiseBody[body], batches[0]?.length ?? 1)
      return eachBatch(batches, (request) => queue.push(request))
    })
}

export const rxjs: Contender = {
  name: "rxjs",
  title: "rxjs `mergeMap`",
  lacks: "routing, events, cancel of one task, delivery",
  make: (batches, body) =>
    Effect.sync(() => {
      const run = promiseBody[body]
      const runAll = Effect.promise(async () => {
        for (const batch of batches) {
          let taken = 0
          await lastValueFrom(from(batch).pipe(mergeMap((request) => run(request)), tap(() => taken++)))
          if (taken !== batch.length) throw new Error("lost a result")
        }
      })
      return { run: runAll }
    })
}

/** Effects as promises and streams as iterators: what the methods of the promise manager have in common. */
import * as Cause from "effect/Cause"
import type * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { TaskIterator, WaitOptions } from "../PromiseTaskManager.js"
import { type WaitField, waitOf } from "./arguments.js"

/**
 * Runs an effect as a promise that rejects with the error itself. The signal interrupts the effect, unless `isKept` says
 * no, and the promise then rejects with the signal's reason. It rejects with a `TypeError` for options that are none, or
 * have other fields than it takes.
 */
export type Run = <A, E>(
  effect: Effect.Effect<A, E>,
  options?: WaitOptions | undefined,
  isKept?: () => boolean,
  takes?: ReadonlyArray<WaitField>
) => Promise<A>

/**
 * Not `Runtime.runPromiseExit`: that starts the effect before it looks at the signal, so a wait that was over before it
 * began would still take an update; and it leaves a listener on the signal for every promise.
 */
export const runOver = (runtime: Runtime.Runtime<never>): Run => {
  const fork = Runtime.runFork(runtime)
  return (effect, options, isKept, takes) =>
    new Promise((resolve, reject) => {
      const signal = waitOf(options, takes)?.signal
      if (signal?.aborted === true) {
        reject(signal.reason)
        return
      }
      const fiber = fork(effect)
      const abort = () => {
        if (isKept?.() !== true) fiber.unsafeInterruptAsFork(FiberId.none)
      }
      signal?.addEventListener("abort", abort, { once: true })
      fiber.addObserver((exit) => {
        signal?.removeEventListener("abort", abort)
        if (Exit.isSuccess(exit)) resolve(exit.value)
        else if (signal?.aborted === true && Cause.isInterruptedOnly(exit.cause)) reject(signal.reason)
        else reject(Cause.squash(exit.cause))
      })
    })
}

/** What a function of the user answers, now or later; what it throws is the defect that the promise rejects with. */
export const promised = <A>(answer: () => A | PromiseLike<A>): Effect.Effect<A> => Effect.promise(async () => answer())

const returned: unique symbol = Symbol("effect-task-manager/promise/returned")

/**
 * Everything of a stream. Not `Stream.toAsyncIterable`: its `return` lets a pending `next` hang, and of two calls of
 * `next` at once it answers one.
 */
export const iterate = <A>(
  run: Run,
  stream: Stream.Stream<A>,
  scope: Scope.CloseableScope,
  signal: AbortSignal | undefined
): TaskIterator<A> => {
  const stop = new AbortController()
  const close = async () => {
    signal?.removeEventListener("abort", abort)
    await run(Scope.close(scope, Exit.void))
  }
  const abort = () => {
    stop.abort(signal?.reason)
    // now, and not when the reader comes back: it may never
    void close()
  }
  const elements = (async function*(): AsyncGenerator<A, undefined> {
    try {
      stop.signal.throwIfAborted()
      const pull = await run(Scope.extend(Stream.toPull(stream), scope))
      while (true) {
        const read: Option.Option<Chunk.Chunk<A>> = await run(Effect.option(pull), stop)
        if (Option.isNone(read)) return undefined
        for (const element of read.value) {
          stop.signal.throwIfAborted()
          yield element
        }
      }
    } catch (error) {
      if (error !== returned) throw error
      return undefined
    } finally {
      await close()
    }
  })()
  const end = async () => {
    stop.abort(returned)
    await elements.return(undefined)
    // a generator that never began has no `finally`
    await close()
  }
  return iteratorOf(elements, { abort, end }, signal)
}

/**
 * What a method gives one at a time, until it answers `undefined`. What it has taken is given to the `next` that waits for
 * it, also after an abort: it would be lost otherwise.
 */
export const iterateTakes = <A>(
  take: (stop: AbortSignal) => Promise<A | undefined>,
  signal: AbortSignal | undefined
): TaskIterator<A> => {
  const stop = new AbortController()
  const abort = () => stop.abort(signal?.reason)
  const elements = (async function*(): AsyncGenerator<A, undefined> {
    try {
      while (true) {
        stop.signal.throwIfAborted()
        const taken = await take(stop.signal)
        if (taken === undefined) return undefined
        yield taken
      }
    } catch (error) {
      if (error !== returned) throw error
      return undefined
    } finally {
      signal?.removeEventListener("abort", abort)
    }
  })()
  const end = async () => {
    stop.abort(returned)
    await elements.return(undefined)
    signal?.removeEventListener("abort", abort)
  }
  return iteratorOf(elements, { abort, end }, signal)
}

const iteratorOf = <A>(
  elements: AsyncGenerator<A, undefined>,
  { abort, end }: { readonly abort: () => void; readonly end: () => Promise<void> },
  signal: AbortSignal | undefined
): TaskIterator<A> => {
  if (signal?.aborted === true) abort()
  else signal?.addEventListener("abort", abort, { once: true })
  return {
    next: () => elements.next(),
    return: async () => {
      await end()
      return { done: true, value: undefined }
    },
    [Symbol.asyncIterator]() {
      return this
    },
    [Symbol.asyncDispose]: end
  }
}

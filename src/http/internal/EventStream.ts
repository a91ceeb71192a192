/**
 * What one client is sent: the bytes that wait for it, within a bound. Whoever reads too slowly is told so and sent nothing more; who
 * does not even read that is cut off.
 */
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { dropped, heartbeat } from "./frames.js"

const mostStalled = 4

export class EventStream {
  /** Of those that share it, who adds frames: one after the other. */
  readonly turns = Effect.unsafeMakeSemaphore(1)
  private readonly maxBytes: number
  private waiting: Array<Uint8Array> = []
  private bytes = 0
  private isClosed = false
  /** How many heartbeats have come while the same bytes waited. */
  private stalled = 0
  private wake: (() => void) | undefined = undefined
  private onTaken: (() => void) | undefined = undefined
  private reader: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  /** Adds one frame; false where there is no room for it now. One frame may be larger than the bound. */
  unsafeOffer(frame: Uint8Array): boolean {
    if (this.waiting.length > 0 && this.bytes + frame.length > this.maxBytes) return false
    if (!this.isClosed) this.push(frame)
    return true
  }

  /** Returns once its reader has taken what waits. */
  get awaitRoom(): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      if (this.waiting.length === 0) resume(Effect.void)
      else this.onTaken = () => resume(Effect.void)
    })
  }

  /** Its reader is too slow: in place of what waits it is told so, and nothing more. */
  unsafeDrop(): void {
    this.waiting = []
    this.bytes = 0
    this.unsafeEnd(dropped)
  }

  /** Says that it is still there, if it has nothing to say; cuts off a reader that has taken nothing for several of them. */
  unsafeBeat(): void {
    if (this.waiting.length > 0) {
      this.stalled++
      if (this.stalled >= mostStalled) this.unsafeCutOff()
    } else if (!this.isClosed) {
      this.push(heartbeat)
    }
  }

  /** Nothing comes after this frame, or after what waits. */
  unsafeEnd(last?: Uint8Array): void {
    if (this.isClosed) return
    this.isClosed = true
    if (last !== undefined) this.push(last)
    else this.unsafeWake()
  }

  /** Cuts off a reader that has not taken what waits for it. */
  unsafeCutOff(): void {
    if (this.waiting.length > 0) this.reader?.unsafeInterruptAsFork(HttpServerError.clientAbortFiberId)
  }

  /** To be read once: all that waits, then what comes. */
  get stream(): Stream.Stream<Uint8Array> {
    return Stream.repeatEffectChunkOption(
      Effect.withFiberRuntime<Chunk.Chunk<Uint8Array>, Option.Option<never>>((fiber) => {
        this.reader = fiber
        if (this.waiting.length > 0) return Effect.succeed(this.take())
        if (this.isClosed) return Effect.fail(Option.none())
        return Effect.async((resume) => {
          this.wake = () => resume(Effect.sync(() => this.take()))
        })
      })
    )
  }

  private push(frame: Uint8Array): void {
    this.waiting.push(frame)
    this.bytes += frame.length
    this.unsafeWake()
  }

  private unsafeWake(): void {
    const { wake } = this
    this.wake = undefined
    wake?.()
  }

  private take(): Chunk.Chunk<Uint8Array> {
    const { onTaken, waiting } = this
    this.onTaken = undefined
    onTaken?.()
    this.stalled = 0
    this.waiting = []
    this.bytes = 0
    return Chunk.unsafeFromArray(waiting)
  }
}

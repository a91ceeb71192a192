import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { Command } from "./machine.js"

/** The commands that a session has not obeyed yet, in the order in which they were posted, and whether it is idle. */
export class Inbox {
  /** The next command. */
  readonly take: Effect.Effect<Command>
  /** Waits until everything is obeyed and nothing runs. */
  readonly idle: Effect.Effect<void>
  private readonly queue: Queue.Queue<Command>
  private readonly idleLatch: Effect.Latch
  private unread = 0
  private isEnded = false

  private constructor(queue: Queue.Queue<Command>, idleLatch: Effect.Latch) {
    this.queue = queue
    this.idleLatch = idleLatch
    this.take = queue.take
    this.idle = idleLatch.await
  }

  // not a Mailbox: in its take there is a step between looking and parking, in which an offer wakes no taker
  static readonly make: Effect.Effect<Inbox> = Effect.zipWith(
    Queue.unbounded<Command>(),
    Effect.makeLatch(true),
    (queue, idleLatch) => new Inbox(queue, idleLatch)
  )

  readonly post = (command: Command): void => {
    // it is not read any more: it would keep the session from ever being idle
    if (this.isEnded) return
    this.unread++
    this.idleLatch.unsafeClose()
    this.queue.unsafeOffer(command)
  }

  /** One command is obeyed. */
  obeyed(isIdle: boolean): void {
    this.unread--
    if (this.unread === 0 && isIdle) this.idleLatch.unsafeOpen()
  }

  /** From now on nothing is read. */
  end(): void {
    this.isEnded = true
  }

  /** Lets go of those who wait until the session is idle: it is over. */
  release(): void {
    this.idleLatch.unsafeOpen()
  }
}

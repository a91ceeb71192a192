/**
 * Two processes that ask each other over the channel of Node: each request is an effect of the other process, which ends when that one
 * has, and is interrupted with the one who asks.
 */
import { Effect, Fiber } from "effect"
import { packExit, type SentExit, unpackExit } from "./values.js"

type Message =
  | {
    readonly _tag: "Ask"
    readonly id: number
    readonly place: number
    readonly what: string
    readonly payload: unknown
  }
  | { readonly _tag: "Interrupt"; readonly id: number }
  | { readonly _tag: "Answer"; readonly id: number; readonly place: number; readonly exit: SentExit }

/** The process itself, or one that it has started. */
export interface Channel {
  readonly send?: ((message: Message) => boolean) | undefined
  readonly on: (event: "message", listener: (message: unknown) => void) => unknown
}

/** What is asked of one place, by the names of the requests. */
export type Handlers = Readonly<Record<string, (payload: never) => Effect.Effect<unknown, unknown>>>

/** The place of what belongs to no manager. */
export const nowhere = 0

export class Link {
  private readonly channel: Channel
  private readonly handlers = new Map<number, Handlers>()
  private readonly asked = new Map<number, (exit: SentExit) => void>()
  private readonly running = new Map<number, Fiber.RuntimeFiber<unknown, unknown>>()
  private readonly sent = new Map<number, number>()
  private asks = 0

  constructor(channel: Channel) {
    this.channel = channel
    // both sides are of this file
    channel.on("message", (message) => this.hear(message as Message))
  }

  /** Who answers what is asked of a place. */
  serve(place: number, handlers: Handlers): () => void {
    this.handlers.set(place, handlers)
    return () => void this.handlers.delete(place)
  }

  /** Asks a place for its `state`. It counts as nothing that was sent. */
  look(place: number): Effect.Effect<unknown, unknown> {
    return this.ask(place, "state", null)
  }

  /** How many messages about a place were sent. */
  sentOf(place: number): number {
    return this.sent.get(place) ?? 0
  }

  ask(place: number, what: string, payload: unknown): Effect.Effect<unknown, unknown> {
    return Effect.async((resume) => {
      const id = ++this.asks
      let ended: ((exit: SentExit) => void) | undefined
      this.asked.set(id, (exit) => ended === undefined ? resume(unpackExit(exit)) : ended(exit))
      try {
        this.send(place, { _tag: "Ask", id, place, what, payload }, what)
      } catch (error) {
        this.asked.delete(id)
        return resume(Effect.die(error))
      }
      return Effect.async<void>((finish) => {
        if (!this.asked.has(id)) return finish(Effect.void)
        // a defect of its end is told; that it was interrupted is known
        ended = (exit) => finish(exit._tag === "Defect" ? Effect.die(exit.defect) : Effect.void)
        this.send(place, { _tag: "Interrupt", id }, what)
      })
    })
  }

  private send(place: number, message: Message, what: string): void {
    if (what !== "state") this.sent.set(place, this.sentOf(place) + 1)
    this.channel.send?.(message)
  }

  private hear(message: Message): void {
    switch (message._tag) {
      case "Ask":
        return this.carryOut(message)
      case "Interrupt":
        return this.running.get(message.id)?.unsafeInterruptAsFork(Fiber.id(Effect.runFork(Effect.void)))
      case "Answer": {
        const resume = this.asked.get(message.id)
        this.asked.delete(message.id)
        return resume?.(message.exit)
      }
    }
  }

  private carryOut({ id, payload, place, what }: Message & { readonly _tag: "Ask" }): void {
    const handler = this.handlers.get(place)?.[what]
    const answer = (exit: SentExit): void => {
      try {
        this.send(place, { _tag: "Answer", id, place, exit }, what)
      } catch (error) {
        this.send(place, { _tag: "Answer", id, place, exit: { _tag: "Defect", defect: error } }, what)
      }
    }
    if (handler === undefined) return answer({ _tag: "Defect", defect: new Error(`Nobody answers ${what}`) })
    // the other side says what the handler of this name takes
    const fiber = Effect.runFork(Effect.suspend(() => handler(payload as never)))
    this.running.set(id, fiber)
    fiber.addObserver((exit) => {
      this.running.delete(id)
      answer(packExit(exit))
    })
  }
}

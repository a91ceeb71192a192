/**
 * What consumers of a client have in hand for long: its runner is told so again and again, or would take it for lost and give it to
 * another reader. A consumer that is done soon costs no message.
 */
import * as Effect from "effect/Effect"
import { forgottenAfter, wireSleep } from "./wire.js"

/** Two messages may be lost. */
const saysEvery = forgottenAfter / 3

interface StillHeldOptions {
  /** Tells a group what is held when it is asked. Dies where no runner answers. */
  readonly say: (group: number, held: () => ReadonlyArray<number>) => Effect.Effect<unknown>
  readonly fork: (self: Effect.Effect<void>) => void
  readonly every?: number
}

export class StillHeld {
  private readonly options: StillHeldOptions
  /** The tokens of each group that is told, or is about to find that there is nothing to tell. */
  private readonly ofGroups = new Map<number, Set<number>>()

  constructor(options: StillHeldOptions) {
    this.options = options
  }

  /** A consumer has it in hand, until the result is called. */
  add(group: number, token: number): () => void {
    const tokens = this.ofGroups.get(group) ?? this.begin(group)
    tokens.add(token)
    return () => void tokens.delete(token)
  }

  private begin(group: number): Set<number> {
    const tokens = new Set<number>()
    this.ofGroups.set(group, tokens)
    this.options.fork(this.repeat(group, tokens))
    return tokens
  }

  private repeat(group: number, tokens: ReadonlySet<number>): Effect.Effect<void> {
    const { every = saysEvery, say } = this.options
    return Effect.flatMap(wireSleep(every), () => {
      if (tokens.size === 0) {
        this.ofGroups.delete(group)
        return Effect.void
      }
      // where no runner answers, the next message says it
      const said = Effect.catchAllDefect(Effect.asVoid(say(group, () => [...tokens])), () => Effect.void)
      return Effect.zipRight(said, this.repeat(group, tokens))
    })
  }
}

/**
 * The exchanges of clients with a runner: an exchange for one group brings calls for all groups that the runner has, and takes back
 * the answers that are there. It waits for some, unless others of the same client already do.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { randomToken } from "../../shared/randomToken.js"
import { type CallCodec, callCodecs } from "./callCodecs.js"
import { messageBytes, partsOf, sizeOf, takeFitting } from "./messageSize.js"
import {
  type Exchange,
  type Exchanged,
  type GroupHandlers,
  GroupNotReady,
  protocolVersion,
  type SentAnswer,
  type SentTold
} from "./protocol.js"
import { answersWithin, forgottenAfter, onWire, wireMillis, wireSleep } from "./wire.js"

/** What is to be sent to a client, and about how large it is. */
interface Answer {
  readonly sent: SentAnswer
  readonly size: number
}

/** An answer as it goes into messages: in parts if it is too large for one, and the client puts them together. */
const answersOf = (
  id: number,
  codec: CallCodec,
  exit: Exit.Exit<unknown, unknown>,
  takesParts: boolean
): Array<Answer> => {
  const encoded = codec.encodeExit(exit)
  const size = sizeOf(encoded)
  if (size <= messageBytes || !takesParts) return [{ sent: { id, exit: encoded }, size }]
  return partsOf(encoded).map((part, index, { length: count }) => ({
    sent: { id, part, index, count },
    size: sizeOf(part)
  }))
}

/** An exchange that has no answer yet. */
interface Held {
  readonly group: number
  readonly list: number
  readonly answered: Deferred.Deferred<Exchanged>
}

interface Client {
  takesParts: boolean
  /** What the client knows the runner by. A client that was forgotten gets another one, for its answers are gone. */
  readonly token: string
  /** The exchanges that have come, from the oldest one on that is not over at the client. */
  readonly seen: Set<number>
  oldest: number
  readonly answers: Array<Answer>
  held: Array<Held>
  readonly running: Map<number, Running>
  /** Calls that were ended and still end. */
  readonly ending: Set<Running>
  isFlushing: boolean
  lastAsked: number
}

interface Running {
  readonly group: number
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
}

/** What a group on this runner does with what comes for it. */
interface GroupHere {
  readonly handlers: GroupHandlers
  /** Is told what has come of what it gave. */
  readonly settle: (told: SentTold) => void
}

interface Here extends GroupHere {
  readonly fork: (self: Effect.Effect<unknown, unknown>) => Fiber.RuntimeFiber<unknown, unknown>
  /** How many calls wait for their answers. */
  running: number
  /** Whether a call has come since that was asked last. */
  isUsed: boolean
}

/** How many exchanges of one client wait at once: each brings the calls of a moment, and takes back those of another one. */
const mostHeld = 4

export interface Exchanges {
  /** The group is on this runner until the scope closes. */
  readonly enter: (
    group: number,
    here: GroupHere,
    runtime: Runtime.Runtime<never>
  ) => Effect.Effect<void, never, Scope.Scope>
  /** The group is about to leave: nothing of it waits here any more. */
  readonly leave: (group: number) => Effect.Effect<void>
  /** The group has left, and is on this runner again. */
  readonly comeBack: (group: number) => Effect.Effect<void>
  /** Groups that somebody waits for, or has called since this was asked last. */
  readonly awaited: () => ReadonlyArray<number>
  readonly exchange: (group: number, exchange: Exchange) => Effect.Effect<Exchanged, GroupNotReady>
}

const gone = Exit.fail(new GroupNotReady())

export const makeExchanges: Effect.Effect<Exchanges, never, Scope.Scope> = Effect.gen(function*() {
  const runner = randomToken()
  /** Those whose scopes are open, and those of them that have not left. */
  const entered = new Map<number, Here>()
  const groups = new Map<number, Here>()
  const clients = new Map<string, Client>()
  let list = 0
  const fork = yield* FiberSet.makeRuntime<never, unknown, unknown>()

  let clientsSeen = 0

  const exchanged = ({ token }: Client, answers: ReadonlyArray<Answer>, known: number): Exchanged => ({
    runner: token,
    answers: answers.map(({ sent }) => sent),
    list,
    groups: known === list ? null : [...groups.keys()]
  })

  /** As many of the answers for a client as one message takes. */
  const nextAnswers = (client: Client, known: number): Exchanged =>
    exchanged(client, takeFitting(client.answers), known)

  const answer = (client: Client): void => {
    const held = client.held.shift()
    if (held === undefined) return
    Deferred.unsafeDone(held.answered, Exit.succeed(nextAnswers(client, held.list)))
    // what has no room in it goes with the next one
    if (client.answers.length > 0) flushSoon(client)
  }

  const flushSoon = (client: Client): void => {
    if (client.isFlushing || client.held.length === 0) return
    client.isFlushing = true
    // what is done in the same moment comes with the same answer
    fork(Effect.zipRight(
      Effect.yieldNow({ priority: 1 }),
      Effect.sync(() => {
        client.isFlushing = false
        if (client.answers.length > 0) answer(client)
      })
    ))
  }

  const clientOf = (name: string): Client => {
    const known = clients.get(name)
    if (known !== undefined) return known
    const client: Client = {
      takesParts: false,
      token: `${runner}/${++clientsSeen}`,
      seen: new Set(),
      oldest: 0,
      answers: [],
      held: [],
      running: new Map(),
      ending: new Set(),
      isFlushing: false,
      lastAsked: wireMillis()
    }
    clients.set(name, client)
    return client
  }

  /** Whether an exchange has come before, as far as its client still waits for it. */
  const isSeen = (client: Client, { number, oldest }: Pick<Exchange, "number" | "oldest">): boolean => {
    for (const one of client.seen) if (one < oldest) client.seen.delete(one)
    client.oldest = Math.max(client.oldest, oldest)
    if (number < client.oldest || client.seen.has(number)) return true
    client.seen.add(number)
    return false
  }

  /** What a caller has interrupted has ended before its next call to that group begins, or takes too long. */
  const untilEnded = ({ ending }: Client, group: number): Effect.Effect<unknown> | undefined => {
    const fibers = [...ending].flatMap((one) => one.group === group ? [one.fiber] : [])
    return fibers.length === 0
      ? undefined
      : onWire(Effect.timeoutOption(Effect.forEach(fibers, (fiber) => fiber.await, { discard: true }), answersWithin))
  }

  const end = (client: Client, id: number): void => {
    const running = client.running.get(id)
    if (running === undefined) return
    client.running.delete(id)
    client.ending.add(running)
    running.fiber.addObserver(() => client.ending.delete(running))
    running.fiber.unsafeInterruptAsFork(FiberId.none)
  }

  const begin = (client: Client, { group, id, payload, tag }: Exchange["calls"][number]): void => {
    const codec = callCodecs.get(tag)
    const end = (exit: Exit.Exit<unknown, unknown>): void => {
      if (codec === undefined) return
      client.answers.push(...answersOf(id, codec, exit, client.takesParts))
      flushSoon(client)
    }
    const here = groups.get(group)
    if (here === undefined || codec === undefined) return end(gone)
    const carriedOut = Effect.suspend(() =>
      // the payload is that of the call: the schema of the call has read it
      (here.handlers[tag as keyof GroupHandlers] as (
        request: { readonly payload: unknown }
      ) => Effect.Effect<unknown, unknown>)({
        payload: codec.decodePayload(payload)
      })
    )
    const ended = untilEnded(client, group)
    const fiber = here.fork(ended === undefined ? carriedOut : Effect.zipRight(ended, carriedOut))
    here.running++
    here.isUsed = true
    client.running.set(id, { group, fiber })
    fiber.addObserver((exit) => {
      here.running--
      // its caller does not wait any more
      if (!client.running.delete(id)) return
      end(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause) ? gone : exit)
    })
  }

  const exchange = (group: number, asking: Exchange): Effect.Effect<Exchanged, GroupNotReady> =>
    Effect.suspend(() => {
      const { calls, client: name, ended, list: known, runner: asked, told, version } = asking
      if (version !== protocolVersion) {
        return Effect.die(
          new Error(
            `The client speaks version ${version} of the protocol of a cluster, and this runner ${protocolVersion}`
          )
        )
      }
      const client = clientOf(name)
      client.lastAsked = wireMillis()
      client.takesParts = asking.parts === true
      if (asked !== client.token) return Effect.succeed(exchanged(client, [], -1))
      if (isSeen(client, asking)) return Effect.fail(new GroupNotReady())
      for (const one of told) groups.get(one.group)?.settle(one)
      for (const id of ended) end(client, id)
      for (const call of calls) begin(client, call)
      if (!groups.has(group)) {
        return Effect.succeed(nextAnswers(client, known))
      }
      const held: Held = { group, list: known, answered: Deferred.unsafeMake(FiberId.none) }
      client.held.push(held)
      if (client.held.length > mostHeld) answer(client)
      else if (client.answers.length > 0) flushSoon(client)
      const letGo = (): boolean => {
        const at = client.held.indexOf(held)
        if (at >= 0) client.held.splice(at, 1)
        return at >= 0
      }
      return onWire(Effect.timeoutOption(Deferred.await(held.answered), answersWithin)).pipe(
        Effect.flatMap(Option.match({
          onSome: Effect.succeed,
          // it may have been answered in this step
          onNone: () => letGo() ? Effect.succeed(exchanged(client, [], known)) : Deferred.await(held.answered)
        })),
        Effect.onInterrupt(() => Effect.sync(letGo))
      )
    })

  const sweep = Effect.sync(() => {
    const now = wireMillis()
    for (const [name, client] of clients) {
      if (client.held.length > 0 || now - client.lastAsked < forgottenAfter) continue
      clients.delete(name)
      for (const { fiber } of client.running.values()) fiber.unsafeInterruptAsFork(FiberId.none)
    }
  })
  yield* Effect.forkScoped(Effect.interruptible(Effect.forever(Effect.zipRight(wireSleep("5 seconds"), sweep))))

  return {
    enter: (group, { handlers, settle }, runtime) =>
      Effect.gen(function*() {
        const set = yield* FiberSet.make<unknown, unknown>()
        const run = (self: Effect.Effect<unknown, unknown>) => {
          const fiber = Runtime.runFork(runtime)(self)
          FiberSet.unsafeAdd(set, fiber)
          return fiber
        }
        const here: Here = { handlers, settle, fork: run, running: 0, isUsed: false }
        entered.set(group, here)
        groups.set(group, here)
        list++
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            if (entered.get(group) === here) entered.delete(group)
            if (groups.get(group) === here && groups.delete(group)) list++
          })
        )
      }),
    leave: (group) =>
      Effect.sync(() => {
        if (!groups.delete(group)) return
        list++
        for (const client of clients.values()) {
          for (const held of client.held.filter((one) => one.group === group)) {
            client.held = client.held.filter((one) => one !== held)
            Deferred.unsafeDone(held.answered, Exit.succeed(nextAnswers(client, held.list)))
          }
        }
      }),
    comeBack: (group) =>
      Effect.sync(() => {
        const here = entered.get(group)
        if (here === undefined || groups.has(group)) return
        groups.set(group, here)
        list++
      }),
    awaited: () =>
      [...groups].flatMap(([group, here]) => {
        const { isUsed, running } = here
        here.isUsed = false
        return isUsed || running > 0 ? [group] : []
      }),
    exchange
  }
})

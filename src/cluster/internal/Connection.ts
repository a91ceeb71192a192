/** Calls of a client to the groups: each is made again until it is answered, and carries what is to be told to its group anyway. */
import type { Sharding } from "@effect/cluster/Sharding"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type { SessionId } from "../../model/ids.js"
import { randomToken } from "../../shared/randomToken.js"
import { refuseUnless } from "../../shared/refusals.js"
import { callerOf, type CallOptions, type NewsReaders, untilAnswered } from "./asking.js"
import { Peers } from "./Peers.js"
import {
  type Answer,
  type Batch,
  type CallHeader,
  type GroupClient,
  GroupEntity,
  type GroupNotReady
} from "./protocol.js"
import { onWire, wireMillis, wireSleep } from "./wire.js"

/** What was given, without what it brings. */
interface Deliveries {
  readonly token: number
  readonly orders: ReadonlyArray<number>
}

/** What is to be told to a group. */
interface Told {
  readonly taken: ReadonlyArray<number>
  readonly putBack: ReadonlyArray<number>
  readonly dropped: ReadonlyArray<string>
}

export interface Connection {
  readonly groups: number
  readonly groupOf: (sessionId: SessionId) => number
  /**
   * Asks a group. An answer that is lost is asked for again; with `patience` it dies with `ClusterError`. Where a call that gives something
   * to `receive` is interrupted before, what it gives is put back. Once the client has closed, and where it closes meanwhile, nobody
   * is asked, and `ifClosed` says what comes of the call.
   */
  readonly ask: <A, E, Closed = never>(
    group: number,
    send: (client: GroupClient, header: CallHeader, again: boolean) => Effect.Effect<Answer<A>, E>,
    ifClosed: Effect.Effect<NoInfer<A>, Closed>,
    options?: CallOptions<A>
  ) => Effect.Effect<A, Exclude<E | Closed, GroupNotReady>>
  /** Something has reached its reader. */
  readonly taken: (group: number, given: Deliveries) => void
  readonly putBack: (group: number, given: Deliveries) => void
  /** Deliveries have reached a reader that no runner knows of. */
  readonly gone: (group: number, orders: ReadonlyArray<number>) => void
  /** Whether a delivery has reached its reader: a runner that took over may not know of it, and gives it again. */
  readonly wasTaken: (group: number, order: number) => boolean
  /** Whether nothing is left to be told, and nobody is asked but for waits. */
  readonly isQuiet: () => boolean
  readonly fork: (self: Effect.Effect<void>) => void
  readonly isClosed: () => boolean
  /** Nobody is asked any more, and whoever waits for an answer goes on. */
  readonly close: () => void
  /**
   * Once it is closed: tells the groups what has become of what they gave, which calls have ended, and that these readers are closed,
   * for as long as a client that closes may wait for that.
   */
  readonly farewell: (readersAt: (group: number) => ReadonlyArray<string>) => Effect.Effect<void>
  news: NewsReaders<Batch>
}

/** What comes of a call that gives nothing where nobody is asked. */
export const nothing = Effect.succeed(null)

const isPassing = (error: unknown): error is GroupNotReady => Predicate.isTagged(error, "GroupNotReady")
const isInterruptedOnly = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Option.exists(Exit.causeOption(exit), Cause.isInterruptedOnly)
const isPassingCause = (cause: Cause.Cause<unknown>): boolean => Option.exists(Cause.failureOption(cause), isPassing)

/** What goes back is there for others at once; what has reached its reader goes with what is sent to its runner anyway, for a moment. */
const flushAfter = 2
const rideMillis = 25
/** How long a client that closes waits for runners at most. */
const farewellMillis = 1_000
/** Longer than a takeover may take, in milliseconds. */
const rememberedFor = 60_000

/** Any number that spreads texts well and is the same everywhere. */
export const hashOf = (text: string): number => {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  return hash >>> 0
}

const nothingTold: Told = { taken: [], putBack: [], dropped: [] }

class Outbox {
  private told: { taken: Array<number>; putBack: Array<number>; dropped: Array<string> } = {
    taken: [],
    putBack: [],
    dropped: []
  }

  get isEmpty(): boolean {
    const { dropped, putBack, taken } = this.told
    return taken.length + putBack.length + dropped.length === 0
  }

  add(more: Partial<Told>): void {
    this.told.taken.push(...more.taken ?? [])
    this.told.putBack.push(...more.putBack ?? [])
    this.told.dropped.push(...more.dropped ?? [])
  }

  take(): Told {
    const { told } = this
    this.told = { taken: [], putBack: [], dropped: [] }
    return told
  }
}

export const connect = (options: {
  readonly groups: number
  readonly patienceMillis: number
  /** Looks at the context of whoever asks; what it throws is a defect of the caller. */
  readonly check: (context: Context.Context<never>) => void
}): Effect.Effect<Connection, never, Sharding | Scope.Scope> =>
  Effect.gen(function*() {
    const { check, groups, patienceMillis } = options
    const client = randomToken()
    const set = yield* FiberSet.make<unknown, unknown>()
    const run = yield* FiberSet.runtime(set)<never>()
    const fork: Connection["fork"] = (self) => void run(Effect.interruptible(self))
    const entity = yield* GroupEntity.client
    const peers = new Peers({
      client,
      exchange: (group, exchange) => entity(String(group)).Exchange(exchange),
      takeTold: (asked) =>
        [...due.keys()].flatMap((group) => asked.has(group) ? [{ group, ...takeOutbox(group) }] : []),
      tellAgain: (told) => {
        for (const { group, ...of } of told) tell(group, of)
      },
      fork
    })
    const outboxes = Array.from({ length: groups }, () => new Outbox())
    let calls = 0
    let isClosed = false
    /** Calls that may have been sent and have no answer, with what was told with them. */
    const open = new Map<string, { readonly group: number; readonly told: Told }>()
    const close = (): void => {
      if (isClosed) return
      isClosed = true
      due.clear()
      // what they may have been given has no reader
      for (const [call, { group, told }] of open) tell(group, { ...told, dropped: [...told.dropped, call] })
      peers.endAll()
    }
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        close()
        peers.close()
      })
    )
    const outboxOf = (group: number): Outbox => outboxes[group] ?? new Outbox()

    /** When what was taken was, oldest first. */
    const taken = Array.from({ length: groups }, () => new Map<number, number>())
    const takenOf = (group: number): Map<number, number> => taken[group] ?? new Map()
    const remember = (group: number, order: number): void => {
      const now = wireMillis()
      const ofGroup = takenOf(group)
      ofGroup.set(order, now)
      for (const [oldest, at] of ofGroup) {
        if (now - at < rememberedFor) return
        ofGroup.delete(oldest)
      }
    }

    /** Until when the groups are told at the latest that have something in their outboxes. */
    const due = new Map<number, number>()
    let wakesAt = Infinity
    const takeOutbox = (group: number): Told => {
      due.delete(group)
      return outboxOf(group).take()
    }
    const tell = (group: number, told: Partial<Told>): void => {
      const outbox = outboxOf(group)
      outbox.add(told)
      if (isClosed || outbox.isEmpty) return
      const isUrgent = (told.putBack ?? []).length > 0 || (told.dropped ?? []).length > 0
      const at = wireMillis() + (isUrgent ? flushAfter : rideMillis)
      due.set(group, Math.min(at, due.get(group) ?? Infinity))
      tellBy(at)
    }
    /** One timer for all groups: nearly all are told before. */
    const tellBy = (at: number): void => {
      if (at >= wakesAt) return
      wakesAt = at
      fork(Effect.zipRight(
        wireSleep(Math.max(0, at - wireMillis())),
        Effect.suspend(() => wakesAt === at ? tellDue : Effect.void)
      ))
    }
    const tellDue = Effect.sync(() => {
      wakesAt = Infinity
      if (isClosed) return
      const now = wireMillis()
      for (const [group, at] of due) {
        if (at > now) {
          tellBy(at)
          continue
        }
        // what is in its outbox goes with the call
        due.delete(group)
        fork(Effect.asVoid(connection.ask(group, (one, header) => one.Settle({ header }), nothing, { isSilent: true })))
      }
    })

    const ask = <A, E, Closed>(
      group: number,
      send: (one: GroupClient, header: CallHeader, again: boolean) => Effect.Effect<Answer<A>, E>,
      ifClosed: Effect.Effect<A, Closed>,
      { isSilent = false, receive, sessionId }: CallOptions<A> = {}
    ): Effect.Effect<A, Exclude<E | Closed, GroupNotReady>> =>
      Effect.withFiberRuntime((fiber) => {
        check(fiber.currentContext)
        const call = `${client}/${++calls}`
        const caller = callerOf(fiber)
        const one = peers.of(group)
        let isAgain = false
        let isTold = false
        const closed = Effect.exit(Effect.map(ifClosed, (value): Answer<A> => ({ _tag: "Done", news: [], value })))
        const attempt = Effect.suspend((): Effect.Effect<Exit.Exit<Answer<A>, E | Closed>> => {
          if (isClosed) return closed
          const told = takeOutbox(group)
          const { positions } = connection.news
          const header = { call, ...caller, ...told, readers: isSilent ? [] : positions(group, sessionId) }
          const sent = send(one, header, isAgain)
          isAgain = true
          open.set(call, { group, told })
          return Effect.uninterruptibleMask((restore) =>
            Effect.flatMap(Effect.exit(restore(sent)), (exit): Effect.Effect<Exit.Exit<Answer<A>, E | Closed>> => {
              // whoever has closed it has told that nobody has what this gives
              if (isClosed && Exit.isSuccess(exit) && receive !== undefined) return restore(closed)
              if (Exit.isSuccess(exit)) {
                // in this very step: an interrupt behind it would lose what is given
                if (exit.value._tag === "Done") {
                  connection.news.hear(group, exit.value.news)
                  receive?.(exit.value.value)
                }
              } else if (!isClosed) {
                const isInterrupted = !Cause.isEmpty(fiber.getFiberRef(FiberRef.interruptedCause))
                isTold = isInterrupted
                tell(
                  group,
                  isInterrupted && receive !== undefined ? { ...told, dropped: [...told.dropped, call] } : told
                )
              }
              open.set(call, { group, told: nothingTold })
              const isPassed = isClosed && Option.exists(Exit.causeOption(exit), isPassingCause)
              return isPassed ? restore(closed) : Effect.succeed(exit)
            })
          )
        })
        return Effect.onExit(
          untilAnswered({ attempt, isPassing, patienceMillis, who: "No runner has answered" }),
          (exit) =>
            Effect.sync(() => {
              open.delete(call)
              // between two tries nobody has said so, and the runner would go on with it for a while
              if (isInterruptedOnly(exit) && isAgain && !isTold && !isClosed) tell(group, { dropped: [call] })
            })
        )
      })

    /** Tells a group what is left to be told, and which readers are closed, until it has heard that. */
    const tellLast = (group: number, readers: ReadonlyArray<string>): Effect.Effect<void> => {
      const one = peers.of(group)
      const told = takeOutbox(group)
      const tellIn = (send: (header: CallHeader) => Effect.Effect<Answer<null>, GroupNotReady>) => {
        const header = { call: `${client}/${++calls}`, under: [], stopped: null, ...told, readers: [] }
        const attempt = Effect.exit(send(header))
        return untilAnswered({ attempt, isPassing, patienceMillis: farewellMillis, who: "No runner has answered" })
      }
      const settled = tellIn((header) => one.Settle({ header }))
      return Effect.asVoid(
        readers.length === 0
          ? settled
          : Effect.zip(settled, tellIn((header) => one.Unwatch({ header, readers })), { concurrent: true })
      )
    }
    const farewell: Connection["farewell"] = (readersAt) => {
      // what a consumer says meanwhile is told as well
      const tellAll = (readersOf: (group: number) => ReadonlyArray<string>): Effect.Effect<void> =>
        Effect.suspend(() => {
          const told = outboxes.flatMap(({ isEmpty }, group) => {
            const readers = readersOf(group)
            // whoever has it next knows nothing of these
            if (peers.hasLeft(group) || isEmpty && readers.length === 0) return []
            return [tellLast(group, readers)]
          })
          if (told.length === 0) return Effect.void
          return Effect.zipRight(
            Effect.all(told, { concurrency: "unbounded", discard: true }),
            tellAll(() => [])
          )
        })
      // a scope that closes lets nothing be interrupted, and the time would pass without an end
      return onWire(Effect.timeoutOption(Effect.interruptible(tellAll(readersAt)), farewellMillis)).pipe(
        // where no runner hears it, it puts back what it hears nothing of
        Effect.catchAllCause(() => Effect.void),
        Effect.zipRight(Effect.sync(() => peers.close()))
      )
    }

    const connection: Connection = {
      groups,
      groupOf: (sessionId) => {
        // what a host without types may give is of no group
        refuseUnless(typeof sessionId === "string", "sessionId", "the id of a session", sessionId)
        return hashOf(sessionId) % groups
      },
      ask,
      gone: (group, orders) => {
        for (const order of orders) remember(group, order)
      },
      taken: (group, { orders, token }) => {
        for (const order of orders) remember(group, order)
        tell(group, { taken: [token] })
      },
      putBack: (group, { token }) => tell(group, { putBack: [token] }),
      wasTaken: (group, order) => takenOf(group).has(order),
      isQuiet: () => peers.isQuiet && due.size === 0 && outboxes.every(({ isEmpty }) => isEmpty),
      fork,
      isClosed: () => isClosed,
      close,
      farewell,
      news: { positions: () => [], hear: () => {} }
    }
    return connection
  })

/**
 * The manager of one group of sessions on the runner that has it now. It is opened, and opened again once its journal is lost, for as
 * long as the group is on this runner.
 *
 * | the group is | a call                 | the lease ends in another hand | the journal is lost | the group leaves     | it comes back |
 * | ------------ | ---------------------- | ------------------------------ | ------------------- | -------------------- | ------------- |
 * | Opening      | waits, then asks again | Open                           | –                   | Left                 | –             |
 * | Open         | carried out            | –                              | Opening             | Left, tasks are kept | –             |
 * | Left         | asks again elsewhere   | –                              | –                   | –                    | Opening       |
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import type { DurableOptions } from "../../durable/DurableOptions.js"
import type { WriteGroup } from "../../durable/internal/groups.js"
import { type DurableManager, makeDurable } from "../../durable/internal/makeDurable.js"
import { JournalError } from "../../errors.js"
import type { Ancestry } from "../../machine/state/Waiter.js"
import { RunningIn } from "../../runtime/launch/RunningIn.js"
import type { ToolExecutor } from "../../services/ToolExecutor.js"
import { Calls } from "./calls.js"
import { InHand } from "./inHand.js"
import { type Answer, type CallHeader, GroupNotReady, type SentTold, type ToldOf } from "./protocol.js"
import { Readers } from "./readers.js"
import { answersWithin, onWire, wireMillis, wireSleep } from "./wire.js"

/** A group whose manager is open. */
export interface OpenGroup extends DurableManager {
  readonly readers: Readers
  readonly inHand: InHand
  readonly calls: Calls<ToolExecutor>
  /** Runs the consumer of what a client has in its hands. */
  readonly fork: (self: Effect.Effect<void>) => Effect.Effect<Fiber.RuntimeFiber<void>>
  readonly managerScope: Scope.CloseableScope
}

/** What else lives in a group for as long as its manager is open. */
export type OnOpen = (
  group: OpenGroup
) => Effect.Effect<void, unknown, SqlClient.SqlClient | ToolExecutor | Scope.Scope>

export interface Group {
  /** Carries out a call with the manager, and answers in time. */
  readonly answer: <A, E>(
    header: CallHeader,
    use: (group: OpenGroup) => Effect.Effect<A, E, ToolExecutor>,
    options?: { readonly isKept?: boolean | undefined }
  ) => Effect.Effect<Answer<A>, E | GroupNotReady>
  /** What a client says without a call. */
  readonly settle: (told: SentTold) => void
  /** The manager, if it is open. */
  readonly current: () => OpenGroup | undefined
  /** Ends every wait and lets go of the journal: the group leaves this runner, also where nobody closes its scope. */
  readonly leave: Effect.Effect<void>
  /** The group has left, and is this runner's again. */
  readonly comeBack: Effect.Effect<void>
  /** Shuts the manager down, and then waits until every reader was told so, for 5 seconds at most. */
  readonly shutDown: Effect.Effect<void>
}

/** The tasks that a caller works for, as far as they are of this group. */
const ancestryOf = (
  { engine: { state: { table } } }: DurableManager,
  { stopped, under }: Pick<CallHeader, "under" | "stopped">
): Ancestry | undefined => {
  let ancestry: Ancestry | undefined = stopped === null
    ? undefined
    : { table, task: undefined, parent: undefined, stopped }
  for (const id of [...under].reverse()) {
    const task = table.tasks.get(id)
    if (task?.isLive === true) ancestry = { table, task, parent: ancestry, stopped: stopped ?? undefined }
  }
  return ancestry
}

const open = (
  options: DurableOptions,
  writeGroup: WriteGroup,
  leaving: Effect.Effect<void>,
  onOpen: OnOpen
): Effect.Effect<OpenGroup, unknown, SqlClient.SqlClient | ToolExecutor | Scope.Scope> =>
  Effect.gen(function*() {
    const managerScope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    const durable = yield* Scope.extend(makeDurable(options, writeGroup), managerScope)
    const readers = new Readers(durable.engine)
    yield* Effect.addFinalizer(() => readers.closeAll)
    const set = yield* FiberSet.make<unknown, unknown>()
    const runtime = yield* FiberSet.runtime(set)<ToolExecutor>()
    const run = <A, E>(self: Effect.Effect<A, E, ToolExecutor>) => runtime(Effect.interruptible(self))
    const calls = new Calls(run)
    yield* Effect.forkScoped(Effect.interruptible(Effect.zipRight(leaving, Effect.sync(() => calls.leave()))))
    const group: OpenGroup = {
      ...durable,
      managerScope,
      readers,
      // not from 0: a client may still have tokens of a manager before this one
      inHand: new InHand(wireMillis() * 1_000),
      calls,
      fork: (self) => Effect.sync(() => run(self))
    }
    const sweep = Effect.suspend(() => {
      group.inHand.sweep()
      return Effect.zipRight(Fiber.interruptAll(group.calls.sweep()), readers.sweep)
    })
    yield* Effect.forkScoped(Effect.interruptible(Effect.forever(Effect.zipRight(wireSleep("5 seconds"), sweep))))
    yield* onOpen(group)
    return group
  })

/** What has become of what a client was given, and of calls that it does not make again. */
const settleIn = ({ calls, inHand }: OpenGroup, told: ToldOf): void => {
  inHand.settle(told)
  calls.drop(told.dropped)
}

const isLost = (cause: Cause.Cause<unknown>): boolean =>
  Cause.isInterruptedOnly(cause) ||
  Option.exists(Cause.dieOption(cause), (defect) => defect instanceof JournalError)

/** The group on this runner, until the scope closes. Everything of it runs with `runtime`. */
export const makeGroup = (
  options: DurableOptions,
  writeGroup: WriteGroup,
  runtime: Runtime.Runtime<SqlClient.SqlClient | ToolExecutor>,
  onOpen: OnOpen = () => Effect.void
): Effect.Effect<Group, never, Scope.Scope> =>
  Effect.gen(function*() {
    const isHere = Effect.unsafeMakeLatch(true)
    let left = yield* Deferred.make<void>()
    let isLeft = false
    let current: OpenGroup | undefined = undefined
    let ready = yield* Deferred.make<OpenGroup>()
    let refusal: GroupNotReady["refusal"] = undefined

    const openOnce = Effect.scoped(Effect.gen(function*() {
      const group = yield* open(options, writeGroup, Deferred.await(left), onOpen)
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          current = undefined
          ready = Deferred.unsafeMake(FiberId.none)
        })
      )
      current = group
      refusal = undefined
      yield* Deferred.succeed(ready, group)
      const lost = yield* group.journal.lost
      yield* Effect.logWarning("A group of sessions has lost its journal, and is opened again.", lost.message)
    }))
    // The race runs it in a fiber of its own, and must: Effect (3.22) loses an interrupt that arrives while a fiber runs the second
    // finalizer of a scope, or a later one. This fiber would open the group again, and whoever closes the group would wait for ever.
    const untilLeft = Effect.suspend(() => Effect.raceFirst(openOnce, Deferred.await(left)))
    const supervised = isHere.whenOpen(untilLeft).pipe(
      Effect.catchAllCause((cause) => {
        const error = Option.getOrUndefined(Cause.failureOption(cause))
        if (error instanceof JournalError) {
          // it has waited for a lease
          if (error.reason === "Owned") return Effect.void
          refusal = { isVersion: error.reason === "Version", detail: error.message }
        }
        return Effect.zipRight(
          Effect.logWarning("A group of sessions cannot be opened, and is tried again.", cause),
          wireSleep("1 second")
        )
      }),
      Effect.forever
    )
    yield* Effect.acquireRelease(
      Effect.sync(() => Runtime.runFork(runtime)(supervised)),
      Fiber.interrupt
    )

    const opened = Effect.suspend(() => {
      if (isLeft) return Effect.fail(new GroupNotReady())
      return current === undefined
        ? Effect.flatMap(
          onWire(Effect.timeoutOption(Deferred.await(ready), answersWithin)),
          Option.match({ onNone: () => Effect.fail(new GroupNotReady({ refusal })), onSome: Effect.succeed })
        )
        : Effect.succeed(current)
    })

    const answer = <A, E>(
      header: CallHeader,
      use: (group: OpenGroup) => Effect.Effect<A, E, ToolExecutor>,
      { isKept = false }: { readonly isKept?: boolean | undefined } = {}
    ): Effect.Effect<Answer<A>, E | GroupNotReady> =>
      Effect.flatMap(opened, (group) => {
        settleIn(group, header)
        const ancestry = ancestryOf(group, header)
        // what was given back is there again, and what was taken makes room
        const used = Effect.zipRight(group.inHand.ended, Effect.suspend(() => use(group)))
        const under = ancestry === undefined ? used : Effect.provideService(used, RunningIn, ancestry)
        return Effect.catchAllCause(
          group.calls.answer(header.call, under, {
            isKept,
            news: () => header.readers.length === 0 ? [] : group.readers.news(header.readers)
          }),
          (cause): Effect.Effect<never, E | GroupNotReady> =>
            isLost(cause) ? Effect.fail(new GroupNotReady()) : Effect.failCause(cause)
        )
      })

    return {
      answer,
      settle: (told) => {
        if (current !== undefined) settleIn(current, told)
      },
      current: () => current,
      leave: Effect.sync(() => {
        isLeft = true
        isHere.unsafeClose()
        Deferred.unsafeDone(left, Exit.void)
      }),
      comeBack: Effect.sync(() => {
        if (!isLeft) return
        isLeft = false
        left = Deferred.unsafeMake(FiberId.none)
        isHere.unsafeOpen()
      }),
      shutDown: Effect.suspend(() => {
        if (current === undefined) return Effect.void
        const { managerScope, readers } = current
        const untilTold: Effect.Effect<void> = Effect.suspend(() =>
          readers.isEmpty ? Effect.void : Effect.zipRight(wireSleep(1), untilTold)
        )
        return Scope.close(managerScope, Exit.void).pipe(
          Effect.provide(runtime),
          // a scope that closes lets nothing be interrupted, and the time would pass without an end
          Effect.zipRight(onWire(Effect.timeoutOption(Effect.interruptible(untilTold), "5 seconds"))),
          Effect.asVoid
        )
      })
    }
  })

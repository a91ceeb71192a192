/**
 * Commands that leave no process behind. An executor of @effect/platform starts each one as the leader of a session and a process
 * group of its own and sends SIGTERM to the group when the scope closes before the leader has ended. This file also ends what
 * ignores SIGTERM, what outlives the leader, and, where there is /proc, what has left the group: such a process is found by its
 * session, by the mark in its environment, by a limit that it has inherited, or because its parent was found. docs/shell.md says which are not found.
 *
 * @since 0.1.0
 */
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type * as FileSystem from "@effect/platform/FileSystem"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type { SendSignal, SignalName } from "./host.js"
import { isAnyLeft, type Members, type Watched } from "./members.js"
import type { OnFound, ProcessTable } from "./processTable.js"

/**
 * Processes that were started together, and how to end them.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProcessGroup {
  readonly leader: CommandExecutor.Process
  readonly watched: Watched
  readonly table: ProcessTable
  readonly sendSignal: SendSignal
}

/**
 * What is needed to look at processes and to signal them.
 *
 * @since 0.1.0
 * @category models
 */
export type ProcessServices = CommandExecutor.CommandExecutor | FileSystem.FileSystem

// how long the kernel may take to end a killed process, which may hang in a device; after that it is not waited for
const killPeriod = "2 seconds"

// how long a look at the process table may delay the first signal
const lookPeriod = "1 second"

const looks = Schedule.exponential("5 millis").pipe(
  Schedule.union(Schedule.spaced("50 millis"))
)

// after so many looks in a row that found nothing but were not sure, nothing is left: what starts another process and ends, again and
// again, is missed by a look now and then, and by so many in a row hardly ever
const emptyLooks = 8

/**
 * What a look has missed that found nobody and was not sure: one that starts another one and ends may be gone whenever its files are
 * read.
 */
const missed = (
  { table, watched }: ProcessGroup,
  who: Members,
  onFound: OnFound<ProcessServices> = () => Effect.void
): Effect.Effect<Members, never, ProcessServices> => {
  const escaped: Array<number> = []
  const add = (id: number) => Effect.zipRight(Effect.sync(() => escaped.push(id)), onFound(id))
  return Effect.as(table.findAtOnce(watched, add), { ...who, escaped })
}

/**
 * The processes that are left. Without /proc, SIGCONT tells whether there is a process to signal; it does no harm.
 */
const left = (
  { leader, table, watched }: ProcessGroup,
  onFound?: OnFound<ProcessServices>
): Effect.Effect<Members, never, ProcessServices> =>
  Effect.flatMap(
    table.look(watched, onFound),
    Option.match({
      onSome: Effect.succeed,
      onNone: () =>
        Effect.map(
          Effect.if(Effect.orElseSucceed(leader.isRunning, () => false), {
            onTrue: () => Effect.succeed(true),
            onFalse: () => Effect.isSuccess(leader.kill("SIGCONT"))
          }),
          (inGroup) => ({ inGroup, escaped: [], isSure: true })
        )
    })
  )

// kill sends first and then waits for the leader, which is waited for elsewhere
const signalGroup = ({ leader }: ProcessGroup, name: SignalName) =>
  Effect.asVoid(Effect.fork(Effect.interruptible(Effect.ignore(leader.kill(name)))))

/**
 * Ends what is left of a group: SIGTERM, up to `gracePeriod` for it to end, then SIGKILL until none is left. Returns when the
 * process table shows none, or when the kernel does not end them. What is found only later gets its signal then. Every look at the
 * process table has a time limit: it may take seconds on a loaded machine, and the known processes are signalled all the same.
 *
 * @since 0.1.0
 * @category destructors
 */
export const stopGroup = (
  group: ProcessGroup,
  gracePeriod: Duration.DurationInput
): Effect.Effect<void, never, ProcessServices> => {
  // what the last look has found; before the first, there may be processes in the group
  let last: Members = { inGroup: true, escaped: [], isSure: false }
  const lookAnd = (onFound?: OnFound<ProcessServices>) =>
    left(group, onFound).pipe(
      Effect.flatMap((who) => isAnyLeft(who) || who.isSure ? Effect.succeed(who) : missed(group, who, onFound)),
      Effect.tap((who) => Effect.sync(() => last = who))
    )
  const look = lookAnd()

  const signal = (name: SignalName, who: Members) =>
    Effect.zipRight(
      Effect.when(signalGroup(group, name), () => who.inGroup),
      Effect.when(group.sendSignal(name, who.escaped), () => who.escaped.length > 0)
    )
  const told = new Set<number>()
  /** A process is told to end once. */
  const tell = ({ escaped }: Members) =>
    Effect.suspend(() => {
      const untold = escaped.filter((id) => !told.has(id))
      for (const id of untold) told.add(id)
      return signal("SIGTERM", { inGroup: false, escaped: untold, isSure: true })
    })

  const untilGone = (
    between: (who: Members) => Effect.Effect<unknown, never, ProcessServices>,
    onFound?: OnFound<ProcessServices>
  ) =>
    Effect.suspend(() => {
      let empty = 0
      const isMaybeLeft = (who: Members) => {
        empty = isAnyLeft(who) ? 0 : empty + 1
        return empty === 0 || !who.isSure && empty < emptyLooks
      }
      return lookAnd(onFound).pipe(
        Effect.tap((who) => Effect.when(between(who), () => isAnyLeft(who))),
        Effect.repeat({ schedule: looks, while: isMaybeLeft })
      )
    })
  // a finalizer is uninterruptible, and a process may not end
  const within = <A>(work: Effect.Effect<A, never, ProcessServices>, period: Duration.DurationInput) =>
    Effect.timeoutOption(Effect.interruptible(work), period)

  return Effect.gen(function*() {
    // most commands leave nothing: then nobody has to wait
    if (group.table.isEmpty(group.watched)) return
    // before the signal: the children of a process that has ended cannot be found by it
    yield* within(look, lookPeriod)
    if (!isAnyLeft(last) && last.isSure) return
    if (last.inGroup) yield* signalGroup(group, "SIGTERM")
    yield* tell(last)
    const gone = yield* within(untilGone(tell), gracePeriod)
    // the time may be over because looks take long, when nothing was left that could be killed; a look that was not sure may have
    // missed something
    if (Option.isSome(gone) || !isAnyLeft(last) && last.isSure) return
    yield* signal("SIGKILL", last)
    const kill = (process: number) => group.sendSignal("SIGKILL", [process])
    yield* within(untilGone((who) => signal("SIGKILL", who), kill), killPeriod)
  })
}

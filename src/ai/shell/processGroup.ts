/**
 * Commands that leave no process behind. An executor of @effect/platform starts each one as the leader of a process group of
 * its own and sends SIGTERM to the group when the scope closes before the leader has ended. This file also ends what ignores
 * SIGTERM, what outlives the leader, and, where there is /proc, what has left the group: such a process is found by the mark in its
 * environment, or because its parent was found. A process is not found if it has left the group, has cleared its environment, and
 * lost its parent before it was looked at: that takes a control group or a subreaper.
 *
 * @since 0.1.0
 */
import * as Command from "@effect/platform/Command"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Arr from "effect/Array"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"

/**
 * Processes that were started together, and how to end them.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProcessGroup {
  readonly leader: CommandExecutor.Process
  /** Every process of the group has it in the list of marks in its environment. */
  readonly mark: string
  /** The numbers of the processes that ran before it. None of them is looked at until its number is free. */
  readonly others?: Set<string> | undefined
}

/**
 * The variable with the marks of a process: of the command it belongs to, after those of the commands that this one runs
 * under, with a comma between them.
 *
 * @since 0.1.0
 * @category constants
 */
export const markVariable = "EFFECT_TASK_MANAGER_SHELL"

/**
 * The environment with one more mark. A command of an agent that is itself a command of another one carries both.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withMark = (
  environment: Readonly<Record<string, string>>,
  mark: string
): Readonly<Record<string, string>> => {
  const inherited = environment[markVariable]
  return { ...environment, [markVariable]: inherited === undefined ? mark : `${inherited},${mark}` }
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

/** A row of the process table. The number of a process may be used again, with another start. */
interface Row {
  readonly id: string
  readonly parent: string
  readonly group: number
  readonly start: string
  /** A zombie has no resources and does not count. */
  readonly isAlive: boolean
}

const readStat = (id: string, stat: string): Row => {
  // the name of the program is in parentheses and may contain anything, parentheses too
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  const [state, parent = "", group] = fields
  return { id, parent, group: Number(group), start: fields[19] ?? "", isAlive: state !== "Z" && state !== "X" }
}

const hasMark = (environment: string, mark: string): boolean =>
  environment.split("\0").some((entry) =>
    entry.startsWith(`${markVariable}=`) && entry.slice(markVariable.length + 1).split(",").includes(mark)
  )

const numbersOf = (names: ReadonlyArray<string>): ReadonlyArray<string> => names.filter((name) => /^\d+$/.test(name))

const listed: Effect.Effect<ReadonlyArray<string>, never, FileSystem.FileSystem> = Effect.flatMap(
  FileSystem.FileSystem,
  (fileSystem) => Effect.orElseSucceed(Effect.map(fileSystem.readDirectory("/proc"), numbersOf), () => [])
)

/**
 * The numbers of all processes of the machine; none where there is no /proc.
 *
 * @since 0.1.0
 * @category getters
 */
export const processesNow: Effect.Effect<Set<string>, never, FileSystem.FileSystem> = Effect.map(
  listed,
  (numbers) => new Set(numbers)
)

/** Every process that was found, with its start. It stays known when its parent ends or its mark is gone. */
type Known = Map<string, string>

interface Members {
  readonly inGroup: boolean
  /** Processes of the command that have left the group. */
  readonly escaped: ReadonlyArray<string>
}

/** Adds the children of the known processes, their children, and so on. */
const addDescendants = (known: Known, rows: ReadonlyArray<Row>): void => {
  let others = rows
  while (true) {
    const [rest, found] = Arr.partition(others, ({ parent }) => known.has(parent))
    if (found.length === 0) return
    for (const { id, start } of found) known.set(id, start)
    others = rest
  }
}

/** The processes of a group that are alive, by /proc; `None` where there is no /proc. */
const members = (
  { leader, mark, others = new Set() }: ProcessGroup,
  known: Known
): Effect.Effect<Option.Option<Members>, never, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const numbers = yield* listed
    if (numbers.length === 0) return Option.none()
    const present = new Set(numbers)
    for (const other of others) if (!present.has(other)) others.delete(other)
    const ids = numbers.filter((number) => !others.has(number))
    const rows = Arr.getSomes(
      yield* Effect.forEach(ids, (id) =>
        // a process may end before it is looked at
        Effect.option(Effect.map(fileSystem.readFileString(`/proc/${id}/stat`), (stat) => readStat(id, stat))), {
        concurrency: 16
      })
    )
    const starts = new Map(rows.map(({ id, start }) => [id, start]))
    // a number that is used again is another process
    for (const [id, start] of known) if (starts.get(id) !== start) known.delete(id)
    for (const { group, id, start } of rows) if (group === leader.pid) known.set(id, start)
    yield* Effect.forEach(rows.filter(({ id }) => !known.has(id)), ({ id, start }) =>
      // those of other users cannot be read
      Effect.ignore(Effect.map(fileSystem.readFileString(`/proc/${id}/environ`), (environment) => {
        if (hasMark(environment, mark)) known.set(id, start)
      })), { concurrency: 16, discard: true })
    addDescendants(known, rows.filter(({ id }) => !known.has(id)))
    const [escaped, inGroup] = Arr.partition(
      rows.filter(({ id, isAlive }) => isAlive && known.has(id)),
      ({ group }) => group === leader.pid
    )
    return Option.some({ inGroup: inGroup.length > 0, escaped: escaped.map(({ id }) => id) })
  })

/**
 * The processes that are left. Without /proc, SIGCONT tells whether there is a process to signal; it does no harm.
 */
const left = (group: ProcessGroup, known: Known): Effect.Effect<Members, never, FileSystem.FileSystem> =>
  Effect.flatMap(
    members(group, known),
    Option.match({
      onSome: Effect.succeed,
      onNone: () =>
        Effect.map(
          Effect.if(Effect.orElseSucceed(group.leader.isRunning, () => false), {
            onTrue: () => Effect.succeed(true),
            onFalse: () => Effect.isSuccess(group.leader.kill("SIGCONT"))
          }),
          (inGroup) => ({ inGroup, escaped: [] })
        )
    })
  )

const isAnyLeft = ({ escaped, inGroup }: Members): boolean => inGroup || escaped.length > 0

type SignalName = "SIGTERM" | "SIGKILL"

// kill sends first and then waits for the leader, which is waited for elsewhere
const signalGroup = ({ leader }: ProcessGroup, name: SignalName) =>
  Effect.asVoid(Effect.fork(Effect.interruptible(Effect.ignore(leader.kill(name)))))

/** Sends a signal to the processes that are left, and does not wait for them to end. */
const signal = (group: ProcessGroup, name: SignalName, who: Members) =>
  Effect.gen(function*() {
    if (who.inGroup) yield* signalGroup(group, name)
    if (who.escaped.length > 0) {
      const kill = Command.make("/bin/sh", "-c", `kill -${name.slice(3)} ${who.escaped.join(" ")}`)
      yield* Effect.ignore(Command.exitCode(Command.stderr(kill, "pipe")))
    }
  })

/**
 * Ends what is left of a group: SIGTERM, up to `gracePeriod` for it to end, then SIGKILL until none is left. Returns when the
 * process table shows none, or when the kernel does not end them. Every look at the process table has a time limit: it may take
 * seconds on a loaded machine, and the known processes are signalled all the same.
 *
 * @since 0.1.0
 * @category destructors
 */
export const stopGroup = (
  group: ProcessGroup,
  gracePeriod: Duration.DurationInput
): Effect.Effect<void, never, ProcessServices> => {
  const known: Known = new Map()
  // what the last look has found; before the first, there may be processes in the group
  let last: Members = { inGroup: true, escaped: [] }
  const look = Effect.tap(left(group, known), (who) => Effect.sync(() => last = who))
  const untilGone = (between: (who: Members) => Effect.Effect<void, never, ProcessServices>) =>
    look.pipe(
      Effect.tap((who) => Effect.when(between(who), () => isAnyLeft(who))),
      Effect.repeat({ schedule: looks, while: isAnyLeft })
    )
  // a finalizer is uninterruptible, and a process may not end
  const within = <A>(work: Effect.Effect<A, never, ProcessServices>, period: Duration.DurationInput) =>
    Effect.timeoutOption(Effect.interruptible(work), period)
  return Effect.gen(function*() {
    // before the signal: the children of a process that has ended cannot be found by it
    yield* within(look, lookPeriod)
    if (!isAnyLeft(last)) return
    // the child that waits for the host (launcher.ts) ends by itself a moment after the leader
    if (!(yield* Effect.orElseSucceed(group.leader.isRunning, () => false))) yield* within(look, lookPeriod)
    if (!isAnyLeft(last)) return
    yield* signal(group, "SIGTERM", last)
    const gone = yield* within(untilGone(() => Effect.void), gracePeriod)
    if (Option.isSome(gone)) return
    yield* signal(group, "SIGKILL", last)
    yield* within(untilGone((who) => signal(group, "SIGKILL", who)), killPeriod)
  })
}

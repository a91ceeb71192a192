/**
 * Commands that leave no process behind. An executor of @effect/platform starts each one as the leader of a process group of
 * its own and sends SIGTERM to the group when the scope closes before the leader has ended. Closed here are the gaps: what
 * ignores SIGTERM, what outlives the leader, and (where there is /proc) what has left the group.
 *
 * @since 0.1.0
 */
import * as Command from "@effect/platform/Command"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
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
  /** Stands in the environment of every process of it, as `variable=value`. */
  readonly mark: string
}

/**
 * What is needed to look at processes and to signal them.
 *
 * @since 0.1.0
 * @category models
 */
export type ProcessServices = CommandExecutor.CommandExecutor | FileSystem.FileSystem

// how long the kernel may take to end what was killed, before it is given up: it hangs in a device
const killPeriod = "2 seconds"

const looks = Schedule.exponential("5 millis").pipe(
  Schedule.union(Schedule.spaced("50 millis"))
)

/** The state and the process group in /proc/<pid>/stat. */
const readStat = (stat: string): { readonly state: string | undefined; readonly group: number } => {
  // the name of the program is in parentheses and may contain anything, parentheses too
  const [state, , group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return { state, group: Number(group) }
}

interface Members {
  readonly inGroup: boolean
  /** Processes that carry the mark and are in no group of ours any more. */
  readonly escaped: ReadonlyArray<string>
}

/** Who lives of a group, by /proc; `None` where there is none. A zombie holds nothing and does not count. */
const members = ({ leader, mark }: ProcessGroup): Effect.Effect<Option.Option<Members>, never, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const names = yield* Effect.orElseSucceed(fileSystem.readDirectory("/proc"), () => [])
    const ids = names.filter((name) => /^\d+$/.test(name))
    if (ids.length === 0) return Option.none()
    const escaped: Array<string> = []
    let inGroup = false
    yield* Effect.forEach(ids, (id) =>
      // a process may end before it is looked at, and those of others are not ours to read
      Effect.ignore(Effect.gen(function*() {
        const { group, state } = readStat(yield* fileSystem.readFileString(`/proc/${id}/stat`))
        if (state === "Z" || state === "X") return
        if (group === leader.pid) {
          inGroup = true
          return
        }
        const environment = yield* fileSystem.readFileString(`/proc/${id}/environ`)
        if (environment.split("\0").includes(mark)) escaped.push(id)
      })), { concurrency: 16, discard: true })
    return Option.some({ inGroup, escaped })
  })

/**
 * Who is left. SIGCONT asks whether there is anybody to signal, and harms nobody: without /proc it is the only question
 * that can be asked.
 */
const left = (group: ProcessGroup): Effect.Effect<Members, never, FileSystem.FileSystem> =>
  Effect.flatMap(
    members(group),
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

/** Sends a signal to those who are left, without waiting for what comes of it. */
const signal = (group: ProcessGroup, name: "SIGTERM" | "SIGKILL", who: Members) =>
  Effect.gen(function*() {
    // kill sends first and then waits for the leader, which is waited for elsewhere
    if (who.inGroup) yield* Effect.fork(Effect.interruptible(Effect.ignore(group.leader.kill(name))))
    if (who.escaped.length > 0) {
      const kill = Command.make("/bin/sh", "-c", `kill -${name.slice(3)} ${who.escaped.join(" ")}`)
      yield* Effect.ignore(Command.exitCode(Command.stderr(kill, "pipe")))
    }
  })

/**
 * Ends what is left of a group: SIGTERM, up to `gracePeriod` for it to end, then SIGKILL, again until nobody is left. Returns
 * when the process table shows nobody, or when the kernel does not end them.
 *
 * @since 0.1.0
 * @category destructors
 */
export const stopGroup = (
  group: ProcessGroup,
  gracePeriod: Duration.DurationInput
): Effect.Effect<void, never, ProcessServices> => {
  const untilGone = (between: (who: Members) => Effect.Effect<void, never, ProcessServices>) =>
    left(group).pipe(
      Effect.tap((who) => Effect.when(between(who), () => isAnyLeft(who))),
      Effect.repeat({ schedule: looks, while: isAnyLeft })
    )
  // in a finalizer nothing can be interrupted by itself, and this waits for processes that may not want to end
  const within = <A>(work: Effect.Effect<A, never, ProcessServices>, period: Duration.DurationInput) =>
    Effect.timeoutOption(Effect.interruptible(work), period)
  return Effect.gen(function*() {
    // before the grace period begins: however long it takes to look, who is left is asked first
    const first = yield* left(group)
    if (!isAnyLeft(first)) return
    yield* signal(group, "SIGTERM", first)
    const gone = yield* within(untilGone(() => Effect.void), gracePeriod)
    if (Option.isSome(gone)) return
    yield* within(untilGone((who) => signal(group, "SIGKILL", who)), killPeriod)
  })
}

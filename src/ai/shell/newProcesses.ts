/**
 * Looks only at the processes that were started after a command, whose numbers are known without a list of all: what costs is
 * the same with ten processes on the machine or with a thousand.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { limitIn, limitOf, marksIn } from "./marks.js"
import {
  candidates,
  hasGroup,
  isAnyLeft,
  learn,
  membersOf,
  newestNumber,
  numbersOf,
  readStat,
  type Row,
  type Watched
} from "./members.js"

/**
 * Reads a file below /proc at once, without giving way to others. Gives its text, "" if there is no such file (any more), and
 * `None` if it cannot be read for another reason.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReadProc {
  (file: string): Option.Option<string>
}

/**
 * What the kernel says at once.
 *
 * @since 0.1.0
 * @category models
 */
export interface Kernel {
  readonly read: ReadProc
  /** The names in /proc; none if it cannot be listed. */
  readonly list: () => ReadonlyArray<string>
  /** Whether a process group has any process, a zombie included. */
  readonly hasProcesses: (group: number) => boolean
}

// to try one that is gone takes 3 to 10 µs; where more were given, a list of all processes costs less
const mostNumbers = 200

// others start processes too, hardly ever one in each of the moments that this takes
const mostTries = 3

const none: Option.Option<ReadonlyArray<Row>> = Option.none()

const newestIn = (read: ReadProc): Option.Option<number> => Option.map(read("loadavg"), newestNumber)

/** The processes with the numbers from `first` to `last`; `None` if one cannot be read. */
const readFrom = (read: ReadProc, first: number, last: number): Option.Option<ReadonlyArray<Row>> => {
  const rows: Array<Row> = []
  for (let id = first; id <= last; id++) {
    const stat = read(`${id}/stat`)
    if (Option.isNone(stat)) return none
    if (stat.value !== "") rows.push(readStat(id, stat.value))
  }
  return Option.some(rows)
}

/**
 * Every process that lives and has the number `first` or one that was given later; `None` where that cannot be said for certain.
 * Threads have numbers too, and are rows like others.
 *
 * It is certain when no number was given while it looked. Then whoever is alive at the end was there all the time, or was about
 * to be: a number is given a moment before the process can be seen. But then who starts it could be seen, which has a lower
 * number and is read before.
 *
 * @since 0.1.0
 * @category getters
 */
export const startedSince = (read: ReadProc, first: number): Option.Option<ReadonlyArray<Row>> => {
  for (let tries = 0; tries < mostTries; tries++) {
    const newest = newestIn(read)
    // a lower one says that the numbers began anew, or that it is not the number of a process
    if (Option.isNone(newest) || newest.value < first || newest.value >= first + mostNumbers) return none
    const rows = readFrom(read, first, newest.value)
    if (Option.isNone(rows)) return none
    const after = newestIn(read)
    if (Option.isSome(after) && after.value === newest.value) {
      return Option.some(rows.value.filter(({ isAlive }) => isAlive))
    }
  }
  return none
}

// what was started after the command by others; where there is more, the look that all commands share costs less
const mostOthers = 16

/**
 * The limit of a process by which it may be found; `undefined` if it has none, or has ended.
 *
 * @since 0.1.0
 * @category getters
 */
export const limitOfProcess = (read: ReadProc, id: number): number | undefined =>
  limitIn(Option.getOrElse(read(`${id}/limits`), () => ""))

/** The marks of a process; `None` if it has ended, or is just becoming another program. */
const marksOf = (id: number): Effect.Effect<Option.Option<ReadonlyArray<string>>, never, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) =>
    Effect.match(fileSystem.readFileString(`/proc/${id}/environ`), {
      onSuccess: (environment) => environment === "" ? Option.none() : Option.some(marksIn(environment)),
      // that of another user has no mark that anybody could find
      onFailure: (error) =>
        error._tag === "SystemError" && error.reason === "PermissionDenied" ? Option.some([]) : Option.none()
    }))

/** The processes that may be of a command; `None` where one is, or where that cannot be said for certain. */
const newcomers = (
  { isLong, known, leader }: Watched,
  { hasProcesses, read }: Kernel
): Option.Option<ReadonlyArray<Row>> =>
  // what is known stays known though its mark is gone; and after a long command the numbers may have gone round
  isLong || known.size > 0 || hasProcesses(leader) ? none : startedSince(read, leader)

/**
 * Whether it is certain at once that no process of a command is alive, because none was started after it that has a group.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isNobodyNew = (command: Watched, kernel: Kernel): boolean =>
  Option.exists(newcomers(command, kernel), (rows) => !rows.some(hasGroup))

/**
 * Whether it is certain that no process of a command is alive. Otherwise one is, or may be: who it is, and which rows are threads of
 * others, is found by a look at all processes.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isNobodyLeft = (
  watched: Watched,
  kernel: Kernel
): Effect.Effect<boolean, never, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const { isLong, leader, mark } = watched
    const started = newcomers(watched, kernel)
    if (Option.isNone(started) || started.value.length > mostOthers) return false
    const rows = started.value
    const marks = new Map<number, ReadonlyArray<string>>()
    const command = { isLong, leader, mark, known: new Map<number, string>() }
    for (const row of rows.filter(hasGroup)) {
      if (limitOfProcess(kernel.read, row.id) === limitOf(mark)) return false
      const found = yield* marksOf(row.id)
      if (Option.isNone(found)) return false
      marks.set(row.id, found.value)
    }
    learn(command, rows, marks)
    return !isAnyLeft(membersOf(command, rows, true))
  })

// what starts another one and ends is met in the first round or in the next one
const mostRounds = 8

/**
 * Gives the processes of a command away that have its limit, the newest first, each at the moment when it is found, and looks again
 * while it finds more. It does not give way to others in between: one that starts another one and ends every few milliseconds would
 * be gone each time that somebody has waited for its file.
 *
 * @since 0.1.0
 * @category combinators
 */
export const findAtOnce = <R>(
  command: Watched,
  { list, read }: Kernel,
  onFound: (id: number) => Effect.Effect<void, never, R>
): Effect.Effect<void, never, R> =>
  Effect.gen(function*() {
    const limit = limitOf(command.mark)
    const found = new Set<number>()
    for (let round = 0; round < mostRounds; round++) {
      const before = found.size
      const newest = Option.getOrElse(newestIn(read), () => 0)
      for (const id of [...candidates(numbersOf(list()), [command], newest)].sort((one, other) => other - one)) {
        if (found.has(id) || limitOfProcess(read, id) !== limit) continue
        found.add(id)
        yield* onFound(id)
      }
      if (found.size === before && Option.contains(newestIn(read), newest)) return
    }
  })

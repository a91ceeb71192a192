/**
 * Looks at the processes of the machine, by /proc, for all commands of a shell at once.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { marksIn } from "./marks.js"

/**
 * A row of the process table. The number of a process may be used again, with another start.
 *
 * @since 0.1.0
 * @category models
 */
export interface Row {
  readonly id: number
  readonly parent: number
  readonly group: number
  readonly session: number
  readonly start: string
  /** A zombie has no resources and does not count. */
  readonly isAlive: boolean
}

/**
 * What belongs to a command, and what is known of it. It leads a group and a session, both with its own number.
 *
 * @since 0.1.0
 * @category models
 */
export interface Watched {
  readonly leader: number
  /** Its processes have it in their environment, unless they cleared it. */
  readonly mark: string
  /** Whether it ran for so long that the numbers of processes may have gone round. */
  readonly isLong: boolean
  /** Every process that was found, with its start. It stays known when its parent ends or its mark is gone. */
  readonly known: Map<number, string>
}

/**
 * Which processes of a command are alive.
 *
 * @since 0.1.0
 * @category models
 */
export interface Members {
  readonly inGroup: boolean
  /** Those that have left the group. */
  readonly escaped: ReadonlyArray<number>
  /** Whether nothing ended while it was looked at: what ends may have started another one that was not seen. */
  readonly isSure: boolean
}

/**
 * A row, from the text of `/proc/<id>/stat`.
 *
 * @since 0.1.0
 * @category parsers
 */
export const readStat = (id: number, stat: string): Row => {
  // the name of the program is in parentheses and may contain anything, parentheses too
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  const [state, parent, group, session] = fields
  return {
    id,
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    start: fields[19] ?? "",
    isAlive: state !== "Z" && state !== "X"
  }
}

/**
 * Adds to what is known of a command: what is in its group or its session, what has its mark, their children, and so on.
 *
 * @since 0.1.0
 * @category combinators
 */
const learn = (
  { known, leader, mark }: Watched,
  rows: ReadonlyArray<Row>,
  marks: ReadonlyMap<number, ReadonlyArray<string>>
): void => {
  const starts = new Map(rows.map(({ id, start }) => [id, start]))
  // a number that is used again is another process
  for (const [id, start] of known) if (starts.get(id) !== start) known.delete(id)
  const isMember = ({ group, id, session }: Row) =>
    group === leader || session === leader || (marks.get(id)?.includes(mark) ?? false)
  for (const row of rows) if (isMember(row)) known.set(row.id, row.start)
  let before: number
  do {
    before = known.size
    for (const { id, parent, start } of rows) if (known.has(parent)) known.set(id, start)
  } while (known.size > before)
}

/**
 * The processes of a command that are alive.
 *
 * @since 0.1.0
 * @category getters
 */
const membersOf = ({ known, leader }: Watched, rows: ReadonlyArray<Row>, isSure: boolean): Members => {
  const alive = rows.filter(({ id, isAlive }) => isAlive && known.has(id))
  return {
    inGroup: alive.some(({ group }) => group === leader),
    escaped: alive.filter(({ group }) => group !== leader).map(({ id }) => id).sort((one, other) => one - other),
    isSure
  }
}

/**
 * The numbers of the processes that may belong to commands, out of all. Numbers are given in ascending order and begin anew at the
 * end, so it is those after the command, unless `newest`, the number that was given last, shows that they began anew.
 *
 * @since 0.1.0
 * @category getters
 */
export const candidates = (
  all: ReadonlyArray<number>,
  commands: ReadonlyArray<Watched>,
  newest: number
): ReadonlyArray<number> => {
  const first = Math.min(...commands.map(({ leader }) => leader))
  const isOrdered = newest >= first && commands.every(({ isLong }) => !isLong)
  return isOrdered ? all.filter((id) => id >= first || commands.some(({ known }) => known.has(id))) : all
}

const numbersOf = (names: ReadonlyArray<string>): ReadonlyArray<number> =>
  names.filter((name) => /^\d+$/.test(name)).map(Number)

const filesAtOnce = 16

/**
 * What is done with a process at the moment when its mark is found, before the look is over: by then it may have started another
 * one and ended.
 *
 * @since 0.1.0
 * @category models
 */
export interface OnFound<R> {
  (process: number): Effect.Effect<void, never, R>
}

interface Request {
  readonly command: Watched
  readonly onFound: OnFound<never>
  answer: Option.Option<Option.Option<Members>>
}

/**
 * The process table of the machine, as the commands of one shell see it.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProcessTable {
  /** The processes of a command that are alive; `None` where there is no /proc. */
  readonly look: <R = never>(
    command: Watched,
    onFound?: OnFound<R>
  ) => Effect.Effect<Option.Option<Members>, never, FileSystem.FileSystem | R>
}

// a thread of the kernel has no group, and neither has what came from outside of the container
const hasGroup = ({ group }: Row): boolean => group !== 0

const zombieKey = ({ id, start }: Row): string => `${id} ${start}`

/** One look for several commands. `zombies` are those that the last look has found, and what it could not read. */
const scan = (
  requests: ReadonlyArray<Request>,
  zombies: Set<string>
): Effect.Effect<ReadonlyArray<Option.Option<Members>>, never, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const commands = requests.map(({ command }) => command)
    const [all, load] = yield* Effect.all([
      Effect.orElseSucceed(Effect.map(fileSystem.readDirectory("/proc"), numbersOf), () => []),
      Effect.orElseSucceed(fileSystem.readFileString("/proc/loadavg"), () => "")
    ], { concurrency: 2 })
    if (all.length === 0) return commands.map(() => Option.none())
    // the last word
    const newest = Number(/(\d+)\s*$/.exec(load)?.[1] ?? 0)
    const rows: Array<Row> = []
    const marks = new Map<number, ReadonlyArray<string>>()
    const dead = new Set<string>()
    let ended = 0

    const readMarks = (row: Row) => {
      const { id } = row
      return Effect.matchEffect(fileSystem.readFileString(`/proc/${id}/environ`), {
        onSuccess: (environment) => {
          const found = marksIn(environment)
          marks.set(id, found)
          // that of a process which has ended since its state was read is empty
          if (environment === "") dead.add(zombieKey(row))
          const finders = requests.filter(({ command }) => found.includes(command.mark))
          return Effect.forEach(finders, ({ onFound }) => onFound(id), { discard: true })
        },
        onFailure: (error) => {
          // those of other users cannot be read
          if (error._tag !== "SystemError" || error.reason !== "PermissionDenied") dead.add(zombieKey(row))
          return Effect.void
        }
      })
    }
    const readRow = (id: number) =>
      Effect.matchEffect(fileSystem.readFileString(`/proc/${id}/stat`), {
        onSuccess: (stat) => {
          const row = readStat(id, stat)
          rows.push(row)
          if (!row.isAlive) dead.add(zombieKey(row))
          const isKnown = commands.some(({ known }) => known.get(id) === row.start)
          return row.isAlive && hasGroup(row) && !isKnown ? readMarks(row) : Effect.void
        },
        onFailure: () => {
          ended++
          return Effect.void
        }
      })
    // the newest first: they are those that may soon be gone
    const ids = [...candidates(all, commands, newest)].sort((one, other) => other - one)
    yield* Effect.forEach(ids, readRow, { concurrency: filesAtOnce, discard: true })
    for (const key of dead) if (!zombies.has(key)) ended++
    zombies.clear()
    for (const key of dead) zombies.add(key)
    return commands.map((command) => {
      learn(command, rows, marks)
      return Option.some(membersOf(command, rows, ended === 0))
    })
  })

// between two looks for the same commands, times the last look took, and at most
const pauseAfterScan = 3
const longestPause = 50

/**
 * Makes a process table. Who wants to look while somebody looks shares the next look with all others who wait for it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeProcessTable: Effect.Effect<ProcessTable> = Effect.gen(function*() {
  const one = yield* Effect.makeSemaphore(1)
  const waiting = new Set<Request>()
  const seen = new WeakSet<Watched>()
  const zombies = new Set<string>()
  let last = { began: 0, ended: 0 }

  const answerAll = Effect.gen(function*() {
    const requests = [...waiting]
    const began = yield* Clock.currentTimeMillis
    const found = yield* scan(requests, zombies)
    last = { began, ended: yield* Clock.currentTimeMillis }
    requests.forEach((request, at) => {
      request.answer = Option.fromNullable(found[at])
    })
  })

  const look: ProcessTable["look"] = <R>(command: Watched, onFound?: OnFound<R>) =>
    Effect.contextWithEffect((context: Context.Context<R>) => {
      const request: Request = {
        command,
        onFound: onFound === undefined ? () => Effect.void : (id) => Effect.provide(onFound(id), context),
        answer: Option.none()
      }
      waiting.add(request)
      const turn = Effect.gen(function*() {
        if (Option.isSome(request.answer)) return
        const pause = Math.min(pauseAfterScan * (last.ended - last.began), longestPause)
        const rest = last.ended + pause - (yield* Clock.currentTimeMillis)
        // a command that has just ended does not wait
        if (seen.has(command) && rest > 0) yield* Effect.sleep(rest)
        seen.add(command)
        yield* answerAll
      })
      return one.withPermits(1)(turn).pipe(
        Effect.map(() => Option.flatten(request.answer)),
        Effect.ensuring(Effect.sync(() => waiting.delete(request)))
      )
    })

  return { look }
})

/**
 * Looks at the processes of the machine, by /proc, for all commands of a shell at once, where newProcesses.ts cannot say that
 * nothing is left.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { monotonicNow } from "../../shared/monotonic.js"
import { limitOf, marksIn } from "./marks.js"
import {
  candidates,
  hasGroup,
  learn,
  type Members,
  membersOf,
  newestNumber,
  nobody,
  numbersOf,
  readStat,
  type Row,
  type Watched
} from "./members.js"
import { findAtOnce, isNobodyLeft, isNobodyNew, type Kernel, limitOfProcess } from "./newProcesses.js"

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
  /** Whether it is certain without a look that no process of a command is alive. */
  readonly isEmpty: (command: Watched) => boolean
  /** Gives away what can be found without a look, each process at the moment when it is found. */
  readonly findAtOnce: <R>(command: Watched, onFound: OnFound<R>) => Effect.Effect<void, never, R>
  /** The processes of a command that are alive; `None` where there is no /proc. */
  readonly look: <R = never>(
    command: Watched,
    onFound?: OnFound<R>
  ) => Effect.Effect<Option.Option<Members>, never, FileSystem.FileSystem | R>
}

const zombieKey = ({ id, start }: Row): string => `${id} ${start}`

/** One look for several commands. `zombies` are those that the last look has found, and what it could not read. */
const scan = (
  requests: ReadonlyArray<Request>,
  zombies: Set<string>,
  kernel: Option.Option<Kernel>
): Effect.Effect<ReadonlyArray<Option.Option<Members>>, never, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const commands = requests.map(({ command }) => command)
    const [all, load] = yield* Effect.all([
      Effect.orElseSucceed(Effect.map(fileSystem.readDirectory("/proc"), numbersOf), () => []),
      Effect.orElseSucceed(fileSystem.readFileString("/proc/loadavg"), () => "")
    ], { concurrency: 2 })
    if (all.length === 0) return commands.map(() => Option.none())
    const newest = newestNumber(load)
    const rows: Array<Row> = []
    const marks = new Map<number, ReadonlyArray<string>>()
    const dead = new Set<string>()
    let ended = 0

    const readMarks = (row: Row) => {
      const { id } = row
      const limit = Option.isSome(kernel) ? limitOfProcess(kernel.value.read, id) : undefined
      const limited = requests.filter(({ command }) => limitOf(command.mark) === limit)
      if (limited.length > 0) {
        marks.set(id, limited.map(({ command }) => command.mark))
        return Effect.forEach(limited, ({ onFound }) => onFound(id), { discard: true })
      }
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
 * Makes a process table. Who wants to look while somebody looks shares the next look with all others who wait for it. With
 * `kernel` nobody looks at all processes who can see without it that nothing is left.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeProcessTable = (kernel: Option.Option<Kernel>): Effect.Effect<ProcessTable> =>
  Effect.gen(function*() {
    const one = yield* Effect.makeSemaphore(1)
    const waiting = new Set<Request>()
    const seen = new WeakSet<Watched>()
    const zombies = new Set<string>()
    let last = { began: 0, ended: 0 }
    // nothing is asked before the service for files has found a /proc, so that both are of one machine
    let asked = Option.none<Kernel>()

    const answerAll = Effect.gen(function*() {
      const requests = [...waiting]
      const began = yield* monotonicNow
      const found = yield* scan(requests, zombies, kernel)
      last = { began, ended: yield* monotonicNow }
      if (found.some(Option.isSome)) asked = kernel
      requests.forEach((request, at) => {
        request.answer = Option.fromNullable(found[at])
      })
    })

    const lookAtAll: ProcessTable["look"] = <R>(command: Watched, onFound?: OnFound<R>) =>
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
          const rest = last.ended + pause - (yield* monotonicNow)
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

    return {
      findAtOnce: (command, onFound) =>
        Effect.suspend(() => Option.isSome(asked) ? findAtOnce(command, asked.value, onFound) : Effect.void),
      isEmpty: (command) => Option.exists(asked, (known) => isNobodyNew(command, known)),
      look: (command, onFound) =>
        Effect.suspend(() => Option.isSome(asked) ? isNobodyLeft(command, asked.value) : Effect.succeed(false))
          .pipe(
            Effect.flatMap((isCertain) => isCertain ? Effect.succeedSome(nobody) : lookAtAll(command, onFound))
          )
    }
  })

/**
 * A process that ends the commands of a shell if the host ends first, however it does: `process.exit`, an exception that nobody
 * catches, a signal, SIGKILL too. One for all commands of a shell: one for each would cost as much as the command.
 *
 * @since 0.1.0
 */
import * as Command from "@effect/platform/Command"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type LineFile, makeLineFile } from "./host.js"

// Its input is a pipe from the host, which ends when the host does. A line of it has the groups that run, and replaces the line
// before; without any they are in a file, which costs less to write and wakes nobody. It then kills them and, where there is /proc,
// every process that has the mark, until there is none.
const watch = `
cd /
exec >/dev/null 2>&1
mark=$0 directory=$1 groups= told=
[ -z "$2" ] || exec 3<"$2"
while read -r line; do groups=$line told=yes; done
[ -n "$told" ] || [ -z "$2" ] || read -r groups <&3
for group in $groups; do kill -s KILL -- "-$group"; done
rounds=0
while [ $rounds -lt 100 ]; do
  rounds=$((rounds + 1))
  found=$(grep -la -e "$mark" /proc/[0-9]*/environ)
  [ -n "$found" ] || break
  for file in $found; do
    process=\${file#/proc/}
    kill -s KILL "\${process%/environ}"
  done
done
[ -z "$directory" ] || rm -rf "$directory"
`

/**
 * Ends commands that outlive the host.
 *
 * @since 0.1.0
 * @category models
 */
export interface Guard {
  /** Starts the process, if it does not run. */
  readonly ready: Effect.Effect<void, never, CommandExecutor.CommandExecutor>
  /** From now on the group is ended with the host. */
  readonly add: (group: number) => void
  /** The group has ended. */
  readonly remove: (group: number) => void
}

interface Running {
  readonly leader: CommandExecutor.Process
  readonly lines: Queue.Queue<string>
}

/**
 * Makes the guard of a shell. Its process starts with the first command and ends when the scope closes. `directory` is removed
 * when the host has ended.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeGuard = (options: {
  /** What the marks of all commands begin with. */
  readonly mark: string
  readonly directory: () => string | undefined
  readonly environment: Readonly<Record<string, string>>
}): Effect.Effect<Guard, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const groups = new Set<number>()
    const one = yield* Effect.makeSemaphore(1)
    let running: Running | undefined
    let files = 0
    // until it could not be written
    let file: LineFile | undefined
    // it must not find itself by the mark, and it needs no more than programs
    const { PATH = "/usr/bin:/bin" } = options.environment

    const closeFile = (): void => {
      file?.close()
      file = undefined
    }
    yield* Effect.addFinalizer(() => Effect.sync(closeFile))

    const tell = (): void => {
      if (running === undefined) return
      const line = [...groups].join(" ")
      if (file?.write(line) === true) return
      // from now on it reads them here
      closeFile()
      Queue.unsafeOffer(running.lines, `${line}\n`)
    }

    const start = Effect.gen(function*() {
      // the executor writes them, and stops when the queue is shut down
      const lines = yield* Effect.acquireRelease(Queue.unbounded<string>(), Queue.shutdown)
      const directory = options.directory()
      const path = directory === undefined ? "" : `${directory}/groups-${files++}`
      closeFile()
      if (path !== "") file = Option.getOrUndefined(Option.flatMap(makeLineFile, (make) => make(path)))
      const command = Command.make(
        "/bin/sh",
        "-c",
        watch,
        options.mark,
        directory ?? "",
        file === undefined ? "" : path
      ).pipe(
        Command.env({ PATH }, { extendEnv: false }),
        Command.stdin(Stream.encodeText(Stream.fromQueue(lines)))
      )
      const leader = yield* Command.start(command)
      running = { leader, lines }
      tell()
    }).pipe(Scope.extend(scope), Effect.ignore)

    const isRunning = Effect.suspend(() =>
      running === undefined ? Effect.succeed(false) : Effect.orElseSucceed(running.leader.isRunning, () => false)
    )

    return {
      ready: Effect.unlessEffect(
        one.withPermits(1)(Effect.unlessEffect(start, isRunning)).pipe(Effect.uninterruptible),
        isRunning
      ).pipe(Effect.asVoid),
      add: (group) => {
        groups.add(group)
        tell()
      },
      remove: (group) => {
        groups.delete(group)
        tell()
      }
    }
  })

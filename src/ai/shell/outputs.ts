/**
 * Where commands write their output. A program can open `/dev/stdout` and `/dev/stderr` only if they are pipes, and what an executor
 * gives a command on Node are sockets. So a command writes to a named pipe, which no other one has at the time.
 *
 * @since 0.1.0
 */
import * as Command from "@effect/platform/Command"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { openPipe, type PipeReader } from "./host.js"

/**
 * Reads until no process has the output open any more, and gives each piece away. What breaks has ended.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReadOutput {
  (onBytes: (bytes: Uint8Array) => Effect.Effect<void>): Effect.Effect<void>
}

/**
 * Where one command writes.
 *
 * @since 0.1.0
 * @category models
 */
interface Output {
  /** The named pipe for both of its streams; without one it writes to what the executor gives it. */
  readonly path: string | undefined
  /** One for each stream, which give everything that is written in its order. */
  readonly reads: (leader: CommandExecutor.Process) => ReadonlyArray<ReadOutput>
  /** The command has ended, or has not begun: what is open still is not open for it. */
  readonly letEnd: Effect.Effect<void>
}

const ofExecutor: Output = {
  path: undefined,
  reads: ({ stderr, stdout }) =>
    [stdout, stderr].map((stream) => (onBytes) => Effect.ignore(Stream.runForEach(stream, onBytes))),
  letEnd: Effect.void
}

// without a Stream, whose end alone takes a tenth of what a short command takes
const untilEnd = (
  read: PipeReader["read"],
  onBytes: (bytes: Uint8Array) => Effect.Effect<void>
): Effect.Effect<void> =>
  Effect.flatMap(
    read,
    Option.match({
      onNone: () => Effect.void,
      onSome: (bytes) => Effect.zipRight(onBytes(bytes), untilEnd(read, onBytes))
    })
  )

const ofPipe = (path: string, { letEnd, read }: PipeReader): Output => ({
  path,
  reads: () => [(onBytes) => untilEnd(read, onBytes)],
  letEnd
})

// making one takes as long as a short command
const pipesAtOnce = 8

/**
 * The outputs of the commands of one shell.
 *
 * @since 0.1.0
 * @category models
 */
export interface Outputs {
  /** An output for one command, which gives it back when the scope closes. */
  readonly take: Effect.Effect<Output, never, CommandExecutor.CommandExecutor | FileSystem.FileSystem | Scope.Scope>
  /** The directory with the pipes, once there is one; it goes with the scope of the shell. */
  readonly directory: () => string | undefined
}

/**
 * Makes the outputs of a shell. Pipes are made when there is none that is free, and used again once nobody has them open.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeOutputs: Effect.Effect<Outputs, never, Scope.Scope> = Effect.gen(function*() {
  const scope = yield* Effect.scope
  let free: Array<string> = []
  let made = 0
  let directory: string | undefined
  let isPossible = Option.isSome(openPipe)
  const one = yield* Effect.makeSemaphore(1)

  /** A path that cannot be used any more: somebody may have it open, or have removed it. */
  const forget = (path: string) =>
    Effect.flatMap(FileSystem.FileSystem, (fileSystem) => Effect.ignore(fileSystem.remove(path)))

  const makeMore = one.withPermits(1)(Effect.gen(function*() {
    if (free.length > 0 || !isPossible) return
    const fileSystem = yield* FileSystem.FileSystem
    if (directory === undefined || !(yield* fileSystem.exists(directory))) {
      // nobody else may enter it
      directory = yield* Scope.extend(
        fileSystem.makeTempDirectoryScoped({ prefix: "effect-task-manager-shell-" }),
        scope
      )
    }
    const inside = directory
    const paths = Array.from({ length: pipesAtOnce }, () => `${inside}/${made++}`)
    const code = yield* Command.exitCode(Command.stderr(Command.make("mkfifo", "-m", "600", ...paths), "pipe"))
    if (code === 0) free = paths
    else isPossible = false
  })).pipe(
    // no mkfifo, no directory for temporary files: then not every device can be opened, and everything else works
    Effect.catchAll(() => Effect.sync(() => isPossible = false)),
    Effect.uninterruptible
  )

  /** An open pipe that nobody else has; `None` where there can be none. */
  const openFree: Effect.Effect<
    Option.Option<readonly [path: string, reader: PipeReader]>,
    never,
    CommandExecutor.CommandExecutor | FileSystem.FileSystem
  > = Effect.suspend(() => {
    if (!isPossible || Option.isNone(openPipe)) return Effect.succeedNone
    const path = free.pop()
    if (path === undefined) return Effect.zipRight(makeMore, openFree)
    // somebody may have removed the files for temporary files
    return Option.match(openPipe.value(path), {
      onNone: () => openFree,
      onSome: (reader) => Effect.succeedSome([path, reader] as const)
    })
  })

  const take: Outputs["take"] = Effect.gen(function*() {
    const opened = yield* openFree
    if (Option.isNone(opened)) return ofExecutor
    const [path, reader] = opened.value
    yield* Effect.addFinalizer(() =>
      Effect.zipRight(reader.close, reader.isEnded() ? Effect.sync(() => free.push(path)) : forget(path))
    )
    return ofPipe(path, reader)
  }).pipe(Effect.uninterruptible)

  return { take, directory: () => directory }
})

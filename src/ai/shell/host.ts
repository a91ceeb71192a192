/**
 * What a shell takes from the JavaScript runtime and not from @effect/platform: signals to single processes, turns of the event
 * loop, pipes, and what the kernel says at once. What a runtime does not have is done in another way.
 *
 * @since 0.1.0
 */
import * as Command from "@effect/platform/Command"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Kernel } from "./newProcesses.js"

/**
 * The signals with which processes are ended.
 *
 * @since 0.1.0
 * @category models
 */
export type SignalName = "SIGTERM" | "SIGKILL"

/**
 * Sends a signal to processes, whose ids are given. One that is gone or belongs to another user is passed over.
 *
 * @since 0.1.0
 * @category models
 */
export interface SendSignal {
  (name: SignalName, processes: ReadonlyArray<number>): Effect.Effect<void, never, CommandExecutor.CommandExecutor>
}

/** The reading end of a pipe, as a socket of Node. */
interface Socket {
  readonly readableEnded: boolean
  readonly destroyed: boolean
  read(): Uint8Array | null
  destroy(): void
  on(event: string, listener: () => void): void
  off(event: string, listener: () => void): void
}

interface Modules {
  readonly "node:fs": {
    readonly constants: { readonly O_RDONLY: number; readonly O_WRONLY: number; readonly O_NONBLOCK: number }
    openSync(path: string, flags: number | "wx", mode?: number): number
    writeSync(descriptor: number, text: string, position: number): number
    closeSync(descriptor: number): void
    readFileSync(path: string, encoding: "utf8"): string
    readdirSync(path: string): ReadonlyArray<string>
    statSync(path: string, options?: { readonly throwIfNoEntry: false }): { readonly dev: number } | undefined
  }
  readonly "node:net": {
    readonly Socket: new(options: { readonly fd: number; readonly readable: true; readonly writable: false }) => Socket
  }
}

// not among the types that src is built with, which are those of every JavaScript and not those of Node
declare const setImmediate: (run: () => void) => unknown
declare const process: {
  readonly platform?: string
  readonly versions?: Readonly<Record<string, string>>
  readonly kill?: (process: number, name: SignalName | 0) => unknown
  readonly getBuiltinModule?: <Name extends keyof Modules>(name: Name) => Modules[Name]
} | undefined

const runtime = typeof process === "undefined" ? undefined : process

/**
 * Lets one pass in a turn of the event loop, in the order in which they come.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeTurns = (): Effect.Effect<void> => {
  let isFree = true
  const waiting = new Set<() => void>()
  const next = () => {
    isFree = false
    setImmediate(() => {
      const [first] = waiting
      if (first === undefined) {
        isFree = true
        return
      }
      waiting.delete(first)
      next()
      first()
    })
  }
  return Effect.suspend(() => {
    if (isFree) return Effect.sync(next)
    return Effect.async<void>((resume) => {
      const pass = () => resume(Effect.void)
      waiting.add(pass)
      return Effect.sync(() => waiting.delete(pass))
    })
  })
}

/**
 * Sends a signal at once where the runtime can, because a process that starts another one and ends would be gone by the time
 * that a program for it has started.
 *
 * @since 0.1.0
 * @category combinators
 */
export const sendSignal: SendSignal = (name, processes) => {
  const kill = runtime?.kill
  if (kill === undefined) {
    const command = Command.make("/bin/sh", "-c", `kill -${name.slice(3)} ${processes.join(" ")}`)
    return Effect.ignore(Command.exitCode(Command.stderr(command, "pipe")))
  }
  return Effect.forEach(processes, (one) => Effect.ignore(Effect.try(() => kill.call(runtime, one, name))), {
    discard: true
  })
}

/**
 * The reading end of a named pipe.
 *
 * @since 0.1.0
 * @category models
 */
export interface PipeReader {
  /** The next bytes; `None` once every writer has closed the pipe and everything is read. */
  readonly read: Effect.Effect<Option.Option<Uint8Array>>
  /** Until it is called the pipe does not end, also when nobody has opened it yet. */
  readonly letEnd: Effect.Effect<void>
  /** Whether the pipe has ended: nobody can write to it. */
  readonly isEnded: () => boolean
  readonly close: Effect.Effect<void>
}

const readerOf = (socket: Socket, letEnd: () => void): PipeReader => {
  const events = ["readable", "end", "close", "error"]
  return {
    read: Effect.async((resume) => {
      const look = () => {
        const bytes = socket.read()
        if (bytes !== null) done(Option.some(bytes))
        else if (socket.readableEnded || socket.destroyed) done(Option.none())
      }
      const stop = () => {
        for (const event of events) socket.off(event, look)
      }
      const done = (result: Option.Option<Uint8Array>) => {
        stop()
        resume(Effect.succeed(result))
      }
      for (const event of events) socket.on(event, look)
      look()
      return Effect.sync(stop)
    }),
    letEnd: Effect.sync(letEnd),
    isEnded: () => socket.readableEnded,
    close: Effect.sync(() => {
      letEnd()
      socket.destroy()
    })
  }
}

const nodeModules = (): Modules | undefined => {
  // others say that they are Node too, and do not read pipes like this
  if (runtime?.versions?.["bun"] !== undefined || runtime?.versions?.["deno"] !== undefined) return undefined
  const fs = runtime?.getBuiltinModule?.("node:fs")
  const net = runtime?.getBuiltinModule?.("node:net")
  return fs === undefined || net === undefined ? undefined : { "node:fs": fs, "node:net": net }
}

/**
 * How to open a named pipe for reading without waiting for who writes; `None` where the runtime cannot, which needs Node 20.16.
 * Opening fails if there is no such pipe.
 *
 * @since 0.1.0
 * @category getters
 */
export const openPipe: Option.Option<(path: string) => Option.Option<PipeReader>> = Option.map(
  Option.fromNullable(nodeModules()),
  ({ "node:fs": fs, "node:net": { Socket } }) => {
    const { O_NONBLOCK, O_RDONLY, O_WRONLY } = fs.constants
    const open = (path: string): PipeReader => {
      const reading = fs.openSync(path, O_RDONLY | O_NONBLOCK)
      let writing: number | undefined
      const letEnd = () => {
        if (writing !== undefined) fs.closeSync(writing)
        writing = undefined
      }
      try {
        writing = fs.openSync(path, O_WRONLY | O_NONBLOCK)
        return readerOf(new Socket({ fd: reading, readable: true, writable: false }), letEnd)
      } catch (cause) {
        fs.closeSync(reading)
        letEnd()
        throw cause
      }
    }
    return Option.liftThrowable(open)
  }
)

/**
 * A file that has one line, which is written anew at once and without waiting, so that it is there whatever happens next.
 *
 * @since 0.1.0
 * @category models
 */
export interface LineFile {
  /** Whether it could be written. */
  readonly write: (line: string) => boolean
  readonly close: () => void
}

/**
 * How to make a file of one line, which nobody else can read; `None` where the runtime cannot. It fails where it cannot be made.
 *
 * @since 0.1.0
 * @category getters
 */
export const makeLineFile: Option.Option<(path: string) => Option.Option<LineFile>> = Option.map(
  Option.fromNullable(nodeModules()),
  ({ "node:fs": fs }) =>
    Option.liftThrowable((path: string): LineFile => {
      const descriptor = fs.openSync(path, "wx", 0o600)
      let length = 0
      return {
        write: (line) => {
          // over all of the line before, in one write: it is never half of either, also if the host ends now
          const text = `${line.padEnd(length)}\n`
          length = text.length - 1
          return Option.exists(Option.liftThrowable(fs.writeSync)(descriptor, text, 0), (size) => size === text.length)
        },
        close: () => fs.closeSync(descriptor)
      }
    })
)

const codeOf = (cause: unknown): unknown =>
  typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined

/**
 * What the kernel says at once: of /proc only files that never make the reader wait, such as `loadavg`, `<id>/stat` and `<id>/limits` (not
 * `environ`, which waits for the memory of the process). `None` where the runtime cannot, and where `loadavg` is not the kernel's:
 * what lxcfs puts there may be old.
 *
 * @since 0.1.0
 * @category getters
 */
export const kernel = (): Option.Option<Kernel> => {
  const fs = runtime?.platform === "linux" ? nodeModules()?.["node:fs"] : undefined
  const kill = runtime?.kill
  if (fs === undefined || kill === undefined) return Option.none()
  const isKernels = Option.liftThrowable(() => fs.statSync("/proc/loadavg")?.dev === fs.statSync("/proc")?.dev)
  if (!Option.getOrElse(isKernels(), () => false)) return Option.none()
  return Option.some({
    list: () => Option.getOrElse(Option.liftThrowable(fs.readdirSync)("/proc"), () => []),
    read: (file) => {
      const path = `/proc/${file}`
      try {
        // most are gone, and an exception costs more than the file
        const isThere = fs.statSync(path, { throwIfNoEntry: false }) !== undefined
        return Option.some(isThere ? fs.readFileSync(path, "utf8") : "")
      } catch (cause) {
        const code = codeOf(cause)
        return code === "ENOENT" || code === "ESRCH" ? Option.some("") : Option.none()
      }
    },
    hasProcesses: (group) => {
      try {
        // no signal is sent
        kill.call(runtime, -group, 0)
        return true
      } catch (cause) {
        return codeOf(cause) !== "ESRCH"
      }
    }
  })
}

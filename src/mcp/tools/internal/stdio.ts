/** A server that is a program, as a transport: its process, in a group of its own, and what it writes, line by line. */
import * as Command from "@effect/platform/Command"
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import type { PlatformError } from "@effect/platform/Error"
import { deserializeMessage, type JSONRPCMessage, serializeMessage, type Transport } from "@modelcontextprotocol/client"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { withCause } from "../../../shared/logging.js"
import type { McpStdioServer } from "../McpToolsOptions.js"
import { NotSent } from "./Wire.js"

const newline = 10

/** Lines of at most `most` bytes. */
class Lines {
  private readonly decoder = new TextDecoder()
  private readonly most: number
  private pieces: Array<Uint8Array> = []
  private size = 0

  constructor(most: number) {
    this.most = most
  }

  /** The lines that end in the chunk; undefined once one is too long. */
  read(chunk: Uint8Array): ReadonlyArray<string> | undefined {
    const lines: Array<string> = []
    let from = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, from)) {
      if (!this.add(chunk.subarray(from, end))) return undefined
      lines.push(this.take())
      from = end + 1
    }
    return this.add(chunk.subarray(from)) ? lines : undefined
  }

  private add(piece: Uint8Array): boolean {
    this.size += piece.length
    if (this.size > this.most) return false
    if (piece.length > 0) this.pieces.push(piece)
    return true
  }

  private take(): string {
    const whole = new Uint8Array(this.size)
    let at = 0
    for (const piece of this.pieces) {
      whole.set(piece, at)
      at += piece.length
    }
    this.pieces = []
    this.size = 0
    return this.decoder.decode(whole)
  }
}

class StdioTransport implements Transport {
  onclose?: (() => void) | undefined
  onerror?: ((error: Error) => void) | undefined
  onmessage?: Transport["onmessage"]
  readonly closing: Deferred.Deferred<void>
  private readonly input: Mailbox.Mailbox<Uint8Array>
  private readonly lines: Lines
  private readonly encoder = new TextEncoder()
  private readonly most: number
  private isOver = false
  private isStarted = false
  /** How many bytes wait to be read by the server. */
  private waiting = 0

  constructor(input: Mailbox.Mailbox<Uint8Array>, maxMessageBytes: number, closing: Deferred.Deferred<void>) {
    this.closing = closing
    this.most = maxMessageBytes
    this.input = input
    this.lines = new Lines(maxMessageBytes)
  }

  start(): Promise<void> {
    this.isStarted = true
    return Promise.resolve()
  }

  send(message: JSONRPCMessage): Promise<void> {
    const bytes = this.encoder.encode(serializeMessage(message))
    // a server that asks without an end, and reads nothing, has its questions answered no more
    if (this.waiting > 0 && this.waiting + bytes.length > this.most) {
      return Promise.reject(new NotSent("The server does not read"))
    }
    if (this.isOver || !this.input.unsafeOffer(bytes)) return Promise.reject(new NotSent("The server has ended"))
    this.waiting += bytes.length
    return Promise.resolve()
  }

  /** What the process is given, one message after the other, as fast as it reads. */
  get written(): Stream.Stream<Uint8Array> {
    return Mailbox.toStream(this.input).pipe(
      Stream.rechunk(1),
      Stream.map((bytes) => {
        this.waiting -= bytes.length
        return bytes
      })
    )
  }

  /** To end its input is how a server is asked to end; who has started it sees to it that it does. */
  close(): Promise<void> {
    this.over()
    return Promise.resolve()
  }

  read(chunk: Uint8Array): void {
    // one that speaks before it is spoken to is not heard
    if (!this.isStarted || this.isOver) return
    const lines = this.lines.read(chunk)
    if (lines === undefined) {
      this.onerror?.(new Error("A message of the server is too long"))
      return this.over()
    }
    for (const line of lines) {
      const message = messageOf(line)
      if (message !== undefined) this.onmessage?.(message)
      // some write their log there
      else if (line.trim() !== "") this.onerror?.(new Error("The server has written a line that is not a message"))
    }
  }

  over(): void {
    if (this.isOver) return
    this.isOver = true
    this.input.unsafeDone(Exit.void)
    Deferred.unsafeDone(this.closing, Effect.void)
    this.onclose?.()
  }
}

const messageOf = (line: string): JSONRPCMessage | undefined => {
  try {
    return deserializeMessage(line)
  } catch {
    return undefined
  }
}

/** Up to `grace` for the process to end by itself, SIGTERM and `grace` again, then SIGKILL for what is left of the whole group. */
const stopProcess = (process: CommandExecutor.Process, grace: Duration.DurationInput): Effect.Effect<void> => {
  const within = Effect.exit(process.exitCode).pipe(Effect.interruptible, Effect.timeoutOption(grace))
  // kill sends first and then waits for the process, which is waited for here
  const signal = (name: CommandExecutor.Signal) =>
    Effect.asVoid(Effect.fork(Effect.interruptible(Effect.ignore(process.kill(name)))))
  return Effect.gen(function*() {
    if (Option.isNone(yield* within)) {
      yield* signal("SIGTERM")
      yield* within
    }
    yield* signal("SIGKILL")
    yield* within
  })
}

/** For what the process has written before it ended; another one of its group may hold the pipe for longer. */
const drainPeriod = "500 millis"

/**
 * Starts the program of a server. When the process ends, or the transport is closed, no process of its group is left, and the transport is
 * closed; so it is with the scope.
 */
export const stdioTransport = (
  server: McpStdioServer,
  settings: {
    readonly maxMessageBytes: number
    readonly gracePeriod: Duration.DurationInput
    readonly executor: CommandExecutor.CommandExecutor
  }
): Effect.Effect<Transport, PlatformError, Scope.Scope> =>
  Effect.gen(function*() {
    // not with the module: it is for Node, Bun and Deno alone
    const { getDefaultEnvironment } = yield* Effect.promise(() => import("@modelcontextprotocol/client/stdio"))
    const environment = { ...getDefaultEnvironment(), ...server.env }
    const made = Command.env(Command.make(server.command, ...server.args ?? []), environment, { extendEnv: false })
    const command = server.cwd === undefined ? made : Command.workingDirectory(made, server.cwd)
    const input = yield* Mailbox.make<Uint8Array>()
    const process = yield* settings.executor.start(command)
    const background = <A, E, R>(work: Effect.Effect<A, E, R>) =>
      work.pipe(Effect.catchAllCause(() => Effect.void), Effect.interruptible, Effect.forkScoped)
    const transport = new StdioTransport(input, settings.maxMessageBytes, Deferred.unsafeMake(FiberId.none))
    yield* background(Stream.run(transport.written, process.stdin))
    const reading = yield* background(
      Stream.runForEach(process.stdout, (chunk) => Effect.sync(() => transport.read(chunk)))
    )
    const decoder = new TextDecoder()
    yield* background(
      Stream.runForEach(process.stderr, (chunk) =>
        Effect.suspend(() =>
          server.stderr?.(decoder.decode(chunk, { stream: true })) ?? Effect.void
        ).pipe(
          // what nobody reads any more stops the server once its pipe is full
          Effect.catchAllCause((cause) => Effect.logError("McpStdioServer.stderr has failed").pipe(withCause(cause)))
        ))
    )
    const one = yield* Effect.makeSemaphore(1)
    let isStopped = false
    const stop = Effect.suspend(() => {
      transport.over()
      if (isStopped) return Effect.void
      return Effect.tap(stopProcess(process, settings.gracePeriod), () => Effect.sync(() => isStopped = true))
    }).pipe(Effect.uninterruptible, one.withPermits(1))
    const ended = Effect.zipRight(
      Effect.exit(process.exitCode),
      Effect.timeoutOption(Fiber.await(reading), drainPeriod)
    )
    yield* background(Effect.zipRight(Effect.raceFirst(ended, Deferred.await(transport.closing)), stop))
    // added last, so that it comes first: what is still to be written is written, and the input is closed
    yield* Effect.addFinalizer(() => stop)
    return transport
  })

/** Messages of JSON-RPC as lines, from one byte stream and to another. */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { type Line, LineReader } from "./LineReader.js"

/** How many lines wait to be written: who writes more waits. */
const linesAhead = 64

/** A client that has left so many messages unread is not heard until it reads: one that asks without end costs no more than that. */
const mostUnread = 1_000

const errorOf = (id: string | number | null, code: number, message: string) =>
  ({ jsonrpc: "2.0", id, error: { code, message } }) as const

const errorLine = (id: string | number | null, code: number, message: string): string =>
  `${JSON.stringify(errorOf(id, code, message))}\n`

/** The objects that each side writes. The connection itself finds out which kind of message it is, if it is one. */
export interface MessageStream {
  readonly readable: ReadableStream<object>
  readonly writable: WritableStream<object>
}

/** One of the two byte streams has failed. */
export class StreamFailed
  extends Data.TaggedError("StreamFailed")<{ readonly message: string; readonly cause: unknown }>
{}

/** What a line holds for the connection, what answers it at once, and what the host is told of it. */
interface Read {
  readonly message?: object
  readonly answer?: string
  readonly warning?: string
}

/** Only a request is answered: to the client, the id of a response is that of a request of its own or of none. */
const readTooLong = ({ id, kind }: Extract<Line, { readonly _tag: "TooLong" }>): Read => {
  switch (kind) {
    case "Request":
    case "Unknown":
      return { answer: errorLine(id, -32600, "Invalid request: the message is too long") }
    case "Response":
      return {
        warning: "A response of the client is too long: what it answers has failed",
        // nobody waits for a response without an id that can be read
        ...(id === null ? undefined : { message: errorOf(id, -32600, "The response is too long") })
      }
    case "Notification":
      return { warning: "A notification of the client is too long: it is left out" }
  }
}

const readLine = (line: Line): Read | undefined => {
  if (line._tag === "TooLong") return readTooLong(line)
  if (line.text.trim() === "") return undefined
  try {
    const message: unknown = JSON.parse(line.text)
    return typeof message === "object" && message !== null && !Array.isArray(message)
      ? { message }
      : { answer: errorLine(null, -32600, "Invalid request") }
  } catch {
    return { answer: errorLine(null, -32700, "Parse error") }
  }
}

/**
 * The stream of a connection over two byte streams. It ends when `stdin` ends and when `stdout` fails. When the scope closes, what
 * was written before is given to `stdout`, for a second at most: a client that does not read holds up nothing.
 */
export const ndjsonStream = <E, E2>(
  stdin: Stream.Stream<Uint8Array, E>,
  stdout: Sink.Sink<unknown, Uint8Array, unknown, E2>,
  maxLineBytes: number
): Effect.Effect<
  {
    readonly stream: MessageStream
    /** Fails if one of the two streams has failed. */
    readonly check: Effect.Effect<void, StreamFailed>
  },
  never,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const run = Runtime.runPromise(yield* Effect.runtime<never>())
    const encoder = new TextEncoder()
    const lines = yield* Queue.bounded<Option.Option<string>>(linesAhead)
    const reader = new LineReader(maxLineBytes)
    const write = (line: string) => Effect.asVoid(Queue.offer(lines, Option.some(line)))

    let enqueue = (_message: object): void => {}
    let end = (): void => {}
    const readable = new ReadableStream<object>({
      start: (controller) => {
        let isOver = false
        enqueue = (message) => {
          if (!isOver) controller.enqueue(message)
        }
        end = () => {
          if (isOver) return
          isOver = true
          controller.close()
        }
      },
      cancel: () => {
        enqueue = () => {}
        end = () => {}
      }
    })
    const room = yield* Effect.makeLatch(true)
    let unread = 0
    const writable = new WritableStream<object>({
      write: (message) =>
        run(write(`${JSON.stringify(message)}\n`)).finally(() => {
          unread--
          if (unread < mostUnread) room.unsafeOpen()
        })
    }, {
      // asked once for each message, when it is given to the stream
      size: () => {
        unread++
        if (unread >= mostUnread) room.unsafeClose()
        return 1
      }
    })

    const hear = (heard: ReadonlyArray<Line>) =>
      Effect.forEach(heard, (line) => {
        const read = readLine(line)
        if (read === undefined) return Effect.void
        const { answer, message, warning } = read
        if (answer !== undefined) return write(answer)
        const warned = warning === undefined ? Effect.void : Effect.logWarning(warning)
        if (message === undefined) return warned
        return Effect.zipRight(room.await, Effect.zipRight(Effect.sync(() => enqueue(message)), warned))
      }, { discard: true })

    let failure: StreamFailed | undefined
    const failed = (message: string) =>
      Effect.catchAllCause((cause: Cause.Cause<unknown>) =>
        Effect.sync(() => {
          if (!Cause.isInterruptedOnly(cause)) failure ??= new StreamFailed({ message, cause: Cause.squash(cause) })
        })
      )

    const writing = yield* Stream.fromQueue(lines, { maxChunkSize: 1 }).pipe(
      Stream.takeWhile(Option.isSome),
      Stream.map(({ value }) => encoder.encode(value)),
      Stream.run(stdout),
      Effect.asVoid,
      failed("The client does not take what is written"),
      // whoever writes or waits to write learns that nobody reads it
      Effect.ensuring(Effect.zipRight(Queue.shutdown(lines), Effect.sync(() => end()))),
      Effect.interruptible,
      Effect.forkScoped
    )
    yield* Effect.addFinalizer(() =>
      Queue.offer(lines, Option.none()).pipe(
        Effect.zipRight(Fiber.await(writing)),
        Effect.interruptible,
        Effect.timeout("1 second"),
        // one that has failed takes nothing more: that interrupts who writes
        Effect.exit
      )
    )
    yield* stdin.pipe(
      Stream.runForEach((chunk) => Effect.suspend(() => hear(reader.push(chunk)))),
      Effect.zipRight(Effect.suspend(() => hear(reader.flush()))),
      failed("The client cannot be heard any more"),
      Effect.ensuring(Effect.sync(() => end())),
      Effect.forkScoped
    )
    return {
      stream: { readable, writable },
      check: Effect.suspend(() => failure === undefined ? Effect.void : failure)
    }
  })

/** What tasks write, as terminals that follow it. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type { TaskId } from "../../model/ids.js"
import type { TaskManagerHandle } from "../../services/TaskManager.js"
import type { ClientGone } from "./port.js"
import type { Sent } from "./updates.js"

/** How much is read at once, in bytes of UTF-8. */
const pieceBytes = 65_536
/** How much a client without terminals sees of the end, in characters. */
const tailLength = 4_096

interface Terminal {
  readonly terminalId: string
  /** The first byte that was not read. */
  offset: number
  tail: string
  /** The client was told of it. */
  isOpen: boolean
}

/** How a command ended, where its result says so as that of the shell tool does. */
const exitOf = (output: unknown): { readonly exitCode?: number; readonly signal?: string } => ({
  ...(Predicate.hasProperty(output, "exit_code") && Number.isSafeInteger(output.exit_code)
    // an integer, as was just checked
    ? { exitCode: output.exit_code as number }
    : undefined),
  ...(Predicate.hasProperty(output, "signal") && Predicate.isString(output.signal)
    ? { signal: output.signal }
    : undefined)
})

export class Terminals {
  private readonly handle: TaskManagerHandle
  private readonly send: (sent: Sent) => Effect.Effect<void, ClientGone>
  private readonly open = new Map<string, Terminal>()
  /** The client may have the terminals that are opened from now on. */
  private isAgain = false

  constructor(handle: TaskManagerHandle, send: (sent: Sent) => Effect.Effect<void, ClientGone>) {
    this.handle = handle
    this.send = send
  }

  idOf(toolCallId: string): string | undefined {
    const terminal = this.open.get(toolCallId)
    return terminal?.isOpen === true ? terminal.terminalId : undefined
  }

  /** The client is told the conversation again: of each terminal that is open it is shown the whole. */
  again(): void {
    this.isAgain = true
    for (const terminal of this.open.values()) Object.assign(terminal, { offset: 0, tail: "", isOpen: false })
  }

  /** Shows what the task has written until now; what it writes from then on is told by another event. */
  follow(taskId: TaskId, toolCallId: string): Effect.Effect<void, ClientGone> {
    return Effect.gen(this, function*() {
      let through = 0
      do {
        const before = this.open.get(toolCallId)
        const from = before?.offset ?? 0
        const read = yield* Effect.option(this.handle.output(taskId, { start: from, maxBytes: pieceBytes }))
        if (Option.isNone(read) || read.value.end <= from) return
        const { end, start, text, total } = read.value
        // what is written from now on publishes an event: this loop comes to an end
        if (through === 0) through = total
        const terminal = before ?? { terminalId: `terminal/${taskId}`, offset: 0, tail: "", isOpen: false }
        const isWhole = start > from || (this.isAgain && !terminal.isOpen)
        if (!terminal.isOpen) {
          this.open.set(toolCallId, terminal)
          terminal.isOpen = true
          yield* this.send({ _tag: "TerminalOpened", toolCallId, terminalId: terminal.terminalId })
        }
        terminal.offset = end
        terminal.tail = ((isWhole ? "" : terminal.tail) + text).slice(-tailLength)
        yield* this.send({
          _tag: "TerminalOutput",
          toolCallId,
          terminalId: terminal.terminalId,
          text,
          isWhole,
          tail: terminal.tail
        })
      } while ((this.open.get(toolCallId)?.offset ?? through) < through)
    })
  }

  /** The task has ended, with this output. */
  end(toolCallId: string, output: unknown): Effect.Effect<void, ClientGone> {
    return Effect.suspend(() => {
      const terminal = this.open.get(toolCallId)
      if (terminal === undefined) return Effect.void
      this.open.delete(toolCallId)
      return this.send({ _tag: "TerminalExited", toolCallId, terminalId: terminal.terminalId, ...exitOf(output) })
    })
  }
}

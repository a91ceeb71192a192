/** One call that a server was sent, over all launches of its task: how far it is, what its server asks, and how it ends. */
import type { ToolExecution } from "@modelcontextprotocol/ext-tasks/client"
import * as Effect from "effect/Effect"
import type { TaskProgress } from "../../../model/TaskEvent.js"
import { printable } from "../../../shared/text.js"
import type { Form } from "./elicitation.js"

/** A question of the server that waits for its answer. */
export interface AskedForm {
  readonly id: string
  readonly form: Form
  readonly answer: (given: unknown) => void
}

/** How the call ended: with what the server answered, or with an error on the way. */
export type CallEnd =
  | { readonly _tag: "Answered"; readonly result: unknown }
  | { readonly _tag: "Failed"; readonly error: unknown }

/** What happens next to the call. */
export type CallEvent =
  | { readonly _tag: "Progress"; readonly progress: TaskProgress }
  | { readonly _tag: "Asked"; readonly asked: AskedForm }
  | { readonly _tag: "Ended"; readonly end: CallEnd }

const mostQuestions = 100

let lastToken = 0

export class OpenCall {
  /** By which the server names the call in its progress. */
  readonly token = `effect-task-manager-${++lastToken}`
  /** Whether a server may have seen the call. */
  isSent = false
  /** Whether the connection of the call has ended. */
  readonly isCutOff: () => boolean
  private readonly controller = new AbortController()
  private readonly asked: Array<AskedForm> = []
  private questions = 0
  private progress: TaskProgress | undefined
  private end: CallEnd | undefined
  private execution: ToolExecution<unknown, OpenCall> | undefined
  private listener: (() => void) | undefined

  constructor(isCutOff: () => boolean) {
    this.isCutOff = isCutOff
  }

  get signal(): AbortSignal {
    return this.controller.signal
  }

  get isEnded(): boolean {
    return this.end !== undefined
  }

  get taskId(): string | undefined {
    return this.execution?.handle?.taskId
  }

  /** The server runs the call as a task of its own from now on. */
  runsAs(execution: ToolExecution<unknown, OpenCall>): void {
    this.execution = execution
    // it was cancelled while the server made the task
    if (this.signal.aborted) void execution.cancel().catch(() => {})
  }

  /** Only the latest is kept until it is read: a server that reports without end costs nothing more. */
  report(params: { readonly message?: unknown; readonly progress?: unknown; readonly total?: unknown }): void {
    const { message, progress, total } = params
    const fraction = typeof progress === "number" && typeof total === "number" && total > 0
      ? progress / total
      : undefined
    this.progress = {
      ...(typeof message === "string" ? { message: printable(message) } : undefined),
      ...(fraction !== undefined && Number.isFinite(fraction) ? { fraction } : undefined),
      ...(typeof progress === "number" && fraction === undefined ? { data: { progress } } : undefined)
    }
    this.changed()
  }

  /** False if no more questions are taken of this call. Gives how the server takes one back. */
  ask(form: Form, answer: (given: unknown) => void): (() => void) | undefined {
    if (this.isEnded || this.questions >= mostQuestions) return undefined
    const asked = { id: `mcp-${++this.questions}`, form, answer }
    this.asked.push(asked)
    this.changed()
    return () => {
      const at = this.asked.indexOf(asked)
      if (at >= 0) this.asked.splice(at, 1)
    }
  }

  /** Answers what was asked under these ids. */
  answer(answers: Readonly<Record<string, unknown>>): void {
    const isAnswered = ({ id }: AskedForm) => Object.hasOwn(answers, id)
    for (let at = this.asked.findIndex(isAnswered); at >= 0; at = this.asked.findIndex(isAnswered)) {
      const [asked] = this.asked.splice(at, 1)
      asked?.answer(answers[asked.id])
    }
  }

  ends(end: CallEnd): void {
    if (this.isEnded) return
    this.end = end
    this.asked.splice(0)
    this.changed()
  }

  /** Tells the server to stop, and returns when it was told; what it still says is not read. */
  async cancel(reason: string): Promise<void> {
    if (this.isEnded || this.signal.aborted) return
    try {
      if (this.execution?.kind === "task") await this.execution.cancel()
    } finally {
      this.controller.abort(new Error(reason))
    }
  }

  /** Waits for what happens next: questions and the end stay, progress is read once. */
  readonly next: Effect.Effect<CallEvent> = Effect.async<CallEvent>((resume) => {
    const look = (): boolean => {
      const event = this.take()
      if (event === undefined) return false
      this.listener = undefined
      resume(Effect.succeed(event))
      return true
    }
    if (!look()) this.listener = look
    return Effect.sync(() => {
      if (this.listener === look) this.listener = undefined
    })
  })

  private take(): CallEvent | undefined {
    const { progress } = this
    if (progress !== undefined) {
      this.progress = undefined
      return { _tag: "Progress", progress }
    }
    if (this.end !== undefined) return { _tag: "Ended", end: this.end }
    const [asked] = this.asked
    return asked === undefined ? undefined : { _tag: "Asked", asked }
  }

  private changed(): void {
    this.listener?.()
  }
}

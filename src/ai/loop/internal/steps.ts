/** The steps that a turn is made of: each is one effect, and answers with what the machine is told. */
import type * as AiError from "@effect/ai/AiError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { TurnId } from "../../../model/ids.js"
import type { UsageCosts } from "../../../model/Usage.js"
import type { TaskManager } from "../../../services/TaskManager.js"
import type { ToolExecutor } from "../../../services/ToolExecutor.js"
import { withCause } from "../../../shared/logging.js"
import { printable } from "../../../shared/text.js"
import { lastProvider } from "../../transcript/internal/providers.js"
import { compactionProblems, rewriteProblems, withLive } from "../../transcript/internal/rewriting.js"
import * as texts from "../../transcript/internal/texts.js"
import { type RenderOptions, renderPrompt } from "../../transcript/renderPrompt.js"
import { Transcript } from "../../transcript/Transcript.js"
import type { TranscriptEntry } from "../../transcript/TranscriptEntry.js"
import type { AgentEvent } from "../AgentEvent.js"
import type { AgentSessionDefaults } from "../AgentSession.js"
import { RewriteRefused, type TurnFailure } from "../errors.js"
import { maker, refusingClient } from "./askedProvider.js"
import { collectLate, runCalls, type StartedCalls } from "./calls.js"
import { notRunText } from "./callVerdict.js"
import type { Conversation } from "./Conversation.js"
import { failureReason } from "./failureReason.js"
import type * as machine from "./machine.js"
import type { Messages } from "./Messages.js"
import { callModel, type Model } from "./modelCall.js"
import type { Observing } from "./observing.js"
import { makePace } from "./pace.js"
import { mend } from "./refusals.js"
import type { ReplyBuilder } from "./reply.js"
import { modelFailed } from "./turnFailure.js"

/** What the machine is told when a step has done its work. */
export type StepEnd = Extract<machine.Command, { readonly _tag: "Collected" | "Replied" | "Drained" }>

export interface StepOptions {
  readonly conversation: Conversation
  readonly messages: Messages
  readonly model: Model
  readonly render: RenderOptions & { readonly maxNoteBytes: number }
  readonly compact: AgentSessionDefaults["compact"]
  readonly compactAt: number | undefined
  readonly started: StartedCalls
  /** Placeholders of tasks whose results are lost: those of a process that has ended. */
  readonly lost: ReadonlyArray<TranscriptEntry.ToolResult>
  readonly ask: Observing["ask"]
  /** A request to the model has used so much. */
  readonly onUsage: (turnId: TurnId, costs: UsageCosts) => Effect.Effect<void>
  readonly emit: (event: AgentEvent) => void
  readonly nextReplyId: (turnId: TurnId) => string
  /** Whether the session goes on in another process. */
  readonly isLeft: () => boolean
}

interface Reply {
  readonly said: TranscriptEntry.AssistantMessage
  readonly refused: ReadonlyArray<TranscriptEntry.ToolResult>
}

/** After so many requests the event loop turns, for models that answer at once. */
const requestsInARow = 16

const replied = (said: TranscriptEntry.AssistantMessage): StepEnd => ({
  _tag: "Replied",
  calls: Transcript.calls(said).length,
  end: said.end
})

export class Steps {
  private readonly options: StepOptions
  private lost: StepOptions["lost"]
  /** What the next request is made with. */
  private model: Model
  private provider: string | undefined
  /** Whether something was replaced that nobody had answered, and the model has answered nothing since. */
  private hasStandIns = false
  /** A conversation that is shorter is not compacted. */
  private leastTokens = 0
  private readonly pace = makePace(requestsInARow)

  constructor(options: StepOptions) {
    this.options = options
    this.model = options.model
    this.provider = options.render.provider
    this.lost = options.lost
  }

  /** From the next request on, this model is asked. */
  setModel(languageModel: Model["languageModel"], provider: string | undefined): void {
    this.model = { ...this.model, languageModel }
    this.provider = provider
  }

  /** Takes the late results that are there, before a turn that they would start. */
  get collect(): Effect.Effect<StepEnd, TurnFailure, TaskManager> {
    const { conversation, started } = this.options
    return Effect.map(collectLate(conversation, started), (taskIds) => ({ _tag: "Collected", taskIds }))
  }

  /** Starts the calls of the open reply, and takes what comes of them. */
  runCalls(
    action: { readonly start: boolean; readonly turnId: TurnId }
  ): Effect.Effect<StepEnd, TurnFailure, TaskManager | ToolExecutor> {
    const { conversation, started } = this.options
    return Effect.map(runCalls(conversation, started, action), (open) => ({ _tag: "Drained", open }))
  }

  /** Makes a request to the model, with everything that was said: by the user last, unless the store had refused that. */
  reply(turnId: TurnId, messageIds: ReadonlyArray<string>): Effect.Effect<StepEnd, TurnFailure, TaskManager> {
    const { conversation, started } = this.options
    // what asked for this turn is taken before an interrupt is heard
    return Effect.uninterruptible(
      Effect.gen(this, function*() {
        // what the model has said before is stored, and not asked for again
        const before = conversation.unstoredReply
        yield* conversation.flush
        if (before !== undefined && Transcript.calls(before).length > 0) return replied(before)
        yield* collectLate(conversation, started)
        yield* Effect.interruptible(this.pace)
        yield* Effect.interruptible(this.reportLost)
        yield* Effect.interruptible(
          Effect.forEach(messageIds, (messageId) => this.takeMessage(messageId), { discard: true })
        )
        const last = conversation.stored.last
        // a change of the conversation that was stored just now has left nothing to answer
        if (last === undefined) return { _tag: "Replied", calls: 0, end: "stop" }
        // stored by this step or the one before, it is the last word; a paused one is given back to the model once it is told
        if (last._tag === "AssistantMessage" && (last === before || last.end !== "pause")) return replied(last)
        const { refused, said } = yield* this.request(turnId)
        conversation.accept(said)
        // with their reply: nobody may take them for calls that were not started yet
        for (const result of refused) conversation.accept(result)
        yield* conversation.flush
        return replied(said)
      })
    )
  }

  /**
   * The reply of the model, whole, and what answers those of its calls that do not run. What it had said when it was interrupted is
   * written before the interrupt goes on, unless the session is left: then another process asks again.
   */
  private request(turnId: TurnId): Effect.Effect<Reply, TurnFailure> {
    const { ask, conversation, emit, isLeft, onUsage, render } = this.options
    let builder: ReplyBuilder | undefined
    let attempts = 0
    /** Why the last attempt failed. */
    let failed: AiError.AiError | undefined
    // another model may be set while this one is asked
    let { model, provider } = this
    const count = (used: UsageCosts) =>
      Effect.catchAllCause(
        Effect.suspend(() => onUsage(turnId, used)),
        // the reply was paid for, and counts more than what it has cost
        () =>
          Effect.annotateLogs(Effect.logWarning("What a model has used was not counted"), {
            package: "effect-task-manager",
            turnId: printable(turnId)
          })
      )
    const requestTo = (client: string | undefined) =>
      Effect.suspend(() =>
        ask(callModel(model, renderPrompt(conversation.transcript, { ...render, provider: client }), {
          // whatever it is made again for: the schedule, a shorter conversation, or what stands in for something
          onAttempt: (reply) => {
            builder = reply
            attempts++
            if (failed !== undefined) emit({ _tag: "Retrying", turnId, attempt: attempts, error: modelFailed(failed) })
          },
          onDelta: ({ _tag, delta }) => emit({ _tag, turnId, delta }),
          onFailed: (error) => {
            failed = error
          },
          onEnd: ({ usage }) => usage === undefined ? Effect.void : count(usage)
        }))
      )
    const asked = Effect.suspend(() => {
      ;({ model, provider } = this)
      builder = undefined
      return Effect.catchAll(requestTo(provider), (error) => {
        // the last reply was of another provider, and this one has sent nothing
        const client = provider === undefined ? refusingClient(error) : undefined
        return client === undefined || client === lastProvider(conversation.transcript.entries)
          ? Effect.fail(error)
          : requestTo(client)
      })
    })
    const said = (
      parts: TranscriptEntry.AssistantMessage["parts"],
      end: TranscriptEntry.AssistantMessage["end"],
      made = maker(provider, builder?.provider)
    ): TranscriptEntry.AssistantMessage => ({
      _tag: "AssistantMessage",
      replyId: this.options.nextReplyId(turnId),
      turnId,
      parts,
      end,
      ...(made === undefined ? undefined : { provider: made })
    })
    return Effect.gen(this, function*() {
      if (this.isTooLong) yield* this.compacted
      let answered = yield* Effect.exit(Effect.interruptible(asked))
      let isCompacted = false
      // it ends: what stands in for something is not replaced again
      while (Exit.isFailure(answered)) {
        const error = Option.getOrUndefined(Cause.failureOption(answered.cause))
        if (error === undefined) break
        const isShorter: boolean = !isCompacted && failureReason(error) === "ContextOverflow" && (yield* this.compacted)
        if (!isShorter && !(yield* this.standIn(error, provider))) break
        isCompacted ||= isShorter
        answered = yield* Effect.exit(Effect.interruptible(asked))
      }
      if (Exit.isSuccess(answered)) {
        this.hasStandIns = false
        const reply = answered.value
        const parts = reply.whole({ has: (id) => conversation.stored.usesCallId(id) })
        const refused = reply.refused(parts, model.maxCallsPerReply).map(({ callId, toolName, why }) =>
          texts.interruptedResult(callId, toolName, notRunText(why, model.maxCallsPerReply))
        )
        return { said: said(parts, reply.end), refused }
      }
      const kept = builder?.said() ?? []
      const isKept = Cause.isInterrupted(answered.cause) && kept.length > 0 && !isLeft()
      if (isKept) yield* conversation.add(said(kept, "interrupted"))
      return yield* Effect.failCause(Cause.map(answered.cause, modelFailed))
    })
  }

  private get isTooLong(): boolean {
    const { compactAt, conversation } = this.options
    return compactAt !== undefined && conversation.tokens >= Math.max(compactAt, this.leastTokens)
  }

  /** Puts something else into the place of what the provider has refused; whether the request is to be made again. */
  private standIn(error: AiError.AiError, provider: string | undefined): Effect.Effect<boolean> {
    const { conversation, render } = this.options
    return Effect.gen(this, function*() {
      // a compaction that the store has refused would be undone
      yield* conversation.flush
      const mendedOnce = (transcript: Transcript) =>
        mend(transcript, error, provider ?? refusingClient(error), render.maxNoteBytes)
      const mended = mendedOnce(conversation.transcript)
      if (mended === undefined) return false
      // refused twice in a row, for something older perhaps: each message would hide that once more
      const isAskedAgain = mended.isAskedAgain ||
        this.hasStandIns && mendedOnce({ ...conversation.transcript, entries: mended.entries }) !== undefined
      if (!mended.isAskedAgain) this.hasStandIns = true
      yield* conversation.rewrite(mended.entries, mended.reason)
      return isAskedAgain
    }).pipe(
      // it is kept, and stored with the next step
      Effect.orElseSucceed(() => false)
    )
  }

  /** Lets the host make a shorter conversation; whether there is one. */
  private get compacted(): Effect.Effect<boolean> {
    const { compact, conversation } = this.options
    if (compact === undefined) return Effect.succeed(false)
    return Effect.gen(this, function*() {
      // an earlier compaction that the store has refused would be undone
      yield* Effect.ignore(conversation.flush)
      if (conversation.hasUnstored) return false
      const before = conversation.transcript
      const made = yield* Effect.exit(Effect.interruptible(Effect.suspend(() => compact(before))))
      if (Exit.isFailure(made)) {
        if (Cause.isInterruptedOnly(made.cause)) return yield* Effect.interrupt
        yield* Effect.logWarning("A conversation could not be compacted").pipe(withCause(made.cause))
        return false
      }
      const problems = compactionProblems(before, made.value)
      if (problems.length > 0) {
        yield* Effect.annotateLogs(Effect.logWarning("A compacted conversation was not taken"), {
          package: "effect-task-manager",
          problems: problems.map(printable)
        })
        return false
      }
      yield* Effect.ignore(conversation.rewrite(withLive(before, made.value).entries, "Compacted"))
      // one that cannot be made shorter is not compacted with each request
      this.leastTokens = conversation.tokens * 1.25
      return !conversation.hasUnstored
    })
  }

  /** Puts another transcript into the place of this one. */
  rewrite(change: (transcript: Transcript) => Transcript): Effect.Effect<void, RewriteRefused | TurnFailure> {
    const { conversation } = this.options
    return Effect.gen(function*() {
      yield* conversation.flush
      const before = conversation.transcript
      const after = change(before)
      const problems = rewriteProblems(before, after)
      if (problems.length > 0) {
        return yield* new RewriteRefused({ sessionId: conversation.sessionId, reason: "Invalid", problems })
      }
      yield* conversation.rewrite(withLive(before, after).entries, "Host")
    })
  }

  private get reportLost(): Effect.Effect<void, TurnFailure> {
    const { conversation } = this.options
    return Effect.gen(this, function*() {
      for (const { callId, taskId, toolName } of this.lost) {
        if (taskId !== undefined) yield* conversation.acceptLate(texts.lostResult(callId, toolName, taskId))
      }
      this.lost = []
      yield* conversation.flush
    })
  }

  private takeMessage(messageId: string): Effect.Effect<void, TurnFailure> {
    const { conversation, messages } = this.options
    return conversation.add({ _tag: "UserMessage", messageId, content: messages.contentOf(messageId) }).pipe(
      // also of one that the transcript had already
      Effect.map(() => messages.stored(messageId)),
      Effect.uninterruptible
    )
  }
}

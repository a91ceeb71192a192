/** What the machine of a session asks for, done. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { TurnId } from "../../../model/ids.js"
import type { TaskSnapshot } from "../../../model/Task.js"
import type { TaskManager } from "../../../services/TaskManager.js"
import type { ToolExecutor } from "../../../services/ToolExecutor.js"
import type { Transcript } from "../../transcript/Transcript.js"
import { RewriteRefused, type SessionClosed, TurnFailure } from "../errors.js"
import type { WakePolicy } from "../WakePolicy.js"
import type { Approvals } from "./approvals.js"
import type { Conversation } from "./Conversation.js"
import type { Interrupts } from "./interrupts.js"
import type * as machine from "./machine.js"
import type { Messages } from "./Messages.js"
import type { Observing } from "./observing.js"
import type { StepEnd, Steps } from "./steps.js"
import type { Waiting } from "./Waiting.js"

/** Changes of the transcript that hosts wait for. */
export type Rewrites = Waiting<
  (transcript: Transcript) => Transcript,
  void,
  SessionClosed | RewriteRefused | TurnFailure
>

/** Messages that hosts have taken back: whether no turn takes them. */
export type Withdrawals = Waiting<string, boolean, TurnFailure>

export interface PerformOptions {
  readonly conversation: Conversation
  readonly messages: Messages
  readonly steps: Steps
  readonly approvals: Approvals
  readonly interrupts: Interrupts
  readonly rewrites: Rewrites
  readonly withdrawals: Withdrawals
  readonly wake: WakePolicy
  readonly observing: Observing
  readonly post: (command: machine.Command) => void
  /** Interrupts were answered, which had cancelled these. */
  readonly onStopped: (cancelled: ReadonlyArray<TaskSnapshot>) => void
  /** Nothing is left to do. */
  readonly onFinish: () => void
}

const failureOf = (cause: Cause.Cause<TurnFailure>): TurnFailure =>
  Option.getOrElse(
    Cause.failureOption(cause),
    () => new TurnFailure({ reason: "Internal", message: "The turn failed because of an internal error.", cause })
  )

const nothingTaken: StepEnd = { _tag: "Collected", taskIds: [] }

/** Does what an action says, in the current step as far as it can be; what takes longer runs in a fiber of the scope. */
export const makePerform = (
  options: PerformOptions
): Effect.Effect<
  (action: Exclude<machine.Action, { readonly _tag: "Emit" }>) => Effect.Effect<void>,
  never,
  TaskManager | ToolExecutor | Scope.Scope
> =>
  Effect.gen(function*() {
    const { approvals, conversation, interrupts, messages, observing, post, rewrites, steps, wake, withdrawals } =
      options
    const scope = yield* Effect.scope
    const context = yield* Effect.context<TaskManager | ToolExecutor>()
    const refused = new RewriteRefused({ sessionId: conversation.sessionId, reason: "TurnRunning", problems: [] })
    let step: Fiber.RuntimeFiber<void> | undefined

    /** Runs a step in its own fiber, which always tells the inbox how it ended. */
    const run = (work: Effect.Effect<StepEnd, TurnFailure, TaskManager | ToolExecutor>): Effect.Effect<void> =>
      runWhole(Effect.interruptible(work))

    /** One that an interrupt does not end before its first step: it takes what asked for a turn, and that is asked for once. */
    const runWhole = (work: Effect.Effect<StepEnd, TurnFailure, TaskManager | ToolExecutor>): Effect.Effect<void> =>
      observing.step(work).pipe(
        Effect.exit,
        Effect.map(Exit.match({
          onSuccess: (end): machine.Command => end,
          onFailure: (cause): machine.Command =>
            Cause.isInterruptedOnly(cause)
              ? { _tag: "StepInterrupted" }
              : { _tag: "StepFailed", error: failureOf(cause) }
        })),
        Effect.map(post),
        Effect.provide(context),
        Effect.forkIn(scope),
        Effect.map((fiber) => {
          step = fiber
        }),
        // a fiber that is interrupted before its first step would not report its end
        Effect.uninterruptible
      )

    /** Stops what runs in the foreground, also that of earlier turns that are open. */
    const stopTurn = (turnId: TurnId | undefined): Effect.Effect<void> => {
      const turns = new Set(conversation.openTurns)
      if (turnId !== undefined) turns.add(turnId)
      return interrupts.stop(turns).pipe(
        Effect.map(() => post({ _tag: "TurnStopped" })),
        Effect.forkIn(scope),
        Effect.asVoid
      )
    }

    return (action) => {
      switch (action._tag) {
        case "Collect":
          return runWhole(steps.collect)
        case "Reply":
          return runWhole(steps.reply(action.turnId, action.messageIds))
        case "RunCalls":
          return run(steps.runCalls(action))
        case "RejectApprovals":
          return Effect.forEach(
            action.approvals,
            // one that was answered meanwhile keeps that answer
            (approval) => Effect.ignore(approvals.reject(approval, action.reason)),
            { discard: true }
          )
        case "AnswerWithdraw":
          return withdrawals.unsafeAnswerNext((messageId) => messages.withdraw(messageId, action.isWithdrawn)).pipe(
            // who waits is told, also if the session is left meanwhile
            Effect.uninterruptible
          )
        case "Rewrite":
          return runWhole(Effect.as(rewrites.unsafeAnswerNext((change) => steps.rewrite(change)), nothingTaken))
        case "RefuseRewrite":
          return rewrites.unsafeAnswerNext(() => refused)
        case "InterruptStep":
          return step === undefined ? Effect.void : Fiber.interruptFork(step)
        case "StopTurn":
          return stopTurn(action.turnId)
        case "StartWindow":
          return wake._tag !== "Coalesced" ? Effect.void : Effect.sleep(wake.window).pipe(
            Effect.zipRight(Effect.sync(() => post({ _tag: "WindowElapsed" }))),
            Effect.interruptible,
            Effect.forkIn(scope),
            Effect.asVoid
          )
        case "AnswerInterrupts":
          return Effect.map(interrupts.answer, options.onStopped)
        case "Finish":
          return Effect.sync(options.onFinish)
      }
    }
  })

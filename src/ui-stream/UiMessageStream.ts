/**
 * A session as the UI message stream of the AI SDK.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { AgentSession, UserInput } from "../ai/loop/AgentSession.js"
import type { SessionClosed } from "../ai/loop/errors.js"
import type { InterruptReceipt } from "../model/TaskResolution.js"
import type { AnswerRefused, QuestionNotOpen, QuestionOpen } from "./errors.js"
import { makeUiMessageStream } from "./internal/makeUiMessageStream.js"
import type { UiMessage } from "./UiMessage.js"
import type { UiMessageChunk } from "./UiMessageChunk.js"
import type { UiAnswer, UiMessageStreamOptions } from "./UiMessageStreamOptions.js"

/**
 * A session for chat pages. Each stream is one assistant message of the page, or what is new in it, and ends with it. Any
 * number of streams can be read at once; to stop reading one stops nothing of the session.
 *
 * @since 0.1.0
 * @category services
 */
export interface UiMessageStream {
  /**
   * Hands in a message, and gives the message that answers it: an empty stream where events were missed (`Reset`). `SessionClosed` once the
   * session is closed, `QuestionOpen` while the last message waits for answers (see `whilePaused`).
   */
  readonly send: (message: UserInput) => Effect.Effect<Stream.Stream<UiMessageChunk>, SessionClosed | QuestionOpen>
  /**
   * Answers what tasks ask, and gives how the message goes on that waited for it, with what else was said of it since the question was
   * shown: an empty stream if no message waits for it, as for what the background asks while the message waits for something else. Each
   * answer counts for the question that has its `approvalId`, and for no other; those that are not taken change nothing. If none is taken,
   * `AnswerRefused` where a question is open and needs something else, such as one with a form (`ApprovalRequest.questions`), which a
   * page can only deny; `QuestionNotOpen` if none of them is for an open question.
   */
  readonly answer: (
    answers: ReadonlyArray<UiAnswer>
  ) => Effect.Effect<Stream.Stream<UiMessageChunk>, QuestionNotOpen | AnswerRefused>
  /**
   * The oldest message that was said while no page read it, or the one that is being said, from its beginning. Where there is none,
   * but tasks run in the background, the message that comes next: an empty stream if they have all ended and none of them
   * brings one. `None` where nothing is to come, and while the last message waits for answers and was read: a page that reads a stream
   * sends none.
   */
  readonly resume: Effect.Effect<Option.Option<Stream.Stream<UiMessageChunk>>>
  /**
   * The conversation for a page that opens late, such as the `messages` of `useChat`, oldest first: all that was said and is in the
   * transcript, but for the message that is being said, which `resume` gives from its beginning. What no page had read counts as read with it.
   */
  readonly history: Effect.Effect<ReadonlyArray<UiMessage>>
  /** Interrupts the turn; what runs in the background goes on. */
  readonly stop: Effect.Effect<InterruptReceipt>
}

/**
 * Follows a session until the scope closes.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { SessionId } from "effect-task-manager"
 * import { AgentLoop } from "effect-task-manager/ai"
 * import { UiMessageStream } from "effect-task-manager/ui-stream"
 *
 * const program = Effect.gen(function*() {
 *   const loop = yield* AgentLoop
 *   const session = yield* loop.open({ sessionId: SessionId.make("chat-1") })
 *   const chat = yield* UiMessageStream.make(session)
 *   const message = yield* chat.send("Run the tests.")
 *   yield* Stream.runForEach(message, (chunk) => Effect.log(chunk.type))
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const UiMessageStream: {
  /**
   * Follows a session until the scope closes. A turn that runs already is told from its beginning, as far as the transcript has it: of a
   * reply that is being made, what was said so far is missing until the turn ends and `history` has it. Dies on an option that is out of range, and names it.
   */
  readonly make: (
    session: AgentSession,
    options?: UiMessageStreamOptions
  ) => Effect.Effect<UiMessageStream, never, Scope.Scope>
} = { make: (session, options = {}) => makeUiMessageStream(session, options) }

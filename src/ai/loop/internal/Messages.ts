/**
 * The messages of the user that are handed in and not part of the transcript yet: what they say, here and in the store. Which of
 * them a turn takes is the machine's to say.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type { SessionId } from "../../../model/ids.js"
import type { UserPart } from "../../transcript/TranscriptEntry.js"
import type { SubmitOptions, UserInput } from "../AgentSession.js"
import { SessionClosed, TurnFailure } from "../errors.js"
import type { StoredMessage, TranscriptSessions } from "../TranscriptStore.js"
import { unlessRefused } from "./unlessRefused.js"
import { userParts } from "./userParts.js"

type Content = ReadonlyArray<UserPart>

export interface MessagesOptions {
  readonly sessionId: SessionId
  /** Where messages are kept for the next process, if there is to be one. */
  readonly sessions: TranscriptSessions | undefined
  /** Those that the process before this one has kept, and no turn has taken. */
  readonly left: ReadonlyArray<StoredMessage>
  readonly nextId: () => string
  /** Whether a message is part of the transcript. */
  readonly isStored: (messageId: string) => boolean
  /** Whether the session takes no more messages. */
  readonly isOver: () => boolean
  /** Whether it takes none because it is closed, or about to be: nothing that waits is kept for the next process. */
  readonly isClosing: () => boolean
  /** Is called in the step that accepts a message, and what it gives in the step from which turns may take it. */
  readonly onAccepted: (content: Content) => (messageId: string) => void
  /** A message is part of the transcript. */
  readonly onStored: (messageId: string) => void
}

/** What becomes of a message that is handed in. `isKept`: it is stored for the next process. */
export interface HandedIn {
  readonly messageId: string
  readonly isKept: boolean
}

const notDropped = (cause: unknown): TurnFailure =>
  new TurnFailure({ reason: "Store", message: "The message could not be dropped from the store.", cause })

export class Messages {
  /** Waits until every message that was accepted is stored, or refused. */
  readonly allKept: Effect.Effect<void>
  private readonly contents = new Map<string, Content>()
  /** Ids of messages that are just being handed in under an id of the caller, or dropped: what is known once that has ended. */
  private readonly beingWritten = new Map<string, Deferred.Deferred<HandedIn | undefined>>()
  /** Those that no turn takes, and that the store would not drop. */
  private readonly undropped = new Set<string>()
  private readonly keptLatch: Effect.Latch
  private beingKept = 0
  private readonly options: MessagesOptions

  constructor(options: MessagesOptions) {
    this.options = options
    this.keptLatch = Effect.unsafeMakeLatch(true)
    this.allKept = this.keptLatch.await
    for (const { content, messageId } of options.left) this.contents.set(messageId, content)
  }

  /** What the message says: nothing, if a turn has it or none takes it. */
  contentOf(messageId: string): Content {
    return this.contents.get(messageId) ?? []
  }

  /** The message is part of the transcript: no turn has to take it any more. */
  stored(messageId: string): void {
    // once, though the step that took it says so as well as the transcript
    if (this.contents.delete(messageId)) this.options.onStored(messageId)
  }

  /**
   * Takes a message; says under which id, first of all to `onId`. One with an id that was handed in before is not taken again: it is
   * answered once that one is stored, and handed in itself if that one is not taken.
   */
  handIn(
    message: UserInput,
    { messageId: given }: SubmitOptions = {},
    onId: (messageId: string) => void = () => {}
  ): Effect.Effect<HandedIn, SessionClosed> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const { isOver, nextId, sessionId } = this.options
        if (isOver()) return new SessionClosed({ sessionId })
        const content = userParts(message)
        return given === undefined
          ? this.take(nextId(), content, onId)
          : this.takeOnce(given, () => this.take(given, content, onId), restore)
      })
    )
  }

  /**
   * No turn takes the message any more: here from now on, and in the next process if this succeeds. `isWithdrawn` says whether it was
   * waiting for a turn. Answers whether it is taken back: also one that is taken back once more, after the store had failed.
   */
  withdraw(messageId: string, isWithdrawn: boolean): Effect.Effect<boolean, TurnFailure> {
    return Effect.suspend(() => {
      const { sessionId, sessions } = this.options
      if (!isWithdrawn && !this.undropped.has(messageId)) return Effect.succeed(false)
      this.contents.delete(messageId)
      if (sessions === undefined) return Effect.succeed(true)
      this.undropped.add(messageId)
      // a message with this id that is handed in meanwhile is stored behind this, or it would be dropped too
      return this.whileWritten(
        messageId,
        Effect.map(Effect.mapError(sessions.dropMessage(sessionId, messageId), notDropped), () => {
          this.undropped.delete(messageId)
          return true
        }),
        () => undefined
      )
    })
  }

  /** Whether a message with this id was handed in: it is kept here, or a turn has stored it. */
  private isKnown(messageId: string): boolean {
    return this.contents.has(messageId) || this.options.isStored(messageId)
  }

  /** Takes a message under an id of the caller, unless it is known or one with that id is taken just now. */
  private takeOnce(
    messageId: string,
    take: () => Effect.Effect<HandedIn, SessionClosed>,
    interruptibly: <A, E>(wait: Effect.Effect<A, E>) => Effect.Effect<A, E>
  ): Effect.Effect<HandedIn, SessionClosed> {
    return Effect.suspend(() => {
      const written = this.beingWritten.get(messageId)
      if (written !== undefined) {
        return Effect.flatMap(
          interruptibly(Deferred.await(written)),
          (first) => first === undefined ? this.takeOnce(messageId, take, interruptibly) : Effect.succeed(first)
        )
      }
      const { isOver, sessionId } = this.options
      if (isOver()) return new SessionClosed({ sessionId })
      if (this.isKnown(messageId)) return Effect.succeed({ messageId, isKept: true })
      // it is another message now, which a turn may take: taking back the one before would empty it
      this.undropped.delete(messageId)
      return this.whileWritten(messageId, take(), (taken) => taken)
    })
  }

  /** Holds up, from the current step on, whoever hands in a message with this id, until the store is done with it. */
  private whileWritten<A, E>(
    messageId: string,
    writing: Effect.Effect<A, E>,
    known: (done: A) => HandedIn | undefined
  ): Effect.Effect<A, E> {
    const written = Deferred.unsafeMake<HandedIn | undefined>(FiberId.none)
    this.beingWritten.set(messageId, written)
    return Effect.onExit(writing, (exit) => {
      // the message may be taken back before whoever has handed it in goes on
      if (this.beingWritten.get(messageId) === written) this.beingWritten.delete(messageId)
      return Deferred.succeed(written, Exit.isSuccess(exit) ? known(exit.value) : undefined)
    })
  }

  private take(
    messageId: string,
    content: Content,
    onId: (messageId: string) => void
  ): Effect.Effect<HandedIn, SessionClosed> {
    const { onAccepted, sessions } = this.options
    // a turn may take it before whoever hands it in goes on
    onId(messageId)
    const begin = onAccepted(content)
    const accept = (isKept: boolean): HandedIn => {
      this.contents.set(messageId, content)
      begin(messageId)
      return { messageId, isKept }
    }
    return sessions === undefined
      ? Effect.sync(() => accept(false))
      : this.keep(sessions, { messageId, content }, accept)
  }

  /** Stores a message for the next process before turns may take it; one that the store refuses is kept in memory. */
  private keep(
    sessions: TranscriptSessions,
    message: StoredMessage,
    accept: (isKept: boolean) => HandedIn
  ): Effect.Effect<HandedIn, SessionClosed> {
    const { isClosing, isOver, sessionId } = this.options
    const refuse = Effect.suspend(() => new SessionClosed({ sessionId }))
    // in the step that has looked whether the session is over
    this.beingKept++
    this.keptLatch.unsafeClose()
    return sessions.keepMessage(sessionId, message).pipe(
      Effect.matchCauseEffect({
        // stored is handed in, also where the session is left: the next process has it
        onSuccess: () =>
          Effect.suspend(() =>
            isClosing()
              // its process may end before the session is closed in the store
              ? Effect.zipRight(
                unlessRefused(
                  "A message of a session that is closed could not be dropped",
                  sessions.dropMessage(sessionId, message.messageId)
                ),
                refuse
              )
              : Effect.succeed(accept(true))
          ),
        onFailure: (cause) =>
          Effect.zipRight(
            unlessRefused("A message could not be stored, and is kept in memory", Effect.failCause(cause)),
            Effect.suspend(() => isOver() ? refuse : Effect.succeed(accept(false)))
          )
      }),
      Effect.ensuring(Effect.sync(() => {
        this.beingKept--
        if (this.beingKept === 0) this.keptLatch.unsafeOpen()
      }))
    )
  }
}

/** One conversation that is on a runner, as its host sees it in any process. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TaskNotFound } from "../../../errors.js"
import type { SessionId, TaskId, TurnId } from "../../../model/ids.js"
import type { InterruptReceipt } from "../../../model/TaskResolution.js"
import { checkAnswers, readAnswers } from "../../../services/internal/approvalAnswers.js"
import { EventSubscription, type StandIn, toldAtOnce } from "../../../shared/EventSubscription.js"
import { memoryOf } from "../../../shared/memoryOf.js"
import { randomToken } from "../../../shared/randomToken.js"
import type { AgentEvent, AgentSessionState } from "../../loop/AgentEvent.js"
import type { AgentSession, UserInput } from "../../loop/AgentSession.js"
import { SessionClosed, TranscriptStoreError } from "../../loop/errors.js"
import { checkMessageId, isMessageId } from "../../loop/internal/checks.js"
import { userParts } from "../../loop/internal/userParts.js"
import type { Connection } from "./Connection.js"
import type { Feeds, OpenedFeed } from "./Feeds.js"
import { answeredOf, checkTranscript, rejectionOf, steeringOf } from "./given.js"
import { baseOf } from "./handlers.js"
import { OpenCalls } from "./OpenCalls.js"

const emptyReceipt: InterruptReceipt = { cancelled: [], kept: [] }

/** An event itself, and its place where it is kept. */
const bareBytes = 160

interface Reading {
  readonly subscription: EventSubscription<AgentEvent>
  /** The session in the step in which the reading began. */
  readonly began: AgentSessionState
  /** Whether a turn had stored the message of the reading, at the moment that a `Reset` shows. */
  readonly wasStored: (reset: AgentEvent) => boolean | undefined
}

/** A handle of a session. */
export interface ClientSession {
  readonly session: AgentSession
  /** Nothing more is told or taken: the session itself stays as it is. */
  readonly leave: () => void
}

export const clientSession = (options: {
  readonly sessionId: SessionId
  readonly connection: Connection
  readonly feeds: Feeds
  readonly eventBuffer: number
  readonly eventBytes: number
}): ClientSession => {
  const { connection, eventBuffer, eventBytes, feeds, sessionId } = options
  const group = connection.groupOf(sessionId)
  const messages = randomToken()
  let sent = 0
  const calls = new OpenCalls()
  const readings = new Set<EventSubscription<AgentEvent>>()
  // the loop leaves its handles where the client closes, and may have done so
  if (connection.isClosed()) calls.close()
  const isOver = () => calls.isClosed
  const closed = () => new SessionClosed({ sessionId })
  const from = { calls, ifClosed: Effect.suspend(closed) }

  const ask = <A, E>(of: number, send: Parameters<typeof connection.ask<A, E>>[1]) =>
    connection.ask(of, send, { sessionId, from })

  /** What the session was opened with cannot be read any more: no method has an error for that. */
  const unreadable = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, Exclude<E, TranscriptStoreError>, R> =>
    Effect.catchAll(self, (error) =>
      error instanceof TranscriptStoreError
        ? Effect.die(error)
        // it is another one
        : Effect.fail(error as Exclude<E, TranscriptStoreError>))
  /** Does it, unless the session is closed or was left: then `instead`. */
  const unlessClosed = <A, E, B, E2>(
    self: Effect.Effect<A, E>,
    instead: Effect.Effect<B, E2>
  ): Effect.Effect<A | B, Exclude<E, TranscriptStoreError | SessionClosed> | E2> =>
    Effect.suspend(() =>
      isOver() ? instead : Effect.catchAll(
        unreadable(self),
        (error): Effect.Effect<B, Exclude<E, TranscriptStoreError | SessionClosed> | E2> =>
          error instanceof SessionClosed
            ? instead
            // it is another one
            : Effect.fail(error as Exclude<E, TranscriptStoreError | SessionClosed>)
      )
    )
  const orClosed = <A, E>(self: Effect.Effect<A, E>) => unlessClosed(self, Effect.suspend(closed))

  /** Asks about a task, which a session that is closed does not have. */
  const orNotFound = <E>({ taskId }: { readonly taskId: TaskId }, self: Effect.Effect<unknown, E>) =>
    Effect.asVoid(unlessClosed(self, Effect.suspend(() => new TaskNotFound({ taskId }))))

  const open = (messageId?: string): Effect.Effect<Reading, SessionClosed, Scope.Scope> =>
    Effect.suspend(() => {
      if (isOver()) return closed()
      let isEnded = false
      let feed: OpenedFeed | undefined
      let began: AgentSessionState | undefined
      let lost: { value: AgentEvent; isTold: boolean } | undefined
      const stored = new WeakMap<AgentEvent, boolean>()
      const subscription: EventSubscription<AgentEvent> = new EventSubscription<AgentEvent>({
        limit: eventBuffer,
        bytes: eventBytes,
        reset: (): StandIn<AgentEvent> => {
          if (isEnded || isOver() || feed === undefined) {
            return toldAtOnce({ _tag: "Reset", phase: "Closed", approvals: [], live: [] })
          }
          // the runner says what the session is, and from there on what happens
          lost = { value: { _tag: "Reset", phase: "Idle", approvals: [], live: [] }, isTold: false }
          feed.beginAgain()
          return lost
        },
        isEnded: () => isEnded || isOver(),
        onNews: (one) => one.unsafeWake(),
        onClose: (one) => {
          readings.delete(one)
          feed?.close()
        }
      })
      const end = () => {
        isEnded = true
        if (lost !== undefined) lost.isTold = true
        subscription.unsafeWake()
      }
      const reading = feeds.open(group, sessionId, {
        from,
        messageId,
        listener: {
          hear: (event) => subscription.unsafeOffer(event, bareBytes + memoryOf(event)),
          began: ({ hasMessage, state }) => {
            if (began === undefined) {
              began = state
              return
            }
            const reset: AgentEvent = { _tag: "Reset", ...state }
            stored.set(reset, hasMessage)
            if (lost === undefined) return subscription.unsafeOffer(reset, bareBytes + memoryOf(reset))
            lost.value = reset
            lost.isTold = true
            lost = undefined
            subscription.unsafeWake()
          },
          ended: end
        }
      })
      const opening = Effect.map(unreadable(reading), (opened): Reading => {
        feed = opened
        readings.add(subscription)
        return {
          subscription,
          began: began ?? { phase: "Closed", approvals: [], live: [] },
          wasStored: (reset) => stored.get(reset)
        }
      })
      return Effect.zipRight(Effect.addFinalizer(() => Effect.sync(() => subscription.unsafeClose())), opening)
    })

  /** A reading of a session that is closed: it has nothing. */
  const nothingToRead = (): Reading => ({
    subscription: new EventSubscription<AgentEvent>({
      limit: 1,
      bytes: 0,
      reset: undefined,
      isEnded: () => true,
      onNews: () => {},
      onClose: () => {}
    }),
    began: { phase: "Closed", approvals: [], live: [] },
    wasStored: () => undefined
  })
  const read = Effect.catchAll(open(), () => Effect.sync(nothingToRead))
  const subscribe = Effect.map(read, ({ subscription }) => subscription)

  const submit = (message: UserInput, messageId: string): Effect.Effect<string, SessionClosed> =>
    Effect.suspend(() => {
      const content = userParts(message)
      return orClosed(Effect.as(
        ask(group, (client, header) => client.Submit({ header, sessionId, messageId, content })),
        messageId
      ))
    })
  // none that a session makes itself: it counts those
  const nextMessage = (): string => `sent-${messages}-${++sent}`

  const hasMessage = (messageId: string): Effect.Effect<boolean> =>
    unlessClosed(
      ask(group, (client, header) => client.HasMessage({ header, sessionId, messageId })),
      Effect.succeed(false)
    )

  /**
   * Says of each event whether it is the last of the turn that took the message. Over a takeover the turn goes on as another one, or
   * has ended meanwhile.
   */
  const lastOf = (messageId: string, { wasStored }: Reading) => {
    let turnId: TurnId | undefined
    let isReset = false
    let isDone = false
    const done = (is: boolean) => {
      isDone = is
      return is
    }
    return {
      isDone: () => isDone,
      isLast: (event: AgentEvent): Effect.Effect<boolean> => {
        switch (event._tag) {
          case "MessageTaken":
            if (event.messageId === messageId) turnId = event.turnId
            return Effect.succeed(false)
          case "TurnEnded":
            if (event.turnId === turnId) return Effect.succeed(done(true))
            return isReset && turnId === undefined ? Effect.map(hasMessage(messageId), done) : Effect.succeed(false)
          case "Reset": {
            isReset = true
            const known = wasStored(event)
            return Effect.map(known === undefined ? hasMessage(messageId) : Effect.succeed(known), (isStored) => {
              // a turn that had taken it and did not store it is over: it comes again, perhaps in one that is running now
              turnId = isStored ? event.turnId : undefined
              return done(isStored && turnId === undefined)
            })
          }
          default:
            return Effect.succeed(false)
        }
      }
    }
  }

  const rewrite = (change: Parameters<AgentSession["rewrite"]>[0]): ReturnType<AgentSession["rewrite"]> =>
    Effect.flatMap(transcript, (now) => {
      const changed = change(now)
      checkTranscript("AgentSession.rewrite", changed)
      return Effect.flatMap(
        orClosed(
          ask(group, (client, header) => client.Rewrite({ header, sessionId, base: baseOf(now), transcript: changed }))
        ),
        (isDone) => isDone ? Effect.void : rewrite(change)
      )
    })

  // also of a handle that was left: what was said can still be read
  const transcript: AgentSession["transcript"] = unreadable(
    connection.ask(group, (client, header) => client.Read({ header, sessionId }), { sessionId })
  )

  const session: AgentSession = {
    sessionId,
    submit: (message, given) =>
      Effect.zipRight(
        checkMessageId(given?.messageId),
        Effect.suspend(() => submit(message, given?.messageId ?? nextMessage()))
      ),
    withdraw: (messageId) =>
      Effect.suspend(() =>
        // no message has another one
        typeof messageId === "string" && isMessageId(messageId)
          ? unlessClosed(
            ask(group, (client, header) => client.Withdraw({ header, sessionId, messageId })),
            Effect.succeed(false)
          )
          : Effect.succeed(false)
      ),
    run: (message) =>
      Stream.unwrapScoped(Effect.gen(function*() {
        const messageId = nextMessage()
        // before the message: none of its events is missed
        const reading = yield* open(messageId)
        yield* submit(message, messageId)
        const { isDone, isLast } = lastOf(messageId, reading)
        return Stream.concat(
          Stream.takeUntilEffect(Stream.fromQueue(reading.subscription, { maxChunkSize: 1 }), isLast),
          Stream.suspend(() =>
            isDone()
              ? Stream.empty
              : Stream.fail(new SessionClosed({ sessionId, ...(isOver() ? { messageId } : undefined) }))
          )
        )
      })),
    resume: Effect.asVoid(orClosed(ask(group, (client, header) => client.Resume({ header, sessionId })))),
    events: Stream.unwrapScoped(Effect.map(subscribe, (subscription) => Stream.fromQueue(subscription))),
    subscribe,
    watch: Effect.map(read, ({ began, subscription }) => ({ ...began, events: subscription })),
    interrupt: unlessClosed(
      ask(group, (client, header) => client.Interrupt({ header, sessionId })),
      Effect.succeed(emptyReceipt)
    ),
    setModel: () =>
      Effect.die(
        new TypeError("AgentSession.setModel: the session is on a runner of the cluster, which has models of its own")
      ),
    rewrite,
    approvals: unlessClosed(
      ask(group, (client, header) => client.Approvals({ header, sessionId })),
      Effect.succeed([])
    ),
    approve: (given) =>
      Effect.flatMap(
        answeredOf("approve", given),
        (answered) =>
          orNotFound(answered, ask(group, (client, header) => client.Approve({ header, sessionId, answered })))
      ),
    answer: (given, givenAnswers) =>
      Effect.gen(function*() {
        const answered = yield* answeredOf("answer", given)
        const answers = [...yield* readAnswers(answered.taskId, yield* checkAnswers(givenAnswers))]
        yield* orNotFound(
          answered,
          ask(group, (client, header) => client.Answer({ header, sessionId, answered, answers }))
        )
      }),
    reject: (given, givenReason) =>
      Effect.gen(function*() {
        const answered = yield* answeredOf("reject", given)
        const reason = yield* rejectionOf(givenReason)
        yield* orNotFound(
          answered,
          ask(group, (client, header) => client.Reject({ header, sessionId, answered, reason }))
        )
      }),
    steer: (taskId, given) =>
      Effect.flatMap(steeringOf(taskId, given), (message) =>
        orNotFound(
          { taskId },
          ask(group, (client, header) => client.Steer({ header, sessionId, taskId, message }))
        )),
    transcript,
    waitForIdle: Effect.asVoid(unlessClosed(
      ask(group, (client, header) => client.WaitForIdle({ header, sessionId })),
      Effect.void
    )),
    close: unlessClosed(
      ask(group, (client, header) => client.Close({ header, sessionId })),
      Effect.succeed(emptyReceipt)
    )
  }
  return {
    session,
    leave: () => {
      calls.close()
      for (const subscription of readings) subscription.unsafeWake()
    }
  }
}

/** Follows the events of a session, and gives each page the message that it asks for. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { AgentSession, UserInput } from "../../ai/loop/AgentSession.js"
import type { TaskApproval } from "../../model/Approval.js"
import { millisOf } from "../../shared/durations.js"
import { ParkedReaders } from "../../shared/ParkedReaders.js"
import { integerOf } from "../../shared/refusals.js"
import { AnswerRefused, QuestionNotOpen, QuestionOpen } from "../errors.js"
import type { UiMessage } from "../UiMessage.js"
import type { UiMessageChunk } from "../UiMessageChunk.js"
import type { UiAnswer, UiMessageStreamOptions } from "../UiMessageStreamOptions.js"
import { historyOf } from "./history.js"
import { joinSession } from "./joinSession.js"
import { answering, begin, next, pause, reset, unanswered } from "./messages.js"
import { Segment } from "./Segment.js"
import { blockedBy, type UiOutcome, type UiState, type UiStep } from "./UiState.js"

const defaultUnits = 16_777_216

/** What is said, and who waits for it. */
class Chat {
  private readonly maxBytes: number
  private readonly waiting = new ParkedReaders()
  state: UiState
  /** The last one, which is open or has ended. */
  private current: Segment | undefined = undefined
  private number = 0
  /** How often events were missed. */
  missed = 0
  /** For each request that waits for its segment, the last segments; nothing is kept where none waits. */
  private requests = 0
  private kept: Array<readonly [number: number, segment: Segment]> = []
  /** What was said while no page was there, oldest first: of each message its last segment. */
  private unread: Array<Segment> = []
  /** No page has read what the open segment goes on with. */
  private isUnreadSoFar = false
  isOver = false

  constructor(begun: UiStep, maxBytes: number) {
    this.maxBytes = maxBytes
    this.state = begun.state
    this.join(begun)
  }

  /** A paused message that was found so is for the history: pages may have it from an earlier stream, and answer. */
  join(step: UiStep): void {
    this.apply(step)
    if (this.isPaused) this.unread = this.unread.filter((segment) => segment !== this.current)
  }

  apply({ outcomes, state }: UiStep): void {
    this.state = state
    for (const outcome of outcomes) this.follow(outcome)
    this.waiting.wakeAll()
  }

  private follow(outcome: UiOutcome): void {
    switch (outcome._tag) {
      case "Opened":
        this.isUnreadSoFar = !outcome.isContinued || this.unread.some((one) => one === this.current && !one.isRead)
        // it is in the message that is said now
        if (outcome.isContinued) this.unread = this.unread.filter((one) => one !== this.current)
        this.current = new Segment(this.maxBytes, outcome.isContinued ? this.current?.message ?? [] : [])
        this.number++
        if (this.requests > 0) this.kept.push([this.number, this.current])
        return
      case "Chunk":
        return this.current?.push(outcome.chunk)
      case "Answers":
        this.current?.answers.add(outcome.userMessageId)
        return
      case "Ended":
        return this.endCurrent()
      case "Missed":
        this.missed++
    }
  }

  private endCurrent(): void {
    const { current } = this
    if (current === undefined || current.isEnded) return
    current.end()
    // else a page has what it goes on with, and reads the rest where it has answered
    if (this.isUnreadSoFar) this.unread.push(current)
    let bytes = this.unread.reduce((sum, segment) => sum + segment.messageBytes, 0)
    while (bytes > this.maxBytes) bytes -= this.unread.shift()?.messageBytes ?? bytes
  }

  /** The oldest message that no page has read to its end; it stays until one has. */
  get oldestUnread(): Stream.Stream<UiMessageChunk> | undefined {
    this.unread = this.unread.filter(({ isRead }) => !isRead)
    return this.unread[0]?.whole
  }

  /** Nothing that was said so far is kept for a page that asks: it has read it elsewhere. */
  forgetUnread(): void {
    this.unread = []
  }

  /** The message that is being said, from its very beginning. */
  get whole(): Stream.Stream<UiMessageChunk> | undefined {
    return this.open?.whole
  }

  /** Whether a call of the message asks this. */
  isAskedBy({ toolRequest: { callId } }: TaskApproval): boolean {
    return this.state.message?.calls.get(callId) === "Suspended"
  }

  get isPaused(): boolean {
    return this.state.message?.isOpen === false
  }

  /** Nothing more is said. */
  end(): void {
    this.isOver = true
    this.endCurrent()
    this.waiting.wakeAll()
  }

  get open(): Segment | undefined {
    return this.current?.isEnded === false ? this.current : undefined
  }

  get hasBackground(): boolean {
    return this.state.background.size > 0
  }

  /** The segments from the open one on are kept until the scope closes. */
  readonly listen: Effect.Effect<(isIt: (segment: Segment) => boolean) => Segment | undefined, never, Scope.Scope> =
    Effect.acquireRelease(
      Effect.sync(() => {
        this.requests++
        const { number, open } = this
        const from = open === undefined ? number + 1 : number
        if (open !== undefined && this.kept.at(-1)?.[1] !== open) this.kept.push([number, open])
        return (isIt: (segment: Segment) => boolean) => this.kept.find(([at, one]) => at >= from && isIt(one))?.[1]
      }),
      () =>
        Effect.sync(() => {
          if (--this.requests === 0) this.kept = []
        })
    )

  /** What `find` gives, as soon as it gives something; `None` once nothing more is to come. */
  await(find: () => Segment | undefined, isInVain: () => boolean = () => false): Effect.Effect<Option.Option<Segment>> {
    return Effect.suspend(() => {
      const found = find()
      if (found !== undefined) return Effect.succeedSome(found)
      if (this.isOver || isInVain()) return Effect.succeedNone
      return Effect.zipRight(
        this.waiting.parkUnless(() => this.isOver || isInVain() || find() !== undefined),
        this.await(find, isInVain)
      )
    })
  }
}

const toStream = (found: Option.Option<Segment>) =>
  Option.match(found, { onNone: () => Stream.empty, onSome: ({ stream }) => stream })

/** An answer of a page, the question that is open, and whether a message waits for it. */
interface Answering {
  readonly answer: UiAnswer
  readonly asked: TaskApproval
  readonly holdsUp: boolean
}

/** Why an open question has not taken its answer. */
const notTaken = (error: Effect.Effect.Error<ReturnType<AgentSession["approve" | "reject"]>>) => {
  switch (error._tag) {
    case "TaskNotFound":
      return new QuestionNotOpen()
    case "ApprovalMismatch":
      return error.field === "answers" ? new AnswerRefused({ reason: "AsksForMore" }) : new QuestionNotOpen()
    case "TaskLimitReached":
      return new AnswerRefused({ reason: "TooManyTasks" })
    case "TaskCancelled":
    case "TaskManagerShutdown":
      return new AnswerRefused({ reason: "Stopped" })
  }
}

export const makeUiMessageStream = (
  session: AgentSession,
  { maxMessageUnits = defaultUnits, startPeriod = 50, whilePaused = "refuse" }: UiMessageStreamOptions
) =>
  Effect.gen(function*() {
    const maxBytes = integerOf("UiMessageStreamOptions.maxMessageUnits", maxMessageUnits, 1)
    const period = millisOf("UiMessageStreamOptions.startPeriod", startPeriod)
    const prefix = (yield* Random.nextIntBetween(0, 2 ** 31)).toString(36)
    const scope = yield* Effect.scope
    let joined = yield* joinSession(session, scope)
    const chat = new Chat(begin(joined.state, prefix), maxBytes)

    let isFollowing = false
    const rejoin = Effect.gen(function*() {
      const { leave } = joined
      joined = yield* joinSession(session, scope)
      yield* leave
      chat.join(reset(chat.state, joined.state))
    })
    const pauseLater = Effect.suspend(() =>
      blockedBy(chat.state) === "Maybe"
        ? Effect.asSome(Effect.fork(Effect.delay(Effect.sync(() => chat.apply(pause(chat.state))), period)))
        : Effect.succeedNone
    )
    const follow = Effect.gen(function*() {
      const pausing = yield* pauseLater
      const event = yield* Effect.map(Effect.suspend(() => Queue.take(joined.events)), (taken) => {
        isFollowing = true
        return taken
      })
      if (Option.isSome(pausing)) yield* Fiber.interrupt(pausing.value)
      if (event._tag === "Reset") yield* rejoin
      else chat.apply(next(chat.state, event))
      isFollowing = false
    })
    yield* Effect.forkScoped(Effect.ensuring(Effect.forever(follow), Effect.sync(() => chat.end())))

    /** Whether something has happened that is not told yet. */
    const isBehind = Effect.suspend(() =>
      isFollowing ? Effect.succeed(true) : Effect.map(Queue.size(joined.events), (waiting) => waiting > 0)
    )

    const history: Effect.Effect<ReadonlyArray<UiMessage>> = Effect.gen(function*() {
      const { approvals, live } = yield* Effect.scoped(session.watch)
      const { entries } = yield* session.transcript
      // what the transcript has must be in the messages, or it would be told twice
      if (!chat.isOver && (yield* isBehind)) return yield* Effect.zipRight(Effect.yieldNow(), history)
      chat.forgetUnread()
      const { message, turnId } = chat.state
      const current = message === undefined || turnId === undefined ? undefined : { ...message, turnId }
      return historyOf(entries, { current, live, approvals })
    })

    const answerOne = ({ answer: { approved, reason }, asked }: Answering) =>
      (approved ? session.approve(asked) : session.reject(asked, reason)).pipe(Effect.mapError(notTaken))

    /** Hands in all of them, and gives those that were taken and why others were not. */
    const answerAll = (given: ReadonlyArray<Answering>) =>
      Effect.suspend(() => {
        const taken: Array<Answering> = []
        chat.apply(answering(chat.state, given.map(({ asked }) => asked.toolRequest.callId)))
        const each = Effect.forEach(given, (one) =>
          Effect.match(answerOne(one), {
            onSuccess: () => {
              taken.push(one)
              return []
            },
            onFailure: (error) => [error]
          }))
        return Effect.map(each, (refused) => ({ taken, refused: refused.flat() })).pipe(
          // also of those that an interrupt has left
          Effect.ensuring(Effect.sync(() => {
            for (const one of given) {
              if (!taken.includes(one)) chat.apply(unanswered(chat.state, one.asked.toolRequest.callId))
            }
          }))
        )
      })

    return {
      send: (message: UserInput) =>
        Effect.scoped(Effect.gen(function*() {
          if (whilePaused === "refuse" && chat.isPaused) return yield* new QuestionOpen()
          const segment = yield* chat.listen
          const { missed } = chat
          const messageId = yield* session.submit(message)
          const answer = yield* chat.await(
            () => segment(({ answers }) => answers.has(messageId)),
            () => chat.missed > missed
          )
          return toStream(answer)
        })),
      answer: (answers: ReadonlyArray<UiAnswer>) =>
        Effect.scoped(Effect.gen(function*() {
          const segment = yield* chat.listen
          const open = yield* session.approvals
          const given = answers.flatMap((answer): ReadonlyArray<Answering> => {
            const asked = open.find(({ approval }) => approval.asking === answer.approvalId)
            return asked === undefined ? [] : [{ answer, asked, holdsUp: chat.isAskedBy(asked) }]
          })
          const { refused, taken } = yield* answerAll(given)
          if (taken.length === 0) {
            // one that says what to do, before one that was for nothing
            return yield* refused.find(({ _tag }) => _tag === "AnswerRefused") ?? new QuestionNotOpen()
          }
          // what is asked in the background holds up no message, and may bring none
          const holdsUp = taken.some((one) => one.holdsUp)
          const isInVain = () => chat.state.message === undefined || chat.isPaused && !holdsUp
          const approvalIds = new Set(taken.map(({ answer: { approvalId } }) => approvalId))
          return Option.match(yield* chat.await(() => segment(() => true), isInVain), {
            onNone: () => Stream.empty,
            onSome: (found) => found.since(approvalIds)
          })
        })),
      resume: Effect.suspend(() => {
        const said = chat.oldestUnread ?? chat.whole
        if (said !== undefined) return Effect.succeedSome(said)
        // a page that waits sends no answers
        if (chat.isPaused || !chat.hasBackground) return Effect.succeedNone
        const next = Effect.gen(function*() {
          const segment = yield* chat.listen
          // what a paused message goes on with is for the page that answers
          return toStream(
            yield* chat.await(() => segment(({ isContinued }) => !isContinued), () => !chat.hasBackground)
          )
        })
        return Effect.succeedSome(Stream.unwrap(Effect.scoped(next)))
      }),
      history,
      stop: session.interrupt
    }
  })

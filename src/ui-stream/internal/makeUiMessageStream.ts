/** Follows the events of a session, and gives each page the message that it asks for. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { AgentSession, UserInput } from "../../ai/loop/AgentSession.js"
import { millisOf } from "../../shared/durations.js"
import { ParkedReaders } from "../../shared/ParkedReaders.js"
import { integerOf } from "../../shared/refusals.js"
import { QuestionNotOpen, QuestionOpen } from "../errors.js"
import type { UiMessage } from "../UiMessage.js"
import type { UiMessageChunk } from "../UiMessageChunk.js"
import type { UiAnswer, UiMessageStreamOptions } from "../UiMessageStreamOptions.js"
import { historyOf } from "./history.js"
import { begin, next, pause } from "./messages.js"
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
  /** What was said of its message before it was paused. */
  private earlier: ReadonlyArray<Segment> = []
  private number = 0
  /** How often events were missed. */
  missed = 0
  /** For each request that waits for its segment, the last segments; nothing is kept where none waits. */
  private requests = 0
  private kept: Array<readonly [number: number, segment: Segment]> = []
  /** What was said while no page was there, oldest first. */
  private unread: Array<Segment> = []
  isOver = false

  constructor(begun: UiStep, maxBytes: number) {
    this.maxBytes = maxBytes
    this.state = begun.state
    this.apply(begun)
  }

  apply({ outcomes, state }: UiStep): void {
    this.state = state
    for (const outcome of outcomes) this.follow(outcome)
    this.waiting.wakeAll()
  }

  private follow(outcome: UiOutcome): void {
    switch (outcome._tag) {
      case "Opened":
        this.earlier = outcome.isContinued && this.current !== undefined ? [...this.earlier, this.current] : []
        this.current = new Segment(this.maxBytes, outcome.isContinued)
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
    // a page has what a continued one goes on with, or cannot use it
    if (!current.isContinued) this.unread.push(current)
    let bytes = this.unread.reduce((sum, segment) => sum + segment.bytes, 0)
    while (bytes > this.maxBytes) bytes -= this.unread.shift()?.bytes ?? bytes
  }

  /** The oldest message that no page has read to its end; it stays until one has. */
  get oldestUnread(): Segment | undefined {
    this.unread = this.unread.filter(({ isRead }) => !isRead)
    return this.unread[0]
  }

  /** Nothing that was said so far is kept for a page that asks: it has read it elsewhere. */
  forgetUnread(): void {
    this.unread = []
  }

  /** The message that is being said, from its very beginning. */
  get whole(): Stream.Stream<UiMessageChunk> | undefined {
    const { earlier, open } = this
    if (open === undefined) return undefined
    if (earlier.length === 0) return open.stream
    const before = earlier.flatMap(({ said }) => said)
    return Stream.take(open.stream, 1).pipe(
      Stream.concat(Stream.fromIterable(before)),
      Stream.concat(Stream.drop(open.stream, 1))
    )
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

export const makeUiMessageStream = (
  session: AgentSession,
  { maxMessageUnits = defaultUnits, startPeriod = 50, whilePaused = "refuse" }: UiMessageStreamOptions
) =>
  Effect.gen(function*() {
    const maxBytes = integerOf("UiMessageStreamOptions.maxMessageUnits", maxMessageUnits, 1)
    const period = millisOf("UiMessageStreamOptions.startPeriod", startPeriod)
    const prefix = (yield* Random.nextIntBetween(0, 2 ** 31)).toString(36)
    const { events, ...state } = yield* session.watch
    const chat = new Chat(begin(state, prefix), maxBytes)

    let pausing: Fiber.RuntimeFiber<void> | undefined
    let isFollowing = false
    const follow = Effect.gen(function*() {
      const event = yield* Effect.map(Queue.take(events), (taken) => {
        isFollowing = true
        return taken
      })
      if (pausing !== undefined) yield* Fiber.interrupt(pausing)
      pausing = undefined
      chat.apply(next(chat.state, event))
      isFollowing = false
      if (blockedBy(chat.state) !== "Maybe") return
      pausing = yield* Effect.fork(Effect.delay(Effect.sync(() => chat.apply(pause(chat.state))), period))
    })
    yield* Effect.forkScoped(Effect.ensuring(Effect.forever(follow), Effect.sync(() => chat.end())))

    /** Whether something has happened that is not told yet. */
    const isBehind = Effect.map(Queue.size(events), (waiting) => isFollowing || waiting > 0)

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

    const answerOne = (answer: UiAnswer) =>
      Effect.gen(function*() {
        const asked = (yield* session.approvals).find(({ approval }) => approval.asking === answer.approvalId)
        if (asked === undefined) return false
        return yield* (answer.approved ? session.approve(asked) : session.reject(asked, answer.reason)).pipe(
          Effect.isSuccess
        )
      })

    return {
      send: (message: UserInput) =>
        Effect.scoped(Effect.gen(function*() {
          if (whilePaused === "refuse" && chat.isPaused) return yield* new QuestionOpen()
          const segment = yield* chat.listen
          const { missed } = chat
          const messageId = yield* session.submit(message)
          const answering = yield* chat.await(
            () => segment(({ answers }) => answers.has(messageId)),
            () => chat.missed > missed
          )
          return toStream(answering)
        })),
      answer: (answers: ReadonlyArray<UiAnswer>) =>
        Effect.scoped(Effect.gen(function*() {
          const segment = yield* chat.listen
          const taken = yield* Effect.forEach(answers, answerOne)
          if (!taken.includes(true)) return yield* new QuestionNotOpen()
          // what is asked in the background holds up no message, and may bring none
          const isInVain = () => chat.state.message === undefined
          return toStream(yield* chat.await(() => segment(() => true), isInVain))
        })),
      resume: Effect.suspend(() => {
        const said = chat.oldestUnread?.stream ?? chat.whole
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

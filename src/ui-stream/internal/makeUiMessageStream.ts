/** Follows the events of a session, and gives each page the message that it asks for. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { AgentSession } from "../../ai/loop/AgentSession.js"
import { millisOf } from "../../shared/durations.js"
import { ParkedReaders } from "../../shared/ParkedReaders.js"
import { integerOf } from "../../shared/refusals.js"
import { QuestionNotOpen } from "../errors.js"
import type { UiAnswer, UiMessageStream, UiMessageStreamOptions } from "../UiMessageStream.js"
import { begin, blockedBy, next, pause, type UiOutcome, type UiState, type UiStep } from "./messages.js"
import { Segment } from "./Segment.js"

const defaultUnits = 16_777_216

/** What is said, and who waits for it. */
class Chat {
  private readonly maxBytes: number
  private readonly waiting = new ParkedReaders()
  state: UiState
  /** The last one, which is open or has ended. */
  private current: Segment | undefined = undefined
  private number = 0
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
        this.current = new Segment(this.maxBytes)
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
    }
  }

  private endCurrent(): void {
    const { current } = this
    if (current === undefined || current.isEnded) return
    current.end()
    if (!current.isRead) this.unread.push(current)
    let bytes = this.unread.reduce((sum, segment) => sum + segment.bytes, 0)
    while (bytes > this.maxBytes) bytes -= this.unread.shift()?.bytes ?? bytes
  }

  /** The oldest message that no page has read. */
  takeUnread(): Segment | undefined {
    this.unread = this.unread.filter(({ isRead }) => !isRead)
    return this.unread.shift()
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
  { maxMessageUnits = defaultUnits, startPeriod = 50 }: UiMessageStreamOptions
): Effect.Effect<UiMessageStream, never, Scope.Scope> =>
  Effect.gen(function*() {
    const maxBytes = integerOf("UiMessageStreamOptions.maxMessageUnits", maxMessageUnits, 1)
    const period = millisOf("UiMessageStreamOptions.startPeriod", startPeriod)
    const prefix = (yield* Random.nextIntBetween(0, 2 ** 31)).toString(36)
    const { events, ...state } = yield* session.watch
    const chat = new Chat(begin(state, prefix), maxBytes)

    let pausing: Fiber.RuntimeFiber<void> | undefined
    const follow = Effect.gen(function*() {
      const event = yield* Queue.take(events)
      if (pausing !== undefined) yield* Fiber.interrupt(pausing)
      pausing = undefined
      chat.apply(next(chat.state, event))
      if (blockedBy(chat.state) !== "Maybe") return
      pausing = yield* Effect.fork(Effect.delay(Effect.sync(() => chat.apply(pause(chat.state))), period))
    })
    yield* Effect.forkScoped(Effect.ensuring(Effect.forever(follow), Effect.sync(() => chat.end())))

    const answerOne = (answer: UiAnswer) =>
      Effect.gen(function*() {
        const asked = (yield* session.approvals).find(({ approval }) => approval.asking === answer.approvalId)
        if (asked === undefined) return false
        return yield* (answer.approved ? session.approve(asked) : session.reject(asked, answer.reason)).pipe(
          Effect.isSuccess
        )
      })

    return {
      send: (message) =>
        Effect.scoped(Effect.gen(function*() {
          const segment = yield* chat.listen
          const messageId = yield* session.submit(message)
          return toStream(yield* chat.await(() => segment(({ answers }) => answers.has(messageId))))
        })),
      answer: (answers) =>
        Effect.scoped(Effect.gen(function*() {
          const segment = yield* chat.listen
          const taken = yield* Effect.forEach(answers, answerOne)
          if (!taken.includes(true)) return yield* new QuestionNotOpen()
          // what is asked in the background holds up no message, and may bring none
          const isInVain = () => chat.state.message === undefined
          return toStream(yield* chat.await(() => segment(() => true), isInVain))
        })),
      resume: Effect.suspend(() => {
        const unread = chat.takeUnread() ?? chat.open
        if (unread !== undefined) return Effect.succeedSome(unread.stream)
        if (!chat.hasBackground) return Effect.succeedNone
        return Effect.succeedSome(Stream.unwrapScoped(Effect.gen(function*() {
          const segment = yield* chat.listen
          return toStream(yield* chat.await(() => segment(() => true), () => !chat.hasBackground))
        })))
      }),
      stop: session.interrupt
    }
  })

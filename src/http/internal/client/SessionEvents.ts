/**
 * The events of a session of an agent loop, at a client. A connection that breaks is made again, and so it is for a reader that has fallen out:
 * each begins with the session as it is, which is told as a `Reset` where it is not the first.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { AgentEvent, AgentSessionState } from "../../../ai/loop/AgentEvent.js"
import type { AgentSessionWatch } from "../../../ai/loop/AgentSession.js"
import type { SessionId } from "../../../model/ids.js"
import type { EventSubscription } from "../../../shared/EventSubscription.js"
import { monotonicNow } from "../../../shared/monotonic.js"
import { writtenText } from "../../api/internal/addressText.js"
import type { TaskManagerUnreachable } from "../../TaskManagerUnreachable.js"
import { follow } from "./follow.js"
import type { Frame } from "./FrameReader.js"
import { type Link, mayPass } from "./Link.js"
import { type Bounds, eventBytes, ResetEvents } from "./ResetEvents.js"

const decodeEvent = Schema.decodeUnknownSync(AgentEvent)
const decodeState = Schema.decodeUnknownSync(AgentSessionState)

const closed: AgentSessionState = { phase: "Closed", approvals: [], live: [] }

class SessionEvents {
  readonly opened = Deferred.unsafeMake<AgentSessionState>(FiberId.none)
  private readonly resetting: ResetEvents<AgentEvent>
  private readonly link: Link
  private readonly path: string
  private readonly since: number
  private isOpen = false
  private isEnded = false
  private broken: Deferred.Deferred<void> | undefined = undefined
  private hasWarned = false

  constructor(link: Link, sessionId: SessionId, bounds: Bounds, since: number) {
    this.link = link
    this.path = `/api/sessions/${encodeURIComponent(writtenText(sessionId))}/events`
    this.since = since
    this.resetting = new ResetEvents<AgentEvent>(bounds, {
      isEnded: () => this.isEnded,
      empty: { _tag: "Reset", ...closed },
      // the next connection begins with the session as it is then
      ask: () => {
        if (this.broken !== undefined) Deferred.unsafeDone(this.broken, Effect.void)
      }
    })
  }

  get events(): EventSubscription<AgentEvent> {
    return this.resetting.events
  }

  private hear(frame: Frame): void {
    const { data, event } = frame
    if (event === "state") this.begin(decodeState(data), eventBytes(frame))
    else if (event === "end") this.end()
    // what came before the state that was asked for is in it
    else if (event === "agent" && !this.resetting.isAsking) {
      this.events.unsafeOffer(decodeEvent(data), eventBytes(frame))
    }
  }

  private begin(state: AgentSessionState, bytes: number): void {
    if (this.isOpen) return this.resetting.reset({ _tag: "Reset", ...state }, bytes)
    this.isOpen = true
    Deferred.unsafeDone(this.opened, Effect.succeed(state))
  }

  private end(): void {
    this.isEnded = true
    Deferred.unsafeDone(this.opened, Effect.succeed(closed))
    this.events.unsafeWake()
  }

  private failed(error: TaskManagerUnreachable): Effect.Effect<void> {
    return Effect.flatMap(monotonicNow, (now) => {
      if (error.status === 404) this.end()
      const isOld = !this.isOpen && now - this.since >= this.link.patienceMillis && error.reason !== "TooMany"
      if (!mayPass(error) || isOld) {
        Deferred.unsafeDone(this.opened, Effect.die(error))
        this.end()
      }
      if (error.reason !== "TooMany" || this.hasWarned) return Effect.void
      this.hasWarned = true
      return Effect.logWarning("The events of a session wait: the server has as many event streams open as it allows")
    })
  }

  get listen(): Effect.Effect<void> {
    return follow(this.link, {
      path: this.path,
      connected: (broken) => this.broken = broken,
      hear: (frame) => this.hear(frame),
      failed: (error) => this.failed(error),
      goesOn: () => !this.isEnded
    })
  }
}

/** The session as it is and what happens from then on, until the scope closes. */
export const watchSession = (
  link: Link,
  sessionId: SessionId,
  bounds: Bounds
): Effect.Effect<AgentSessionWatch, never, Scope.Scope> =>
  Effect.gen(function*() {
    const since = yield* monotonicNow
    const session = yield* Effect.acquireRelease(
      Effect.sync(() => new SessionEvents(link, sessionId, bounds, since)),
      ({ events }) => Effect.sync(() => events.unsafeClose())
    )
    yield* Effect.forkScoped(Effect.interruptible(session.listen))
    const state = yield* Deferred.await(session.opened)
    return { ...state, events: session.events }
  })

/** The calls of the protocol, carried out with the conversations of a group. */
import * as Effect from "effect/Effect"
import * as Hash from "effect/Hash"
import * as Queue from "effect/Queue"
import type { Group, OpenGroup } from "../../../cluster/internal/Group.js"
import type { KeepingAlive } from "../../../cluster/internal/keepingAlive.js"
import { GroupNotReady } from "../../../cluster/internal/protocol.js"
import type { SessionId } from "../../../model/ids.js"
import type { AgentEvent } from "../../loop/AgentEvent.js"
import type { AgentSession } from "../../loop/AgentSession.js"
import type { SessionClosed, TranscriptStoreError } from "../../loop/errors.js"
import { hasHadMessage } from "../../loop/internal/hadMessages.js"
import type { Transcript } from "../../transcript/Transcript.js"
import { type Host, hostOf } from "./Host.js"
import {
  type AgentHandlers,
  agentProtocolVersion,
  type Answer,
  type Base,
  type Batch,
  type CallHeader
} from "./protocol.js"

/** Names a transcript, so that a change is put in the place of the one that it was made of. */
export const baseOf = ({ entries }: Transcript): Base => ({
  entries: entries.length,
  hash: Hash.string(JSON.stringify(entries))
})

const isBase = (transcript: Transcript, { entries, hash }: Base): boolean => {
  const base = baseOf(transcript)
  return base.entries === entries && base.hash === hash
}

/** Returns once a turn is running, or none is about to begin. */
const turnOrIdle = (session: AgentSession): Effect.Effect<void> => {
  const turn = Effect.scoped(Effect.flatMap(session.watch, ({ events, turnId }) =>
    turnId !== undefined
      ? Effect.void
      : Effect.asVoid(Effect.repeat(Queue.take(events), { until: ({ _tag }) => _tag === "TurnStarted" }))))
  return Effect.race(session.waitForIdle, turn)
}

/** The transcript is another one by now. */
const isOther = Symbol()

/** Puts a transcript in the place of the one that it was made of; false if that is not there any more. */
const rewrite = (session: AgentSession, base: Base, transcript: Transcript) =>
  Effect.suspend(() => {
    let isDone = false
    const change = (now: Transcript): Transcript => {
      // also where it was done before, and the answer was lost
      isDone = isBase(now, base) || isBase(now, baseOf(transcript))
      if (!isDone) throw isOther
      return transcript
    }
    return Effect.as(session.rewrite(change), true).pipe(
      Effect.catchAllDefect((defect) => defect === isOther ? Effect.succeed(false) : Effect.die(defect))
    )
  })

/** A client that is of another version is told so: it must not wait for its patience. */
const otherVersion = ({ version }: CallHeader): Effect.Effect<never> =>
  Effect.die(
    new Error(
      `The client speaks version ${version} of the protocol of conversations, and this runner ${agentProtocolVersion}`
    )
  )

/** What a group is told of a call that takes nothing of tasks. */
const headerOf = ({ call, stopped, under }: CallHeader) => ({
  call,
  under,
  stopped,
  taken: [],
  putBack: [],
  dropped: [],
  readers: []
})

/** Whether a turn has ended because nothing could be written. */
const mayBeFenced = (event: AgentEvent): boolean =>
  event._tag === "TurnEnded" && event.reason._tag === "Failed" &&
  (event.reason.error.reason === "Store" || event.reason.error.reason === "Internal")

/** A runner that was taken over, and has not seen it by its own journal yet, must not tell that a turn has failed of it. */
const unlessFenced = ({ journal }: OpenGroup): Effect.Effect<void, GroupNotReady> =>
  journal.acknowledge({ resolutions: [] }).pipe(
    // the database is away: that is what the turn has failed of
    Effect.catchTag("SqlError", () => Effect.void),
    Effect.mapError(() => new GroupNotReady())
  )

interface Told<A> {
  readonly news: ReadonlyArray<Batch>
  readonly value: A
}

export const handlersOf = (group: Group, keeping: KeepingAlive): AgentHandlers => {
  /** Carries out a call with what lives in the group, and tells what the readers of its client have missed. */
  const answer = <A, E>(
    header: CallHeader,
    use: (host: Host) => Effect.Effect<A, E>,
    options?: { readonly isKept?: boolean | undefined }
  ): Effect.Effect<Answer<A>, E | GroupNotReady> =>
    header.version !== agentProtocolVersion ? otherVersion(header) : Effect.map(
      group.answer(headerOf(header), (open): Effect.Effect<Told<A>, E | GroupNotReady> => {
        const host = hostOf(open)
        return host === undefined ? new GroupNotReady() : Effect.flatMap(
          Effect.exit(use(host)),
          (exit): Effect.Effect<Told<A>, E | GroupNotReady> => {
            // what came of it does not count: whoever has the sessions next is asked again
            if (host.isLeaving) return new GroupNotReady()
            const news = host.readers.news(header.readers)
            const told = Effect.map(exit, (value) => ({ value, news }))
            return news.some(({ events }) => events.some(mayBeFenced))
              ? Effect.zipRight(unlessFenced(open), told)
              : told
          }
        )
      }, options),
      (answered): Answer<A> =>
        answered._tag === "Waiting"
          ? answered
          : { _tag: "Done", news: answered.value.news, value: answered.value.value }
    )

  const withSession = <A, E>(
    { header, sessionId }: { readonly header: CallHeader; readonly sessionId: SessionId },
    use: (session: AgentSession) => Effect.Effect<A, E>,
    options?: { readonly isKept?: boolean | undefined }
  ): Effect.Effect<Answer<A>, E | SessionClosed | TranscriptStoreError | GroupNotReady> =>
    answer(header, (host) => host.use(sessionId, use), options)

  const once = { isKept: true }
  const nothing = <E>(self: Effect.Effect<unknown, E>): Effect.Effect<null, E> => Effect.as(self, null)

  return {
    Open: ({ payload: { header, sessionId, transcript } }) =>
      answer(header, (host) => nothing(host.open(sessionId, transcript ?? undefined, () => Effect.void))),
    Submit: ({ payload: { content, messageId, ...of } }) =>
      keeping.during(withSession(of, (session) => nothing(session.submit(content, { messageId })), once)),
    Withdraw: ({ payload: { messageId, ...of } }) => withSession(of, (session) => session.withdraw(messageId), once),
    Resume: ({ payload }) => keeping.during(withSession(payload, (session) => nothing(session.resume), once)),
    Interrupt: ({ payload }) => withSession(payload, (session) => session.interrupt, once),
    Approvals: ({ payload }) => withSession(payload, (session) => session.approvals),
    Approve: ({ payload: { answered, ...of } }) =>
      keeping.during(withSession(of, (session) => nothing(session.approve(answered)), once)),
    Answer: ({ payload: { answered, answers, ...of } }) =>
      keeping.during(
        withSession(of, (session) => nothing(session.answer(answered, Object.fromEntries(answers))), once)
      ),
    Reject: ({ payload: { answered, reason, ...of } }) =>
      keeping.during(withSession(of, (session) => nothing(session.reject(answered, reason ?? undefined)), once)),
    Steer: ({ payload: { message, taskId, ...of } }) =>
      withSession(of, (session) => nothing(session.steer(taskId, message)), once),
    Rewrite: ({ payload: { base, transcript, ...of } }) =>
      withSession(of, (session) => rewrite(session, base, transcript), once),
    Read: ({ payload: { header, sessionId } }) => answer(header, (host) => host.sessions.read(sessionId)),
    Remove: ({ payload: { header, sessionId } }) => answer(header, (host) => nothing(host.sessions.remove(sessionId))),
    HasMessage: ({ payload: { messageId, ...of } }) => withSession(of, (session) => hasHadMessage(session, messageId)),
    WaitForIdle: ({ payload }) => withSession(payload, (session) => nothing(session.waitForIdle)),
    Close: ({ payload: { header, sessionId } }) => answer(header, (host) => host.end(sessionId), once),
    Watch: ({ payload: { header, messageId, reader, sessionId } }) =>
      answer(header, (host) =>
        host.use(sessionId, (session) =>
          Effect.gen(function*() {
            if (messageId === null) return { state: yield* host.readers.open(reader, session), hasMessage: false }
            // one that was opened just now is about to go on
            yield* turnOrIdle(session)
            // before the reader begins: what a turn stores from then on is told
            const isStored = yield* hasHadMessage(session, messageId)
            return { state: yield* host.readers.open(reader, session), hasMessage: isStored }
          }))),
    Unwatch: ({ payload: { header, readers } }) => answer(header, (host) => nothing(host.readers.close(readers))),
    Poll: ({ payload: { header } }) => answer(header, (host) => nothing(host.readers.awaitNews(header.readers)))
  }
}

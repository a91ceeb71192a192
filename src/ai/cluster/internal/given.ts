/**
 * What a host without types may give, looked at before it is sent: the protocol would refuse it with all of its schema. Halves of
 * characters are replaced, for a wire would make several characters of each.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { refuseUnstorable } from "../../../durable/internal/checks.js"
import { SessionId, TaskId } from "../../../model/ids.js"
import { refuseUnless } from "../../../shared/refusals.js"
import { wellFormedText } from "../../../shared/wellFormed.js"
import { Transcript } from "../../transcript/Transcript.js"
import { Answered } from "./protocol.js"

const isSessionId = Schema.is(SessionId)
const isTaskId = Schema.is(TaskId)
const isAnswered = Schema.is(Answered)
const isTranscript = Schema.is(Transcript)

/** Throws for an id that no session can have. */
export const checkSessionId = (sessionId: SessionId): void => {
  refuseUnless(isSessionId(sessionId), "sessionId", "the id of a session", sessionId)
  refuseUnstorable("AgentCluster", "sessionId", sessionId)
}

/** Throws unless it is a transcript. */
export const checkTranscript = (field: string, transcript: Transcript): void =>
  refuseUnless(isTranscript(transcript), field, "a Transcript", transcript)

/** What was given, if it is an approval, or names one. */
export const answeredOf = (method: string, answered: Answered): Effect.Effect<Answered> =>
  Effect.sync(() => {
    refuseUnless(isAnswered(answered), `AgentSession.${method}`, "the approval that was shown", answered)
    return answered
  })

/** The reason of a rejection as it is sent. */
export const rejectionOf = (reason: string | undefined): Effect.Effect<string | null> =>
  Effect.sync(() => {
    if (reason === undefined) return null
    refuseUnless(typeof reason === "string", "AgentSession.reject", "a string as its reason", reason)
    return wellFormedText(reason)
  })

/** A message to a tool as it is sent. */
export const steeringOf = (taskId: TaskId, message: string): Effect.Effect<string> =>
  Effect.sync(() => {
    refuseUnless(isTaskId(taskId), "AgentSession.steer", "the id of a task", taskId)
    refuseUnless(typeof message === "string", "steer", "a string", message)
    return wellFormedText(message)
  })

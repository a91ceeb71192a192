/** What a session needs of its client, in either version of the protocol. */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { TaskApproval } from "../../model/Approval.js"
import type { Sent } from "./updates.js"

/** The connection is over: nothing reaches the client any more. */
export class ClientGone extends Data.TaggedError("ClientGone") {}

/** A request of the client is refused. `message` and `data` are shown to it. */
export class Refused extends Data.TaggedError("Refused")<{
  readonly code: number
  readonly message: string
  readonly data?: unknown
}> {}

export const invalidParams = (message: string, data?: unknown): Refused =>
  new Refused({ code: -32602, message, ...(data === undefined ? undefined : { data }) })

export const noSuchSession = (sessionId: string): Refused =>
  new Refused({ code: -32002, message: "Resource not found", data: { sessionId } })

export const requestCancelled: Refused = new Refused({ code: -32800, message: "Request cancelled" })

export const internalError = (message = "Internal error"): Refused => new Refused({ code: -32603, message })

/** Whether something broke down: it was neither interrupted, nor is the failure one that it says of itself. */
export const isDefect = (cause: Cause.Cause<unknown>): boolean =>
  !Cause.isInterruptedOnly(cause) && Option.isNone(Cause.failureOption(cause))

/** `Cancelled`: the client gave no answer. `Failed`: it cannot ask. */
export type Answer = "Allow" | "Always" | "Reject" | "Cancelled" | "Failed"

export interface Question {
  readonly sessionId: string
  readonly toolCallId: string
  readonly approval: TaskApproval
  readonly offersAlways: boolean
}

export interface ClientPort {
  /** Sends what is new, and returns when it was written. */
  readonly send: (sessionId: string, sent: Sent) => Effect.Effect<void, ClientGone>
  /** Asks the user. An interrupt takes the question back. */
  readonly ask: (question: Question) => Effect.Effect<Answer, ClientGone>
  /** Whether the client takes questions only while it waits for the answer to a prompt. */
  readonly asksInPromptsOnly: boolean
}

/** What the user can choose. */
export const optionsOf = ({ offersAlways }: Question) => [
  { optionId: "allow", name: "Allow", kind: "allow_once" as const },
  ...(offersAlways ? [{ optionId: "always", name: "Always allow", kind: "allow_always" as const }] : []),
  { optionId: "reject", name: "Reject", kind: "reject_once" as const }
]

/** The answer of either version to a request for permission. */
interface PermissionResponse {
  readonly outcome: { readonly outcome: string; readonly optionId?: unknown }
}

const answerOf = ({ outcome: { optionId, outcome } }: PermissionResponse): Answer => {
  if (outcome !== "selected") return "Cancelled"
  switch (optionId) {
    case "allow":
      return "Allow"
    case "always":
      return "Always"
    default:
      return "Reject"
  }
}

/** Sends updates, and returns when they were written. What cannot be made into updates is a defect, and no end of the connection. */
export const sending = <A>(
  updates: () => ReadonlyArray<A>,
  send: (update: A) => Promise<void>
): Effect.Effect<void, ClientGone> =>
  Effect.flatMap(Effect.sync(updates), (made) =>
    Effect.tryPromise({
      try: async () => {
        for (const update of made) await send(update)
      },
      catch: () => new ClientGone()
    }))

/** Asks for permission. A client that fails while it is connected cannot ask. */
export const asking = (
  isGone: () => boolean,
  ask: (signal: AbortSignal) => Promise<PermissionResponse>
): Effect.Effect<Answer, ClientGone> =>
  Effect.tryPromise({ try: ask, catch: () => new ClientGone() }).pipe(
    Effect.map(answerOf),
    Effect.catchAll((gone) => isGone() ? Effect.fail(gone) : Effect.succeed<Answer>("Failed"))
  )

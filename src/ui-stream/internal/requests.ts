/** What pages send. Nothing of it is believed but the last message: the conversation is the session's. */
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { UserInput } from "../../ai/loop/AgentSession.js"
import type { UserPart } from "../../ai/transcript/TranscriptEntry.js"
import type { UiAnswer } from "../UiMessageStreamOptions.js"

/** A message of the user, or answers to what was asked in the assistant's last message. */
export type PageRequest =
  | { readonly _tag: "Message"; readonly input: UserInput }
  | { readonly _tag: "Answers"; readonly answers: ReadonlyArray<UiAnswer> }
  | { readonly _tag: "Refused"; readonly why: string }

const TextPart = Schema.Struct({ type: Schema.Literal("text"), text: Schema.String })

const FilePart = Schema.Struct({
  type: Schema.Literal("file"),
  mediaType: Schema.String,
  url: Schema.String,
  filename: Schema.optional(Schema.String)
})

const AnsweredPart = Schema.Struct({
  state: Schema.Literal("approval-responded"),
  approval: Schema.Struct({ id: Schema.String, approved: Schema.Boolean, reason: Schema.optional(Schema.String) })
})

const Parts = Schema.Array(Schema.Unknown)

const Message = Schema.Union(
  Schema.Struct({ role: Schema.Literal("user"), parts: Parts }),
  Schema.Struct({ role: Schema.Literal("assistant"), parts: Parts })
)

const Body = Schema.parseJson(Schema.Struct({
  id: Schema.String,
  trigger: Schema.optional(Schema.String),
  messages: Schema.Array(Schema.Unknown)
}))

const Answer = Schema.parseJson(Schema.Struct({
  approvalId: Schema.String,
  approved: Schema.Boolean,
  reason: Schema.optional(Schema.String)
}))

const body = Schema.decodeUnknownOption(Body)
const answer = Schema.decodeUnknownOption(Answer)
const message = Schema.decodeUnknownOption(Message)
const textPart = Schema.decodeUnknownOption(TextPart)
const filePart = Schema.decodeUnknownOption(FilePart)
const answeredPart = Schema.decodeUnknownOption(AnsweredPart)

const refused = (why: string): PageRequest => ({ _tag: "Refused", why })

const dataUrl = /^data:([^;,]*)(?:;[^,]*)?;base64,(.*)$/s

/** A file is in the message itself: what an address names would be fetched by the provider, with whatever it may reach. */
const userPart = (part: unknown): UserPart | undefined => {
  const text = Option.getOrUndefined(textPart(part))
  if (text !== undefined) return { _tag: "Text", text: text.text }
  const file = Option.getOrUndefined(filePart(part))
  const data = file === undefined ? undefined : dataUrl.exec(file.url)?.[2]
  // an address can stand there too
  if (file === undefined || data === undefined || Either.isLeft(Encoding.decodeBase64(data))) return undefined
  const fileName = file.filename === undefined ? undefined : { fileName: file.filename }
  return { _tag: "File", mediaType: file.mediaType, data, ...fileName }
}

const userInput = (parts: ReadonlyArray<unknown>): PageRequest => {
  const input: Array<UserPart> = []
  for (const [at, part] of parts.entries()) {
    const read = userPart(part)
    if (read === undefined) {
      return refused(`The last message's parts[${at}] must be text, or a file as a base64 data URL.`)
    }
    input.push(read)
  }
  return input.length === 0 ? refused("The last message has no parts.") : { _tag: "Message", input }
}

/** The chat of a request and what it asks for. */
export const readPageRequest = (
  text: string
): { readonly chatId: string; readonly request: PageRequest } | undefined => {
  const read = Option.getOrUndefined(body(text))
  if (read === undefined) return undefined
  const of = (request: PageRequest) => ({ chatId: read.id, request })
  if (read.trigger !== undefined && read.trigger !== "submit-message") {
    return of(refused("`trigger` must be submit-message: a reply cannot be made again."))
  }
  const last = Option.getOrUndefined(message(read.messages.at(-1)))
  if (last === undefined) return of(refused("The last of `messages` must be of the user or the assistant."))
  if (last.role === "user") return of(userInput(last.parts))
  const answers = last.parts.flatMap((part) =>
    Option.match(answeredPart(part), {
      onNone: () => [],
      onSome: ({ approval: { approved, id, reason } }): Array<UiAnswer> => [{ approvalId: id, approved, reason }]
    })
  )
  return of(answers.length === 0 ? refused("The last message answers nothing.") : { _tag: "Answers", answers })
}

/** One answer by itself. */
export const readAnswer = (text: string): UiAnswer | undefined => Option.getOrUndefined(answer(text))

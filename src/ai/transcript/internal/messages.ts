/**
 * What the entries of a transcript are in a prompt. Nearly all of a prompt is that of the request before, so what an entry
 * becomes is kept with it, for as long as the entry lives and what else it was made of is the same.
 */
import * as Prompt from "@effect/ai/Prompt"
import type { ToolOutput } from "../../../model/ToolCall.js"
import { cutText } from "../../../shared/cutText.js"
import type { LateResultCodec, LateResultContext } from "../LateResultCodec.js"
import type { TranscriptEntry } from "../TranscriptEntry.js"
import { type Asked, assistantParts } from "./assistantParts.js"
import { filesOf, textPart, userPart } from "./files.js"
import { plainText, resultValue } from "./output.js"
import type { ReplyPlace } from "./providerCalls.js"
import * as texts from "./texts.js"
import { wellFormed } from "./wire.js"

/** Keeps with each entry, which never changes, what was made of it last, and gives it again if it is to be made of the same. */
const kept = <Entry extends TranscriptEntry, Inputs extends ReadonlyArray<unknown>, Made>(
  make: (entry: Entry, ...inputs: Inputs) => Made
) => {
  const last = new WeakMap<Entry, { readonly inputs: Inputs; readonly made: Made }>()
  return (entry: Entry, ...inputs: Inputs): Made => {
    const known = last.get(entry)
    if (
      known !== undefined && known.inputs.length === inputs.length &&
      inputs.every((input, index) => Object.is(input, known.inputs[index]))
    ) {
      return known.made
    }
    const made = make(entry, ...inputs)
    last.set(entry, { inputs, made })
    return made
  }
}

// an entry is JSON, and changed in its texts alone: those with halves of characters
const clean = <Entry extends TranscriptEntry>(entry: Entry): Entry => wellFormed(entry) as Entry

export const userMessage = kept((
  entry: TranscriptEntry.UserMessage,
  provider: string | undefined,
  isAnswered: boolean
): Prompt.Message => {
  const said = clean(entry).content.flatMap((part) => userPart(part, provider, isAnswered))
  return Prompt.makeMessage("user", {
    content: said.length > 0 ? said : [textPart(texts.noWords)]
  })
})

const standIn = (text: string): Prompt.Message => Prompt.makeMessage("user", { content: [textPart(text)] })

/** Before a conversation whose beginning was cut off. */
export const beginning = standIn(texts.beginningIsMissing)

/** After words of the model that are to be gone on with, where they cannot be the last ones. */
export const goOn = standIn(texts.goOn)

/** What a call is answered with: an entry, or a part of one. */
export interface Answer {
  readonly isError: boolean
  readonly output: ToolOutput
}

export const noAnswer: Answer = { isError: true, output: { _tag: "Text", text: texts.noResultYet } }

/** A late result as the answer of its call. */
export const lateAnswer = kept((late: TranscriptEntry.LateResult, maxBytes: number): Answer => {
  const { missing, text } = cutText(plainText(late.output), maxBytes)
  return missing === 0 ? late : { isError: late.isError, output: { _tag: "Text", text } }
})

const filesMessage = (files: ReadonlyArray<Prompt.UserMessagePart>): ReadonlyArray<Prompt.Message> =>
  files.length === 0 ? [] : [Prompt.makeMessage("user", { content: files })]

/**
 * A reply and its results. `wireIds` are the ids of the calls of ours, where they are not their own, and `answers` what answers them,
 * both in the order of the calls.
 */
export const replyMessages = kept((
  reply: TranscriptEntry.AssistantMessage,
  provider: Asked["provider"],
  isSure: Asked["isSure"],
  before: ReplyPlace["before"],
  after: ReplyPlace["after"],
  isLast: ReplyPlace["isLast"],
  isRepeated: ReplyPlace["isRepeated"],
  wireIds: string,
  ...answers: ReadonlyArray<Answer>
): ReadonlyArray<Prompt.Message> => {
  const ids = wireIds === "" ? [] : wireIds.split("\n")
  const parts = assistantParts(clean(reply), { provider, isSure }, { before, after, isLast, isRepeated }, ids)
  if (parts.length === 0) return []
  const said = Prompt.makeMessage("assistant", { content: parts })
  const calls = parts.flatMap((part) => part.type === "tool-call" && !part.providerExecuted ? [part] : [])
  if (calls.length === 0) return [said]
  const answerOf = (index: number): Answer => answers[index] ?? noAnswer
  const results = calls.map(({ id, name }, index) => {
    const { isError, output } = answerOf(index)
    return Prompt.makePart("tool-result", {
      id,
      name,
      isFailure: isError,
      result: wellFormed(resultValue(output)),
      providerExecuted: false
    })
  })
  const files = calls.flatMap(({ id, name }, index) => filesOf(answerOf(index).output, `${id} (${name})`))
  return [said, Prompt.makeMessage("tool", { content: results }), ...filesMessage(files)]
})

/** A late result at its place; the same for the same codec and context. */
export const lateMessages = kept((
  late: TranscriptEntry.LateResult,
  codec: LateResultCodec,
  maxNoteBytes: LateResultContext["maxNoteBytes"],
  isFirst: LateResultContext["isFirst"],
  hasPlaceholder: LateResultContext["hasPlaceholder"]
): ReadonlyArray<Prompt.Message> => [
  ...codec.render(clean(late), { maxNoteBytes, isFirst, hasPlaceholder }),
  // where they stand in the place of the placeholder, they are there already
  ...(codec.replacesPlaceholder && hasPlaceholder
    ? []
    : filesMessage(filesOf(late.output, `${late.taskId} (${late.toolName})`)))
])

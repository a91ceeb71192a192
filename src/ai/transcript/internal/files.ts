/** Files of a transcript as parts of a prompt. */
import * as Prompt from "@effect/ai/Prompt"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import type { ToolOutput, ToolOutputPart } from "../../../model/ToolCall.js"
import type { UserPart } from "../TranscriptEntry.js"
import { anthropic, isTakenByAll, takesFile } from "./providers.js"
import * as texts from "./texts.js"

type FilePart = Extract<UserPart, { readonly _tag: "File" }>

// providers refuse text that is empty or nothing but space
export const isSaid = (text: string): boolean => text.trim() !== ""

/** The type as the APIs write it. */
export const mediaTypeOf = (mediaType: string): string => mediaType === "image/jpg" ? "image/jpeg" : mediaType

const isUrl = (data: string): boolean => /^[a-z][a-z0-9+.-]*:/i.test(data) && URL.canParse(data)

export const fileData = (data: string): string | URL | Uint8Array =>
  isUrl(data) ? new URL(data) : Either.getOrElse(Encoding.decodeBase64(data), () => data)

// the client of Anthropic passes bytes on in base64, where the API wants the text itself
const dataFor = (
  provider: string | undefined,
  { data, mediaType }: { readonly data: string; readonly mediaType: string }
) =>
  provider === anthropic && mediaType === "text/plain" && !isUrl(data)
    ? Either.getOrElse(Encoding.decodeBase64String(data), () => data)
    : fileData(data)

export const textPart = (text: string): Prompt.TextPart => Prompt.makePart("text", { text })

/** A part of a message of the user. A file that the provider does not take is told, unless nobody has answered it yet: then its provider says so. */
export const userPart = (
  part: UserPart,
  provider: string | undefined,
  isAnswered: boolean
): ReadonlyArray<Prompt.UserMessagePart> => {
  if (part._tag === "Text") return isSaid(part.text) ? [textPart(part.text)] : []
  if (isAnswered && !takesFile(provider, part.mediaType)) return [textPart(texts.fileNotTaken(part.mediaType))]
  return [filePart(part, provider)]
}

const filePart = (part: FilePart, provider: string | undefined): Prompt.UserMessagePart =>
  Prompt.makePart("file", {
    mediaType: mediaTypeOf(part.mediaType),
    data: dataFor(provider, part),
    ...(part.fileName === undefined ? undefined : { fileName: part.fileName })
  })

/** Whether files of the output may follow its result, without looking into them. */
export const mayHaveFiles = (output: ToolOutput): boolean =>
  output._tag === "Parts" && output.parts.some((part) => part._tag === "Media" && isTakenByAll(part.mediaType))

const shownFile = (part: ToolOutputPart): ReadonlyArray<Prompt.UserMessagePart> => {
  if (part._tag === "Text" || !isTakenByAll(part.mediaType)) return []
  const bytes = Either.getOrElse(Encoding.decodeBase64(part.data), () => new Uint8Array())
  return bytes.length === 0
    ? []
    : [Prompt.makePart("file", { mediaType: mediaTypeOf(part.mediaType), data: bytes })]
}

/**
 * The files of an output that every provider takes, as parts of a message of the user: the clients put nothing but JSON into a
 * result. Other files are named in the result alone.
 */
export const filesOf = (output: ToolOutput, of: string): ReadonlyArray<Prompt.UserMessagePart> => {
  const files = output._tag === "Parts" ? output.parts.flatMap(shownFile) : []
  return files.length === 0 ? [] : [textPart(texts.filesFollow(of)), ...files]
}

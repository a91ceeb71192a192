/** Prompts of clients as messages of a session, and messages and results as content blocks. Plain functions. */
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import type { UserPart } from "../../ai/transcript/TranscriptEntry.js"

/** The content blocks that both versions of the protocol have, of which a client may send any. */
export interface Block {
  readonly type: string
  readonly [key: string]: unknown
}

/** A piece of what a call shows. */
export type CallContent =
  | { readonly _tag: "Text"; readonly text: string }
  | { readonly _tag: "Media"; readonly mediaType: string; readonly data: string }

/** A block that is made here. */
export type MadeBlock =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image" | "audio"; readonly mimeType: string; readonly data: string }
  | {
    readonly type: "resource"
    readonly resource: { readonly uri: string; readonly mimeType: string; readonly blob: string }
  }
  | { readonly type: "resource_link"; readonly name: string; readonly uri: string; readonly mimeType: string }

const textOf = (value: unknown): string => typeof value === "string" ? value : ""

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

/** What is known of a resource, in front of its text. */
const headed = (uri: string, text: string): UserPart => ({ _tag: "Text", text: `Resource ${uri}:\n${text}` })

/** Why a block is not taken. */
type Refusal = "Kind" | "Data"

/** A file is in the prompt itself: what an address names would be fetched by the provider or here, with whatever it may reach. */
const fileOf = (mediaType: string, data: string): UserPart | Refusal =>
  Either.isRight(Encoding.decodeBase64(data)) ? { _tag: "File", mediaType, data } : "Data"

const resourceOf = (resource: unknown): UserPart | Refusal => {
  if (!isRecord(resource)) return "Kind"
  const uri = textOf(resource["uri"])
  if (typeof resource["text"] === "string") return headed(uri, resource["text"])
  if (typeof resource["blob"] !== "string") return "Kind"
  return fileOf(textOf(resource["mimeType"]) || "application/octet-stream", resource["blob"])
}

const partOf = (block: Block, accepts: ReadonlyArray<string>): UserPart | Refusal => {
  switch (block.type) {
    case "text":
      return { _tag: "Text", text: textOf(block["text"]) }
    case "resource_link":
      return { _tag: "Text", text: `Resource link ${textOf(block["name"])}: ${textOf(block["uri"])}` }
    case "resource":
      return resourceOf(block["resource"])
    case "image":
    case "audio":
      return accepts.includes(block.type) ? fileOf(textOf(block["mimeType"]), textOf(block["data"])) : "Kind"
    default:
      return "Kind"
  }
}

/** A prompt as the parts of a message, or the first block that is not taken: its type, its place from 0, and why. */
export const messageOf = (
  blocks: ReadonlyArray<Block>,
  accepts: ReadonlyArray<string>
):
  | { readonly parts: ReadonlyArray<UserPart> }
  | { readonly refused: { readonly type: string; readonly index: number }; readonly why: Refusal } =>
{
  const parts: Array<UserPart> = []
  for (const [index, block] of blocks.entries()) {
    const part = partOf(block, accepts)
    if (typeof part === "string") return { refused: { type: block.type, index }, why: part }
    parts.push(part)
  }
  return { parts }
}

const fileBlock = (mimeType: string, data: string): MadeBlock => {
  // data that is a URL stays one
  if (/^[a-z][a-z0-9+.-]*:/iu.test(data)) return { type: "resource_link", name: mimeType, uri: data, mimeType }
  if (mimeType.startsWith("image/")) return { type: "image", mimeType, data }
  if (mimeType.startsWith("audio/")) return { type: "audio", mimeType, data }
  return { type: "resource", resource: { uri: "attachment:", mimeType, blob: data } }
}

/** A part of a message, as it is replayed. */
export const blockOfPart = (part: UserPart): MadeBlock =>
  part._tag === "Text" ? { type: "text", text: part.text } : fileBlock(part.mediaType, part.data)

/** A piece of what a call shows. */
export const blockOf = (content: CallContent): MadeBlock =>
  content._tag === "Text" ? { type: "text", text: content.text } : fileBlock(content.mediaType, content.data)

/** Text as version 2 sends the bytes of a terminal. */
export const bytesOf = (text: string): string => Encoding.encodeBase64(text)

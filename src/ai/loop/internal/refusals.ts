/**
 * What is done about a transcript that a provider has refused, so that the next request is taken. Sources: images and documents:
 * github.com/anthropics/claude-code/issues/8184, /19631, /13131, github.com/STranslate/STranslate/issues/277; items that are not
 * known any more: github.com/vercel/ai/issues/7099.
 */
import type * as AiError from "@effect/ai/AiError"
import * as standIns from "../../transcript/internal/standIns.js"
import type { Transcript } from "../../transcript/Transcript.js"
import type { RewriteReason } from "../../transcript/TranscriptEntry.js"
import { failureReason } from "./failureReason.js"

/** Another transcript, and why. */
export interface Mended {
  readonly reason: RewriteReason
  readonly entries: Transcript["entries"]
  /** The same request is made with it, once: nothing is missing in it that was not answered before. */
  readonly isAskedAgain: boolean
}

const ofFile =
  /\b(?:images?|documents?|pdf|base64|mime|attachments?|input_file|file_data|media[ _-]?types?|unsupported file)\b/iu

const ofAttachment =
  /\bitem '?[a-z]+_|\bitem with id\b|required (?:following|'?reasoning'?) item|\bsignature\b|\bencrypted_content\b|encrypted content/iu

const saidIn = (error: AiError.AiError): string =>
  [error.description, error._tag === "HttpResponseError" ? error.body : undefined, error.message].join("\n")

const relieved = (reason: RewriteReason, made: standIns.Relieved | undefined): Mended | undefined =>
  made === undefined ? undefined : { reason, entries: made.entries, isAskedAgain: made.isOld }

/**
 * What is done, if something can be. `provider` is who has refused, if that is known; `maxBytes` is the longest text that stays whole
 * in a conversation that is too long.
 */
export const mend = (
  { entries }: Transcript,
  error: AiError.AiError,
  provider: string | undefined,
  maxBytes: number
): Mended | undefined => {
  const reason = failureReason(error)
  const said = saidIn(error)
  if (reason === "ContextOverflow") {
    return relieved("TooLong", standIns.withoutLength(entries, provider, maxBytes))
  }
  if (reason !== "InvalidRequest") return undefined
  if (ofFile.test(said)) {
    const withoutFiles = relieved("FileRefused", standIns.withoutFiles(entries, provider))
    if (withoutFiles !== undefined) return withoutFiles
  }
  if (!ofAttachment.test(said)) return undefined
  const bare = standIns.withoutAttachments(entries)
  return bare === undefined ? undefined : { reason: "AttachmentsRefused", entries: bare, isAskedAgain: true }
}

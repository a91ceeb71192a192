/** The parts of a reply as `streamText` gives them, made of the parts that `generateText` gives. */
import type * as Response from "@effect/ai/Response"

/** Words and the space after them: what is put together again is the text. */
const words = (text: string): ReadonlyArray<string> => text.split(/(?<=\s)(?=\S)/u).filter((word) => word !== "")

/** JSON in two pieces, so that a reader of one piece fails. */
const halves = (json: string): ReadonlyArray<string> => {
  const middle = Math.ceil(json.length / 2)
  return [json.slice(0, middle), json.slice(middle)]
}

/** `block` names the block of text or reasoning: it is the same in its start, deltas and end. */
export const streamedParts = (part: Response.PartEncoded, block: string): ReadonlyArray<Response.StreamPartEncoded> => {
  switch (part.type) {
    case "text": {
      const metadata = part.metadata ?? {}
      return [
        { type: "text-start", id: block, metadata },
        ...words(part.text).map((delta) => ({ type: "text-delta" as const, id: block, delta })),
        { type: "text-end", id: block, metadata }
      ]
    }
    case "reasoning": {
      const metadata = part.metadata ?? {}
      return [
        { type: "reasoning-start", id: block, metadata },
        ...words(part.text).map((delta) => ({ type: "reasoning-delta" as const, id: block, delta })),
        { type: "reasoning-end", id: block, metadata }
      ]
    }
    case "tool-call": {
      const { id, name } = part
      const executed = part.providerExecuted ?? false
      return [
        { type: "tool-params-start", id, name, providerExecuted: executed },
        ...halves(JSON.stringify(part.params ?? {})).map((delta) => ({
          type: "tool-params-delta" as const,
          id,
          delta
        })),
        { type: "tool-params-end", id },
        part
      ]
    }
    default:
      return [part]
  }
}

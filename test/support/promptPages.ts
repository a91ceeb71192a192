/** Pages that show prompts as they are: each prompt in them is made by a test and put into its place. */
import type { Prompt } from "@effect/ai"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { assert, expect } from "vitest"

const partLines = (part: Prompt.Part): string => {
  switch (part.type) {
    case "text":
      return part.text
    case "reasoning":
      return `thought: ${part.text}`
    case "file":
      return `file: ${part.mediaType}`
    case "tool-call":
      return `call ${part.id}: ${part.name} ${JSON.stringify(part.params)}`
    case "tool-result": {
      const result = typeof part.result === "string" ? part.result : JSON.stringify(part.result)
      return `${part.isFailure ? "failure" : "result"} of ${part.id}: ${result}`
    }
  }
}

/** A prompt as a page shows it: a line for the role of each message, and lines for its parts. */
export const shown = (prompt: Prompt.Prompt | undefined): string =>
  (prompt?.content ?? []).map((message) =>
    [
      `── ${message.role}`,
      ...(typeof message.content === "string" ? [message.content] : message.content.map(partLines))
    ].join("\n")
  ).join("\n")

/** The page is as it should be if putting these prompts into their places changes nothing. */
export const pageShows = (name: string, prompts: ReadonlyMap<string, string>): Effect.Effect<void> => {
  const page = resolve(import.meta.dirname, "..", "..", "docs", name)
  const used: Array<string> = []
  const written = readFileSync(page, "utf8").replace(
    /(<!-- prompt: (\w+) -->\n\n```text\n).*?(```\n)/gs,
    (whole, start: string, prompt: string, end: string) => {
      used.push(prompt)
      return prompts.has(prompt) ? `${start}${prompts.get(prompt)}\n${end}` : whole
    }
  )
  assert.sameMembers(used, [...prompts.keys()])
  return Effect.promise(() => expect(written).toMatchFileSnapshot(page))
}

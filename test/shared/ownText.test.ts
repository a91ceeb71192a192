import { assert, describe, it } from "@effect/vitest"
import { ToolError } from "effect-task-manager"
import { failedResult } from "../../src/machine/results.js"
import { readToolResult } from "../../src/model/readToolResult.js"
import { approvalOf } from "../../src/model/toolFailures.js"
import { readProgress } from "../../src/runtime/launch/readProgress.js"
import { ownText } from "../../src/shared/ownText.js"
import { toJson } from "../../src/shared/toJson.js"
import { usedHeap } from "../support/heap.js"
import { approvalRequest, request } from "../support/world.js"

const pieceOf = (index: number): string => String(index % 10).repeat(2_000_000).slice(0, 200)

const resultOf = (output: unknown) => ({
  result: { _tag: "ToolResult", callId: "call-1", output, isError: false, metadata: {} },
  metadata: {}
})

/** How each kind of text of a tool is read. */
const readers: Record<string, (piece: string) => unknown> = {
  "text": (piece) => readToolResult(resultOf({ _tag: "Text", text: piece }), "tool"),
  "parts": (piece) => readToolResult(resultOf({ _tag: "Parts", parts: [{ _tag: "Text", text: piece }] }), "tool"),
  "a structured value": (piece) => toJson({ rows: [piece] }),
  "the result of a failure": (piece) =>
    failedResult(request("a"), new ToolError({ reason: "Unavailable", toolName: "tool", message: piece })),
  "what is asked": (piece) =>
    approvalOf({ _tag: "ApprovalRequired", approval: { ...approvalRequest(), summary: piece } }, "tool"),
  "progress": (piece) => readProgress({ message: piece }, "tool", () => {})
}

describe("a piece of a longer text", () => {
  for (const [name, read] of Object.entries(readers)) {
    it(`is kept without it in ${name}`, () => {
      const before = usedHeap()
      const kept = Array.from({ length: 20 }, (_, index) => read(pieceOf(index)))
      assert.isBelow(usedHeap() - before, 10_000_000)
      assert.include(JSON.stringify(kept[7]), "7".repeat(200))
    })
  }

  it("is the same text, without halves of characters", () => {
    for (const text of ["", "short", "x".repeat(13), "ω🌤".repeat(50), " leading", "  "]) {
      assert.strictEqual(ownText(text), text)
    }
    assert.strictEqual(ownText("🌤".repeat(20).slice(0, 25)), `${"🌤".repeat(12)}\ufffd`)
  })
})

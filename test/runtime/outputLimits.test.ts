import { assert, describe, it } from "@effect/vitest"
import { ToolCallId, ToolError, ToolOutput, type ToolResult } from "effect-task-manager"
import * as fc from "effect/FastCheck"
import { capExit, capProgress, capResult } from "../../src/runtime/launch/outputLimits.js"
import { cutKey } from "../../src/shared/cutText.js"

const limits = { maxResultBytes: 1_024, maxResultDepth: 3 }

const resultOf = (output: ToolOutput, metadata: Record<string, unknown> = {}): ToolResult => ({
  result: { _tag: "ToolResult", callId: ToolCallId.make("call-1"), output, isError: false, metadata },
  metadata: {}
})

const bytes = (text: string): number => new TextEncoder().encode(text).length

const textOf = ({ result }: ToolResult): string => {
  assert(result.output._tag === "Text")
  return result.output.text
}

describe("text", () => {
  it("within the limit is left alone", () => {
    const { result } = capResult(limits, resultOf(ToolOutput.Text({ text: "x".repeat(1_024) })))
    assert.deepStrictEqual(result.output, ToolOutput.Text({ text: "x".repeat(1_024) }))
    assert.deepStrictEqual(result.metadata, {})
  })

  it("beyond it keeps its beginning and its end, and says how much is missing", () => {
    const capped = capResult(limits, resultOf(ToolOutput.Text({ text: `${"a".repeat(5_000)}${"z".repeat(5_000)}` })))
    const text = textOf(capped)
    const missing = Number(/\[… (\d+) bytes cut …\]/.exec(text)?.[1])
    assert.isAtMost(bytes(text), 1_024)
    assert.match(text, /^a+\n\[… \d+ bytes cut …\]\nz+$/)
    assert.strictEqual(text.replace(/\n\[.*\]\n/, "").length + missing, 10_000)
    assert.deepStrictEqual(capped.result.metadata, { [cutKey]: { missingBytes: missing } })
  })

  it("is never cut inside a character, nor grows beyond the limit (property)", () => {
    fc.assert(fc.property(
      fc.array(fc.constantFrom("a", "é", "€", "😀"), { minLength: 600, maxLength: 1_500 }),
      (characters) => {
        const original = characters.join("")
        const text = textOf(capResult(limits, resultOf(ToolOutput.Text({ text: original }))))
        assert.isAtMost(bytes(text), 1_024)
        assert.notInclude(text, "\ufffd")
        const [head = "", tail = ""] = text.split(/\n\[… \d+ bytes cut …\]\n/)
        assert.isTrue(original.startsWith(head) && original.endsWith(tail))
      }
    ))
  })
})

describe("structured output", () => {
  it("within the limits is the same value", () => {
    const output = ToolOutput.Structured({ value: { a: { b: [1] } } })
    assert.strictEqual(capResult(limits, resultOf(output)).result.output, output)
  })

  it("nested too deep is pruned and says so", () => {
    const { result } = capResult(limits, resultOf(ToolOutput.Structured({ value: { a: { b: { c: { d: 1 } } } } })))
    assert.deepStrictEqual(
      result.output,
      ToolOutput.Structured({ value: { a: { b: { c: "[… cut: nested too deep …]" } } } })
    )
    assert.deepStrictEqual(result.metadata, { [cutKey]: { pruned: true } })
  })

  it("too large becomes its JSON text, cut in the middle", () => {
    const value = { list: Array.from({ length: 2_000 }, (_, index) => index) }
    const text = textOf(capResult(limits, resultOf(ToolOutput.Structured({ value }))))
    assert.isTrue(text.startsWith("{\"list\":[0,1,2") && text.endsWith("1999]}"))
    assert.isAtMost(bytes(text), 1_024)
  })

  it("that only looks too large in the cheap estimate stays structured", () => {
    const output = ToolOutput.Structured({ value: "x".repeat(900) })
    assert.strictEqual(capResult(limits, resultOf(output)).result.output, output)
  })

  it("keeps a key named __proto__ as data when it is pruned", () => {
    const value: unknown = JSON.parse(`{"__proto__":{"x":{"y":{"z":1}}}}`)
    const { result } = capResult(limits, resultOf(ToolOutput.Structured({ value })))
    assert.strictEqual(
      JSON.stringify(result.output),
      `{"_tag":"Structured","value":{"__proto__":{"x":{"y":"[… cut: nested too deep …]"}}}}`
    )
  })
})

describe("parts", () => {
  it("share one budget; a file that does not fit is named, not cut", () => {
    const { result } = capResult(
      limits,
      resultOf(ToolOutput.Parts({
        parts: [
          { _tag: "Text", text: "kept" },
          { _tag: "Media", mediaType: "image/png", data: "A".repeat(2_000) },
          { _tag: "Text", text: "b".repeat(3_000) }
        ]
      }))
    )
    assert(result.output._tag === "Parts")
    const [first, file, last] = result.output.parts
    assert.deepStrictEqual(first, { _tag: "Text", text: "kept" })
    assert.deepStrictEqual(file, { _tag: "Text", text: "[… a file of 2009 bytes cut …]" })
    assert(last?._tag === "Text")
    assert.match(last.text, /^b+\n\[… \d+ bytes cut …\]\nb+$/)
  })
})

describe("the rest of what a tool says", () => {
  it("metadata too large or too deep is replaced by a note", () => {
    const large = capResult(limits, resultOf(ToolOutput.Text({ text: "" }), { key: "v".repeat(5_000) }))
    assert.deepStrictEqual(large.result.metadata, { [cutKey]: { metadataBytes: 5_010 } })
    const deep = capResult(limits, resultOf(ToolOutput.Text({ text: "" }), { a: { b: { c: { d: 1 } } } }))
    assert.deepStrictEqual(deep.result.metadata, { [cutKey]: { metadata: "nested too deep" } })
  })

  it("an error keeps its reason and its cause, its message is cut", () => {
    const cause = new Error("secret")
    const exit = capExit(limits, {
      _tag: "Failed",
      error: new ToolError({ reason: "Unavailable", toolName: "t", message: "m".repeat(5_000), cause })
    })
    assert(exit._tag === "Failed")
    assert.strictEqual(exit.error.reason, "Unavailable")
    assert.strictEqual(exit.error.cause, cause)
    assert.isAtMost(bytes(exit.error.message), 1_024)
  })

  it("progress: its message is cut, data that does not fit is left out", () => {
    const progress = capProgress(limits, { message: "m".repeat(5_000), fraction: 0.5, data: "d".repeat(5_000) })
    assert.isAtMost(bytes(progress.message ?? ""), 1_024)
    assert.strictEqual(progress.fraction, 0.5)
    assert.notProperty(progress, "data")
  })
})

import { assert, describe, it } from "@effect/vitest"
import { ToolCallId, ToolError, ToolOutput, type ToolResult } from "effect-task-manager"
import * as fc from "effect/FastCheck"
import { capExit, capProgress, capResult } from "../../src/runtime/launch/outputLimits.js"
import { cutKey } from "../../src/shared/cutText.js"
import { memoryOf } from "../../src/shared/memoryOf.js"
import { isFull } from "../support/fullMode.js"

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

  it("that takes far more memory than its text says is kept as its JSON text, whole", () => {
    const value: unknown = JSON.parse(`[${"{},".repeat(300_000)}{}]`)
    const large = { ...limits, maxResultBytes: 1_048_576 }
    const { result } = capResult(large, resultOf(ToolOutput.Structured({ value })))
    assert(result.output._tag === "Text")
    assert.deepStrictEqual(JSON.parse(result.output.text), value)
    assert.deepStrictEqual(result.metadata, { [cutKey]: { asText: true } })
  })

  it("takes at most 16 times maxResultBytes of memory, and never has to take less than 1 MiB (property)", () => {
    const child = fc.constantFrom("{}", "[]", `{"400":1}`, `{"a":1}`, `"long enough to be left as it is"`)
    fc.assert(
      fc.property(
        fc.array(child, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 30_000 }),
        (some, times) => {
          const value: unknown = JSON.parse(`[${Array.from({ length: times }, () => some.join(","))}]`)
          const most = 1_048_576
          const large = { ...limits, maxResultBytes: 65_536 }
          const { output } = capResult(large, resultOf(ToolOutput.Structured({ value }))).result
          const isSmall = JSON.stringify(value).length <= large.maxResultBytes && memoryOf(value) <= most
          assert.strictEqual(output._tag, isSmall ? "Structured" : "Text")
        }
      ),
      { numRuns: isFull ? 30 : 5 }
    )
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

describe("many parts", () => {
  it("that are empty do not take sixty times their bytes in memory", () => {
    const parts = Array.from({ length: 5_000 }, () => ({ _tag: "Text" as const, text: "" }))
    const { result } = capResult(limits, resultOf(ToolOutput.Parts({ parts })))
    assert(result.output._tag === "Parts")
    assert.strictEqual(result.output.parts.length, 1_024 / 16 + 1)
    assert.deepStrictEqual(result.output.parts.at(-1), { _tag: "Text", text: "[… 4936 more parts cut …]" })
  })
})

describe("the rest of what a tool says", () => {
  it("metadata too large or too deep is replaced by a note", () => {
    const large = capResult(limits, resultOf(ToolOutput.Text({ text: "" }), { key: "v".repeat(5_000) }))
    assert.deepStrictEqual(large.result.metadata, { [cutKey]: { metadataBytes: 5_010 } })
    const deep = capResult(limits, resultOf(ToolOutput.Text({ text: "" }), { a: { b: { c: { d: 1 } } } }))
    assert.deepStrictEqual(deep.result.metadata, { [cutKey]: { metadata: "nested too deep" } })
  })

  it("metadata that takes far more memory than its text says is replaced by a note", () => {
    const rows: unknown = JSON.parse(`[${"{},".repeat(50_000)}{}]`)
    const large = { ...limits, maxResultBytes: 1_048_576 }
    const text = ToolOutput.Text({ text: "" })
    assert.deepStrictEqual(capResult(large, resultOf(text, { rows })).result.metadata, { rows })
    assert.deepStrictEqual(
      capResult({ ...large, maxResultBytes: 153_600 }, resultOf(text, { rows })).result.metadata,
      { [cutKey]: { metadata: "too large" } }
    )
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

  it("progress has at most 64 KiB, message and data together, however large a result may be", () => {
    const large = { ...limits, maxResultBytes: 16_777_216 }
    const alone = capProgress(large, { message: "m".repeat(1_000_000), data: "d" })
    assert.isAtMost(bytes(alone.message ?? ""), 65_536)
    assert.match(alone.message ?? "", /^m+\n\[… \d+ bytes cut …\]\nm+$/)
    assert.notProperty(alone, "data")
    const both = { message: "m".repeat(40_000), data: "d".repeat(25_000) }
    assert.deepStrictEqual(capProgress(large, both), both)
    assert.deepStrictEqual(capProgress(large, { ...both, data: "d".repeat(26_000) }), { message: both.message })
    // its text would fit
    const rows: unknown = JSON.parse(`[${"{\"400\":1},".repeat(5_000)}{}]`)
    assert.deepStrictEqual(capProgress(large, { fraction: 1, data: rows }), { fraction: 1, data: rows })
  })
})

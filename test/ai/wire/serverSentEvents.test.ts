/** Events as they come over the network: in pieces of any size, with any line ends, and of any length. */
import { afterEach, assert, describe, it, vi } from "@effect/vitest"
import { changingEvents } from "../../../src/ai/wire/internal/serverSentEvents.js"

const changedIn = async (text: string, chunkBytes: number): Promise<string> => {
  const bytes = new TextEncoder().encode(text)
  const sent = new ReadableStream<Uint8Array>({
    start: (controller) => {
      for (let at = 0; at < bytes.length; at += chunkBytes) controller.enqueue(bytes.subarray(at, at + chunkBytes))
      controller.close()
    }
  })
  return new Response(sent.pipeThrough(changingEvents((data) => [{ ...data, seen: true }], () => {}))).text()
}

const event = (type: string, end: string) => `event: ${type}${end}data: {"type":"${type}ä"}${end}${end}`
const seen = (type: string) => `event: ${type}ä\ndata: {"type":"${type}ä","seen":true}\n\n`

describe("events", () => {
  const sent = `${event("a", "\n")}${event("b", "\r\n")}${
    event("c", "\r")
  }: comment\n\nevent: d\ndata: {"type":"dä"}\n\r\n${event("e", "\r")}`
  const expected = `${seen("a")}${seen("b")}${seen("c")}: comment\n\n${seen("d")}${seen("e")}`

  for (const chunkBytes of [1, 2, 3, 7, 1_000]) {
    it(`end with an empty line, whatever ends it, in pieces of ${chunkBytes} bytes`, async () => {
      assert.strictEqual(await changedIn(sent, chunkBytes), expected)
      // the end has cut it off
      assert.strictEqual(
        await changedIn(`${sent}data: {"type":"f"}\r\n`, chunkBytes),
        `${expected}data: {"type":"f"}\n`
      )
    })
  }
})

describe("an event in many pieces", () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  it("has each of them looked at a few times, and not with every piece that follows", async () => {
    let scanned = 0
    for (const method of ["split", "matchAll", "match", "replace", "search", "indexOf"] as const) {
      const original: Function = String.prototype[method]
      vi.spyOn(String.prototype, method as "split").mockImplementation(function(this: string, ...args) {
        scanned += this.length
        return Reflect.apply(original, this, args)
      })
    }
    const text = `data: {"type":"${"x".repeat(400_000)}"}\n\n`
    const changed = await changedIn(text, 1_000)
    vi.restoreAllMocks()
    assert.strictEqual(changed.length, 2 * 400_000 + `event: \ndata: {"type":"","seen":true}\n\n`.length)
    assert.isBelow(scanned, 10 * text.length)
  })
})

/** What tools have written, as the table of it has it; and all that was ever written there, so that what is shown can be held against it. */
import type { JournalGroup, OutputChunk } from "../../../src/services/Journal.js"

/** No chunk may have more bytes, and behind what need not be kept there may be two that are not full. */
const largestChunk = 65_536
const fullChunk = 8_192

/** All that was written down of a task, from a byte on: what came and went between two groups is not. */
interface Written {
  readonly from: number
  readonly text: string
}

export class MemoryOutput {
  /** By the number of the row, and then by the first byte. */
  readonly chunks = new Map<number, Map<number, OutputChunk>>()
  /** By the number of the row, also of what is forgotten. */
  readonly written = new Map<number, Written>()
  private readonly limit: number
  private readonly violate: (rule: string, message: string) => void

  constructor(limit: number, violate: (rule: string, message: string) => void) {
    this.limit = limit
    this.violate = violate
  }

  /** Writes what a group has of it. */
  commit({ output, outputForgotten, removed }: JournalGroup): void {
    const changed = new Set<number>()
    for (const chunk of output) {
      const { number, start } = chunk
      changed.add(number)
      this.note(chunk)
      const chunks = this.chunks.get(number) ?? new Map<number, OutputChunk>()
      chunks.set(start, chunk)
      this.chunks.set(number, chunks)
    }
    for (const { before, number } of outputForgotten) {
      const chunks = this.chunks.get(number)
      for (const { bytes, start } of chunks?.values() ?? []) if (start + bytes <= before) chunks?.delete(start)
    }
    for (const number of changed) {
      let kept = 0
      for (const { bytes } of this.chunks.get(number)?.values() ?? []) kept += bytes
      if (kept > this.limit + largestChunk + 2 * fullChunk) {
        this.violate("output", `${kept} bytes of ${number} are kept`)
      }
    }
    for (const number of removed) {
      this.chunks.delete(number)
      this.written.delete(number)
    }
  }

  private note({ bytes, number, start, text }: OutputChunk): void {
    if (bytes !== text.length || bytes > largestChunk) this.violate("output", `a chunk of ${number} has ${bytes} bytes`)
    const known = this.written.get(number)
    if (known === undefined || start > known.from + known.text.length) {
      this.written.set(number, { from: start, text })
      return
    }
    const before = known.text.slice(0, start - known.from)
    const replaced = known.text.slice(start - known.from)
    // a group of several chunks is written again where its answer was lost
    const again = Math.min(text.length, replaced.length)
    if (text.slice(0, again) !== replaced.slice(0, again)) {
      this.violate("output", `byte ${start} of ${number} is written as something else`)
    }
    this.written.set(number, { from: known.from, text: before + text + replaced.slice(text.length) })
  }

  /** The chunks of a task in their order. */
  of(number: number): ReadonlyArray<OutputChunk> {
    return [...this.chunks.get(number)?.values() ?? []].sort((one, other) => one.start - other.start)
  }
}

/** How much of the heap is in use, for tests of what is kept in memory. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert } from "vitest"

setFlagsFromString("--expose-gc")
const collectGarbage: unknown = runInNewContext("gc")

/** Collects everything that nobody holds. */
const collected = (): NodeJS.MemoryUsage => {
  assert(typeof collectGarbage === "function")
  collectGarbage()
  return process.memoryUsage()
}

/** Bytes, after everything that nobody holds has been collected. */
export const usedHeap = (): number => collected().heapUsed

/** Bytes of buffers, after everything that nobody holds has been collected. */
export const usedBuffers = (): number => collected().arrayBuffers

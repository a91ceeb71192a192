/** How much of the heap is in use, for tests of what is kept in memory. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert } from "vitest"

setFlagsFromString("--expose-gc")
const collectGarbage: unknown = runInNewContext("gc")

/** Bytes, after everything that nobody holds has been collected. */
export const usedHeap = (): number => {
  assert(typeof collectGarbage === "function")
  collectGarbage()
  return process.memoryUsage().heapUsed
}

/** What the program knows of one machine: `npm run scale -- --measure` measures it again and writes `inputs.json`. */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const path = fileURLToPath(new URL("inputs.json", import.meta.url))

/** Milliseconds are of processor time unless a name says otherwise. */
export interface Inputs {
  /** Where and when it was measured. */
  readonly machine: string
  /** The database: one transaction of a journal, and each row in it. */
  readonly serverMillisPerTransaction: number
  readonly serverMillisPerRow: number
  /** How long the disk takes to keep a page for good: time of the wall. */
  readonly diskMillis: number
  /** How many rows a lifecycle writes: accepted, settled, taken. */
  readonly rowsPerLifecycle: number
  /** A runner and a client of real processes, for one lifecycle. */
  readonly runnerMillisPerLifecycle: number
  readonly clientMillisPerLifecycle: number
  /** What a runner with nothing to do asks the database for, in a second. */
  readonly idleTransactionsPerRunner: number
  readonly idleServerMillisPerRunner: number
  /** What a settled task takes on the disk, with its indexes. */
  readonly bytesPerTask: number
  /** What an open group of which nothing is live takes in the memory of its runner. */
  readonly bytesPerOpenGroup: number
  /** The rows of a group that is opened: how long the database and the runner take for one. */
  readonly openingMillisPerRow: number
}

export const readInputs = (): Inputs => JSON.parse(readFileSync(path, "utf8"))

export const writeInputs = (inputs: Inputs): void => writeFileSync(path, `${JSON.stringify(inputs, null, 2)}\n`)

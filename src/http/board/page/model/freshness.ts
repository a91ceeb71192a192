/** Whether what the page shows is what the server has: its events may come while its lists cannot be read. */

/** That of the events. `Denied`: the login of the page does not count any more. `Full`: the server has no place for one more page. */
export type Connection = "Connecting" | "Live" | "Lost" | "Denied" | "Full"

/** How far something is that is read beside the events. `attempts`: how often in a row it has failed. */
export type Reading =
  | { readonly _tag: "Reading" }
  | { readonly _tag: "Read" }
  | { readonly _tag: "Failed"; readonly why: string; readonly attempts: number }

/** What the head of the page says. `Stale`: events come, and something that they go on from could not be read. */
export type Freshness = Connection | "Reading" | "Stale"

const longestPause = 15_000

/** It has failed once more. */
export const failedAgain = (before: Reading, why: string): Extract<Reading, { readonly _tag: "Failed" }> => ({
  _tag: "Failed",
  why,
  attempts: before._tag === "Failed" ? before.attempts + 1 : 1
})

/** How long to wait before it is read again, in milliseconds. */
export const pauseAfter = (attempts: number): number => Math.min(longestPause, 1_000 * 2 ** (attempts - 1))

export const freshnessOf = (connection: Connection, tasks: Reading, approvals: Reading): Freshness => {
  if (connection !== "Live") return connection
  if (tasks._tag === "Failed" || approvals._tag === "Failed") return "Stale"
  return tasks._tag === "Reading" ? "Reading" : "Live"
}

/** As a part of a sentence. */
const clause = (why: string): string => why.replace(/\.+$/, "")

/** What is wrong, for the person at the page; undefined where nothing is. */
export const staleness = (tasks: Reading, approvals: Reading): string | undefined =>
  tasks._tag === "Failed"
    ? `The tasks could not be read: ${clause(tasks.why)}. Some may be missing, or as they were.`
    : approvals._tag === "Failed"
    ? `What waits for an answer could not be read: ${clause(approvals.why)}. Some of it may be missing.`
    : undefined

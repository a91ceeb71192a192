/** How long a task may take, beside the timeout of its launch. Few tasks have such limits, and the others pay nothing for them. */
import type { TaskRecord } from "./TaskRecord.js"
import type { TaskTable } from "./TaskTable.js"

/** Times are milliseconds, Infinity for no limit. */
export interface Budgets {
  /** From the moment in which it runs in the background. */
  readonly background: number
  /** Without a progress report and without a word written. */
  readonly idle: number
  /** From a question to its answer. */
  readonly approval: number
  /** What becomes of a task in the foreground whose timeout has passed. */
  readonly onTimeout: "fail" | "detach" | "ask"
}

/** The limit that a task has passed. */
export interface Overrun {
  readonly _tag: "Timeout" | "Background" | "Idle"
  readonly millis: number
}

/** The tool does not wait for others any more, or for its place after that: it is idle from now on at the earliest. */
export const hears = (table: TaskTable, { budgets, runtime }: TaskRecord): void => {
  if (budgets !== undefined && budgets.idle !== Infinity && runtime !== undefined) {
    table.consequences.heard.push(runtime)
  }
}

/** What a task has that passes its timeout: an end, a place in the background, or nothing any more. */
export const timeoutOf = ({ budgets, snapshot: { kind } }: TaskRecord): "fail" | "detach" | "none" => {
  if (budgets === undefined || budgets.onTimeout === "fail") return "fail"
  return kind === "Foreground" ? "detach" : "none"
}

/** When the question of a suspended task has waited for too long, in epoch milliseconds; undefined where it may wait for ever. */
export const approvalDue = ({ askedAt, budgets, snapshot: { status } }: TaskRecord): number | undefined =>
  status !== "Suspended" || askedAt === undefined || budgets === undefined || budgets.approval === Infinity
    ? undefined
    : askedAt + budgets.approval

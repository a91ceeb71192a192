/** How long a task may take, beside the timeout of its launch. Few tasks have such limits, and the others pay nothing for them. */
import type { TaskRecord } from "./state/TaskRecord.js"
import type { TaskTable } from "./state/TaskTable.js"

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

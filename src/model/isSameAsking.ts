/** Whether a task asks what it asked before. */
import type { TaskApproval } from "./Approval.js"

/** Whether nothing was asked or answered in between. */
export const isSameAsking = (left: TaskApproval, right: TaskApproval): boolean =>
  left.taskId === right.taskId && left.approval.id === right.approval.id &&
  left.approval.asking === right.approval.asking && left.answered?.length === right.answered?.length

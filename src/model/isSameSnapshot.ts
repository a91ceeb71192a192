/** Whether a task is where it was. */
import type { TaskSnapshot } from "./Task.js"

// its metadata is that of its call, which never changes, and may be large
const stateOf = ({ metadata: _metadata, ...state }: TaskSnapshot): string => JSON.stringify(state)

/** Whether two snapshots of the same origin say the same of one task. */
export const isSameSnapshot = (left: TaskSnapshot, right: TaskSnapshot): boolean =>
  left === right || stateOf(left) === stateOf(right)

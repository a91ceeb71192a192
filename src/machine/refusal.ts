/** Why a transition does nothing. */
import type { TaskStatus } from "../model/Task.js"

/** An operation that means nothing in the task's state, or the lack of a task. */
export type Refusal =
  | { readonly _tag: "NotFound" }
  | { readonly _tag: "WrongStatus"; readonly status: TaskStatus }

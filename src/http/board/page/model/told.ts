/** What the server tells, as the page sees it. */
import type { TaskSnapshot } from "../../../../model/Task.js"
import type { EventReset, TaskEvent } from "../../../../model/TaskEvent.js"

/** An event that shows a task. */
export type UsualEvent<Event> = Extract<Event, { readonly snapshot: TaskSnapshot }>

/** Whether an event shows a task. */
export const showsTask = (event: TaskEvent | EventReset): event is UsualEvent<TaskEvent> => "snapshot" in event

/** The live tasks of a reader, as its events tell of them. */
import type { TaskId } from "../../model/ids.js"
import { isSettled } from "../../model/settled.js"
import type { TaskSnapshot } from "../../model/Task.js"
import type { FilteredTaskEvent } from "../../model/TaskEvent.js"

export class LiveTasks {
  private tasks = new Map<TaskId, TaskSnapshot>()

  begin(live: ReadonlyArray<TaskSnapshot>): void {
    this.tasks = new Map(live.map((task) => [task.id, task]))
  }

  hear(event: FilteredTaskEvent): void {
    if (event._tag === "Reset") this.begin(event.live)
    else if ("snapshot" in event) {
      if (isSettled(event.snapshot)) this.tasks.delete(event.snapshot.id)
      else this.tasks.set(event.snapshot.id, event.snapshot)
    }
  }

  /** Oldest first. */
  list(taskId?: TaskId): ReadonlyArray<TaskSnapshot> {
    if (taskId === undefined) return [...this.tasks.values()]
    const task = this.tasks.get(taskId)
    return task === undefined ? [] : [task]
  }
}

/**
 * How many of those that a written group lets on go on at once. The others go on in the next turn of the event loop: by then the next
 * group is on its way, and the process works while the database does.
 *
 * | the database        | the group | ready for the next group | go on at once |
 * | ------------------- | --------- | ------------------------ | ------------- |
 * | is in this process  | any       | any                      | all           |
 * | is another process  | small     | any                      | all           |
 * | is another process  | large     | at least half as many    | none          |
 * | is another process  | large     | fewer                    | half of them  |
 */
import type { JournalOverlap } from "../../services/Journal.js"

/** `tasks` are those of the group, and `ready` those that have changed since it was cut. */
export const goingOnAtOnce = (
  overlap: JournalOverlap | undefined,
  { ready, tasks }: { readonly ready: number; readonly tasks: number }
): number => {
  if (overlap === undefined || tasks < overlap.fewestTasks) return Infinity
  return 2 * ready >= tasks ? 0 : Math.ceil(tasks / 2)
}

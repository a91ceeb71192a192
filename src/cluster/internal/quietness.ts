/** Whether a client has nothing on its way but waits. Only tests ask: they look at what no caller can see. */
import type { TaskManager } from "../../services/TaskManager.js"

export const quietness = new WeakMap<TaskManager["Type"], () => boolean>()

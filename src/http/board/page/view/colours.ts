/** The colours of the style sheet, for what is drawn on a canvas. */
import type { TaskStatus } from "../../../../model/Task.js"
import type { Phase } from "../model/bars.js"

export interface Colours {
  readonly line: string
  readonly text: string
  readonly muted: string
  readonly panel: string
  readonly phases: Readonly<Record<Phase, string>>
  readonly statuses: Readonly<Record<TaskStatus, string>>
}

export const readColours = (): Colours => {
  const style = getComputedStyle(document.documentElement)
  const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim()
  return {
    line: colour("line"),
    text: colour("text"),
    muted: colour("muted"),
    panel: colour("panel"),
    phases: {
      Queued: colour("queued"),
      Foreground: colour("foreground"),
      Background: colour("background-task"),
      Approval: colour("approval"),
      Retry: colour("retry")
    },
    statuses: {
      Queued: colour("muted"),
      Running: colour("foreground"),
      Suspended: colour("approval"),
      Cancelling: colour("cancelled"),
      Completed: colour("completed"),
      Failed: colour("failed"),
      Cancelled: colour("cancelled")
    }
  }
}

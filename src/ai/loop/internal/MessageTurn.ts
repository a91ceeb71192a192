import type { TurnId } from "../../../model/ids.js"
import type { AgentEvent } from "../AgentEvent.js"

/** Follows a message: whether a turn has taken it, and which event is the last of that turn. */
export class MessageTurn {
  private turnId: TurnId | undefined
  messageId: string | undefined

  get isTaken(): boolean {
    return this.turnId !== undefined
  }

  readonly isLast = (event: AgentEvent): boolean => {
    if (event._tag === "MessageTaken" && event.messageId === this.messageId) this.turnId = event.turnId
    return event._tag === "TurnEnded" && event.turnId === this.turnId
  }
}

/** What was said to a task and is not read. */
import { LinkedList } from "../../shared/LinkedList.js"

/** A message and its place among those of its task. */
export interface Message {
  readonly text: string
  /** Of UTF-8. */
  readonly bytes: number
  readonly order: number
}

/** Messages that a tool has not read; made when it reads for the first time. */
export class Inbox {
  readonly waiting = new LinkedList<Message>()
  /** Wake whoever waits for the next message. */
  readonly readers = new LinkedList<() => void>()
  /** How many messages wait or are in the hand of a reader, and their bytes. */
  count = 0
  bytes = 0
  lastOrder = 0
}

/**
 * What is said to a running tool. Messages wait in the inbox of its task, which its tool opens by reading for the first time:
 * before that nothing is accepted, for nobody would ever read it.
 *
 * | the task is                   | its inbox is open                          | it is not         |
 * | ----------------------------- | ------------------------------------------ | ----------------- |
 * | Queued, Running or Suspended  | waits for the tool; `Full` beyond a limit  | `NotListening`    |
 * | Cancelling or settled         | `WrongStatus`                              | `WrongStatus`     |
 * | unknown                       | –                                          | `NotFound`        |
 *
 * A launch reads while it is Running. What it has not read when it asks for approval waits for the next launch; what is left when
 * the task settles is dropped. Each message goes to one reader; one that a reader gives back keeps its place.
 */
import type { TaskId } from "../model/ids.js"
import type { LinkedNode } from "../shared/LinkedList.js"
import { utf8Length } from "../shared/utf8.js"
import type { Refusal } from "./refusal.js"
import { Inbox, type Message } from "./state/Inbox.js"
import type { TaskRecord } from "./state/TaskRecord.js"
import type { TaskTable } from "./state/TaskTable.js"

const isReading = ({ snapshot }: TaskRecord, launch: number): boolean =>
  snapshot.launch === launch && snapshot.status === "Running"

const wakeReaders = (table: TaskTable, { readers }: Inbox): void => {
  for (let wake = readers.shift(); wake !== undefined; wake = readers.shift()) table.consequences.woken.push(wake)
}

/** Says something to a task. */
export const send = (
  table: TaskTable,
  id: TaskId,
  text: string
): true | Refusal | { readonly _tag: "NotListening" } | { readonly _tag: "Full"; readonly waiting: number } => {
  const task = table.tasks.get(id)
  if (task === undefined) return { _tag: "NotFound" }
  if (!task.isLive || task.snapshot.status === "Cancelling") {
    return { _tag: "WrongStatus", status: task.snapshot.status }
  }
  const { inbox } = task
  if (inbox === undefined) return { _tag: "NotListening" }
  const bytes = utf8Length(text)
  const { messageBytes, messages } = table.limits
  if (inbox.count >= messages || inbox.bytes + bytes > messageBytes) return { _tag: "Full", waiting: inbox.count }
  inbox.count++
  inbox.bytes += bytes
  inbox.waiting.append({ text, bytes, order: ++inbox.lastOrder })
  wakeReaders(table, inbox)
  return true
}

/** A tool reads: from now on its task listens. Undefined once the launch is over or is being stopped. */
export const listen = (task: TaskRecord, launch: number): Inbox | undefined =>
  isReading(task, launch) ? task.inbox ??= new Inbox() : undefined

/** Takes the oldest message. `"Over"` once the launch is over or is being stopped. */
export const takeMessage = (task: TaskRecord, launch: number): Message | "NotReady" | "Over" => {
  const inbox = listen(task, launch)
  return inbox === undefined ? "Over" : inbox.waiting.shift() ?? "NotReady"
}

/** The reader has done what it does with a message. */
export const messageRead = ({ inbox }: TaskRecord, { bytes }: Message): void => {
  if (inbox === undefined) return
  inbox.count--
  inbox.bytes -= bytes
}

/** The reader did not get to do anything with a message: the next one to read has it. */
export const putBackMessage = (table: TaskTable, { inbox }: TaskRecord, message: Message): void => {
  if (inbox === undefined) return
  let before: LinkedNode<Message> | undefined = inbox.waiting.last
  while (before !== undefined && before.value.order > message.order) before = before.previous
  inbox.waiting.insertAfter(before, message)
  wakeReaders(table, inbox)
}

/** The launch is over or is being stopped: whoever waits for a message has come to the end. */
export const endReading = (table: TaskTable, { inbox }: TaskRecord): void => {
  if (inbox !== undefined) wakeReaders(table, inbox)
}

/** The task has settled: what nobody has read is dropped. */
export const closeInbox = (table: TaskTable, task: TaskRecord): void => {
  endReading(table, task)
  task.inbox = undefined
}

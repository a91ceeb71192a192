/** What the details show of one task beyond its row: it is read when the details are opened, and again when it has changed. */
import type { TaskId } from "../../../../model/ids.js"
import { isSettled } from "../../../../model/settled.js"
import type { TaskSnapshot } from "../../../../model/Task.js"
import type { TaskEvent } from "../../../../model/TaskEvent.js"
import type { ToolResultPart } from "../../../../model/ToolCall.js"
import type { UsualEvent } from "../model/told.js"
import { longestText } from "../model/words.js"
import { api, wordsOf } from "../net/api.js"

export interface Opened {
  readonly id: TaskId
  /** A task that is not on the board any more is read from the server. */
  readonly snapshot: TaskSnapshot | undefined
  /** What it was called with, where the server shows that: JSON text. Of a task that has settled it may be unknown. */
  readonly input: { readonly text: string } | "Unknown" | undefined
  readonly result: ToolResultPart | undefined
  readonly output: { readonly text: string; readonly isCut: boolean; readonly end: number; readonly total: number }
  readonly fault: string | undefined
  readonly heard: (event: UsualEvent<TaskEvent>) => void
  /** Reads it again: events were missed. */
  readonly read: () => void
}

/** How much of an output is read at once, in bytes. */
const piece = 65_536

const nothing: Opened["output"] = { text: "", isCut: false, end: 0, total: 0 }

type Loaded = { -readonly [Key in keyof Opened]: Opened[Key] }

/** Reads a task; `changed` is called whenever more of it is known. */
export const openTask = (id: TaskId, changed: () => void, hasInputs: boolean): Opened => {
  let isReading = false
  let isGrown = false

  const readOutput = async (): Promise<void> => {
    isGrown = true
    if (isReading) return
    isReading = true
    try {
      while (isGrown) {
        isGrown = false
        const { output } = opened
        const next = await api.output(id, piece, output.end === 0 ? undefined : output.end)
        // what it wrote in between is not kept any more, or was too much to read
        const isGap = next.start > output.end && output.end > 0
        const text = `${output.text}${isGap ? "\n…\n" : ""}${next.text}`
        opened.output = {
          // the newest part: of a text that is too long only the first one is shown
          text: text.slice(-longestText),
          isCut: output.isCut || isGap || text.length > longestText || (output.end === 0 && next.start > 0),
          end: next.end,
          total: next.total
        }
        if (next.end < next.total && next.text !== "") isGrown = true
        changed()
      }
    } catch (error) {
      opened.fault = wordsOf(error)
      changed()
    } finally {
      isReading = false
    }
  }

  const readResult = async (): Promise<void> => {
    try {
      opened.result = (await api.result(id)).result
    } catch (error) {
      opened.fault = wordsOf(error)
    }
    changed()
  }

  const opened: Loaded = {
    id,
    snapshot: undefined,
    input: undefined,
    result: undefined,
    output: nothing,
    fault: undefined,
    heard: (event) => {
      if (event.taskId !== id) return
      if (event._tag === "OutputGrew") void readOutput()
      if (event._tag === "Completed" || event._tag === "Failed") opened.result = event.result
      if (!isSettled(event.snapshot)) return
      void readOutput()
      if (opened.result === undefined) void readResult()
    },
    read: () => void read()
  }

  const read = async (): Promise<void> => {
    try {
      const before = opened.snapshot
      const snapshot = await api.get(id)
      // of another manager, whose ids are counted from one again
      if (before !== undefined && before.createdAt !== snapshot.createdAt) {
        opened.input = undefined
        opened.result = undefined
        opened.output = nothing
      }
      opened.snapshot = snapshot
      opened.fault = undefined
      if (isSettled(snapshot)) void readResult()
      void readOutput()
      if (hasInputs && opened.input === undefined) {
        const { input } = await api.input(id)
        opened.input = input === undefined ? "Unknown" : { text: input }
      }
    } catch (error) {
      opened.fault = wordsOf(error)
    }
    changed()
  }
  void read()
  return opened
}

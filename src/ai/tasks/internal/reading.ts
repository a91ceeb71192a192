/** `task_output`: a piece of what a task printed, or of its result. */
import type * as Tool from "@effect/ai/Tool"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ToolError } from "../../../errors.js"
import type { TaskId } from "../../../model/ids.js"
import { outputText } from "../../../model/outputText.js"
import type { OutputRange, TaskOutput } from "../../../model/TaskOutput.js"
import { CurrentTask } from "../../../services/CurrentTask.js"
import type { TaskManagerHandle } from "../../../services/TaskManager.js"
import { cutKey } from "../../../shared/cutText.js"
import { clampPiece, jsonBytes } from "../fitting.js"
import { type ResultStore, ringOf } from "../ResultStore.js"
import { findTask, notFound } from "./finding.js"
import { defaultPiece, type toolkit } from "./taskTools.js"

type Read = typeof toolkit.tools.task_output

/** What no character can be longer than. */
const longestCharacter = 4

/** A piece that is too short for its first character is read again: as an empty one it could not be read on. */
const readPiece = <E>(
  range: OutputRange & { readonly maxBytes: number },
  read: (range: OutputRange) => Effect.Effect<TaskOutput, E>
): Effect.Effect<TaskOutput, E> =>
  Effect.flatMap(read(range), (piece) => {
    const isTooShort = piece.text === "" && range.maxBytes < longestCharacter &&
      (range.start === undefined || piece.end < piece.total)
    return isTooShort ? read({ ...range, maxBytes: longestCharacter }) : Effect.succeed(piece)
  })

/** The piece of a result that was saved whole; `None` if there is none, or if it cannot be read. */
const readStored = (store: ResultStore["Type"], taskId: TaskId, range: OutputRange & { readonly maxBytes: number }) =>
  Effect.asSome(readPiece(range, (part) => Effect.flatten(store.read(taskId, part)))).pipe(
    // also where the store dies: what the manager keeps can still be read
    Effect.catchAllCause((cause) => Cause.isInterruptedOnly(cause) ? Effect.interrupt : Effect.succeedNone)
  )

/** The handler of `task_output`, which reads results that were cut from the store, if there is one. */
export const makeRead = (
  handle: TaskManagerHandle,
  store: Option.Option<ResultStore["Type"]>
): (parameters: Tool.Parameters<Read>) => Effect.Effect<Tool.Success<Read>, ToolError, CurrentTask> =>
({ max_bytes: wantedBytes, of, start, task_id: id }) =>
  Effect.gen(function*() {
    const task = yield* CurrentTask
    const { id: taskId, status } = yield* findTask(handle, task, id)
    const gone = () => notFound(task.request.toolName, id)
    const maxBytes = wantedBytes ?? defaultPiece
    const range = start === undefined || start === null ? { maxBytes } : { start, maxBytes }
    const result = yield* Effect.mapError(handle.result(taskId), gone)
    const { total: written } = yield* Effect.mapError(handle.output(taskId, { maxBytes: 0 }), gone)
    const shared = { task_id: taskId, status, output_bytes: written }
    const answer = (about: "output" | "result", piece: TaskOutput, note: string | null) => {
      const rest = { ...shared, of: about, ...piece, note }
      // the numbers may become longer by the clamping
      const room = task.maxResultBytes - jsonBytes({ ...rest, text: "" }) - 16
      const keep = about === "output" && range.start === undefined ? "End" : "Beginning"
      return { ...rest, ...clampPiece(piece, room, keep) }
    }
    if ((of ?? (Option.isSome(result) ? "result" : "output")) === "output") {
      const read = (part: OutputRange) => Effect.mapError(handle.output(taskId, part), gone)
      return answer("output", yield* readPiece(range, read), null)
    }
    if (Option.isNone(result)) {
      return answer("result", { text: "", start: 0, end: 0, total: 0 }, "It is not over.")
    }
    const isCut = result.value.metadata[cutKey] !== undefined
    const stored = isCut && Option.isSome(store)
      ? yield* readStored(store.value, taskId, range)
      : Option.none()
    if (Option.isSome(stored)) return answer("result", stored.value, null)
    const whole = ringOf(outputText(result.value.output) ?? "")
    const piece = yield* readPiece(range, (part) => Effect.sync(() => whole.read({ start: 0, ...part })))
    return answer("result", piece, isCut ? "The rest of it is not kept." : null)
  })

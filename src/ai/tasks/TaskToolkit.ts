/**
 * Tools with which a model manages the tasks of its session.
 *
 * @since 0.1.0
 */
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import * as Array from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ToolError } from "../../errors.js"
import { TaskId } from "../../model/ids.js"
import { outputText } from "../../model/outputText.js"
import { isSettled } from "../../model/settled.js"
import { TaskKind, type TaskSnapshot, TaskStatus } from "../../model/Task.js"
import type { OutputRange, TaskOutput } from "../../model/TaskOutput.js"
import type { ToolResultPart } from "../../model/ToolCall.js"
import { CurrentTask } from "../../services/CurrentTask.js"
import { TaskManager } from "../../services/TaskManager.js"
import { cutKey, cutText } from "../../shared/cutText.js"
import { monotonicNow } from "../../shared/monotonic.js"
import { printable } from "../../shared/text.js"
import { optionalParameter, toolParameters } from "../tools/toolParameters.js"
import { clampPiece, cutToFit, jsonBytes, Room } from "./fitting.js"
import { makeLeases } from "./leases.js"
import { ResultStore, ringOf } from "./ResultStore.js"

const Id = Schema.String.pipe(Schema.minLength(1), Schema.maxLength(200)).annotations({
  description: "The id of a task"
})

// what one answer may take of a transcript; the rest can be read on
const defaultPiece = 16_384
const largestPiece = 262_144
const defaultWaitSeconds = 60
const longestWaitSeconds = 86_400
const mostSettled = 50
// what is kept free for each task that is still to be told of, where its result does not fit
const entryBytes = 300

const TaskLine = Schema.Struct({
  task_id: Schema.String,
  tool: Schema.String,
  status: TaskStatus,
  kind: TaskKind,
  /** Since the call was made, or how long it took. */
  seconds: Schema.Number
})

const list = Tool.make("task_list", {
  description: "Lists the tasks of this session: those that are not over, then the ones that ended last.",
  success: Schema.Struct({ tasks: Schema.Array(TaskLine), omitted: Schema.NonNegativeInt }),
  failure: ToolError,
  dependencies: [CurrentTask]
}).annotate(Tool.Title, "List tasks").annotate(Tool.Readonly, true).annotate(Tool.Destructive, false)

const WaitedFor = Schema.Struct({
  task_id: Schema.String,
  tool: Schema.String,
  status: TaskStatus,
  /** Null where there is none to give here; `note` says why. */
  result: Schema.NullOr(Schema.String),
  is_error: Schema.Boolean,
  note: Schema.NullOr(Schema.String)
})

const wait = Tool.make("task_wait", {
  description:
    "Waits until one of the given background tasks (or, without ids, any) has ended, and gives its result, which " +
    "then does not come again. Several that have ended are given together. Only useful if there is nothing else to do.",
  success: Schema.Struct({
    timed_out: Schema.Boolean,
    tasks: Schema.Array(WaitedFor),
    /** Tasks for which there was no room; nothing of them was taken. */
    omitted: Schema.optionalWith(Schema.NonNegativeInt, { exact: true })
  }),
  failure: ToolError,
  dependencies: [CurrentTask]
}).setParameters(toolParameters({
  task_ids: optionalParameter(
    Schema.Array(Id).pipe(Schema.maxItems(100)).annotations({ description: "The tasks to wait for; null for any" })
  ),
  timeout_seconds: optionalParameter(
    Schema.Number.pipe(Schema.between(0, longestWaitSeconds)).annotations({
      description: `How long to wait at most; ${defaultWaitSeconds} if null`
    })
  )
})).annotate(Tool.Title, "Wait for tasks").annotate(Tool.Destructive, false)

const output = Tool.make("task_output", {
  description:
    "Reads a piece of what a task printed so far, or of its result once it has ended. The next piece starts at its end.",
  success: Schema.Struct({
    task_id: Schema.String,
    status: TaskStatus,
    of: Schema.Literal("output", "result"),
    text: Schema.String,
    start: Schema.NonNegativeInt,
    end: Schema.NonNegativeInt,
    total: Schema.NonNegativeInt,
    /** How many bytes the task printed, also those that are not shown. */
    output_bytes: Schema.NonNegativeInt,
    note: Schema.NullOr(Schema.String)
  }),
  failure: ToolError,
  dependencies: [CurrentTask]
}).setParameters(toolParameters({
  task_id: Id,
  of: optionalParameter(
    Schema.Literal("output", "result").annotations({
      description: "What it printed, or its result; null for the result if it is over and the output if not"
    })
  ),
  start: optionalParameter(
    Schema.NonNegativeInt.annotations({
      description: "The first byte; null for the beginning of a result and the newest of an output"
    })
  ),
  max_bytes: optionalParameter(
    Schema.Int.pipe(Schema.between(1, largestPiece)).annotations({
      description: `How many bytes at most; ${defaultPiece} if null`
    })
  )
})).annotate(Tool.Title, "Read a task's output").annotate(Tool.Readonly, true).annotate(Tool.Destructive, false)

const cancel = Tool.make("task_cancel", {
  description: "Cancels a task and waits until it has ended. What it did so far is not undone.",
  success: Schema.Struct({
    task_id: Schema.String,
    status: TaskStatus,
    cancelled: Schema.Boolean,
    result: Schema.NullOr(Schema.String)
  }),
  failure: ToolError,
  dependencies: [CurrentTask]
}).setParameters(toolParameters({ task_id: Id })).annotate(Tool.Title, "Cancel a task")

const detach = Tool.make("task_detach", {
  description:
    "Sends a foreground task to the background: the turn does not wait for it any more, its result comes later.",
  success: Schema.Struct({ task_id: Schema.String, status: TaskStatus, detached: Schema.Boolean }),
  failure: ToolError,
  dependencies: [CurrentTask]
}).setParameters(toolParameters({ task_id: Id })).annotate(Tool.Title, "Detach a task").annotate(
  Tool.Destructive,
  false
)

const message = Tool.make("task_message", {
  description:
    "Says something to a running task whose tool listens, another agent for example. It does not wait for an answer.",
  success: Schema.Struct({ task_id: Schema.String, said: Schema.Literal(true) }),
  failure: ToolError,
  dependencies: [CurrentTask]
}).setParameters(toolParameters({
  task_id: Id,
  message: Schema.String.annotations({ description: "What to say" })
})).annotate(Tool.Title, "Say something to a task").annotate(Tool.Destructive, false)

const toolkit = Toolkit.make(list, wait, output, message, cancel, detach)

const foregroundNote = "Its result is the result of its own call."
const takenNote = "Its result was given before, or is being given elsewhere."
const approvalNote = "It waits for a human's approval."
const manualNote = "The program that you run in gets its result; task_output reads it here."
const laterNote = "It has ended, and there was no room for its result: that comes by itself, or wait for it again."
const endlessNote = "It cannot end before this call does."

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
    Effect.catchAllCause((cause) => Cause.isInterrupted(cause) ? Effect.interrupt : Effect.succeedNone)
  )

const make = Effect.gen(function*() {
  const manager = yield* TaskManager
  const { handle } = manager
  const store = yield* Effect.serviceOption(ResultStore)
  const lease = yield* makeLeases(manager)

  const notFound = (toolName: string, taskId: string) =>
    new ToolError({ reason: "NotFound", toolName, message: `There is no task \`${printable(taskId)}\`.` })

  /** The task, if it is one of the caller's session; any other is told as an unknown one. */
  const find = (task: CurrentTask["Type"], taskId: string) =>
    handle.get(TaskId.make(taskId)).pipe(
      Effect.filterOrFail((found) => found.sessionId === task.request.sessionId),
      Effect.mapError(() => notFound(task.request.toolName, taskId))
    )

  /** The text of a result, of which at most `room` bytes of JSON are left. */
  const shownText = (part: ToolResultPart, taskId: TaskId, room = Infinity): string => {
    const whole = outputText(part.output) ?? ""
    const { missing, text } = cutText(whole, largestPiece)
    const note = `\n[It was cut; task_output with task_id ${taskId} reads the rest.]`
    const isCut = missing > 0 || part.metadata[cutKey] !== undefined
    const shown = isCut ? text + note : text
    return jsonBytes(shown) <= room ? shown : cutToFit(text, room - jsonBytes(note)) + note
  }

  const noteOf = (found: TaskSnapshot, endless: ReadonlySet<TaskId>): string | null => {
    if (endless.has(found.id)) return endlessNote
    if (found.kind === "Foreground") return foregroundNote
    if (found.status === "Suspended") return approvalNote
    return found.deliveryMode === "Manual" && isSettled(found) ? manualNote : null
  }

  /** Takes the results of those that have ended, as far as the answer has room for them, and describes the state of each. */
  const report = (
    task: CurrentTask["Type"],
    ids: ReadonlyArray<TaskId>,
    endless: ReadonlySet<TaskId>,
    isNamed: boolean
  ) =>
    Effect.gen(function*() {
      // those that are not there any more ended so long ago that they are forgotten
      const found = Array.getSomes(yield* Effect.forEach(ids, (id) => Effect.option(find(task, id))))
      const order = new Map(found.map(({ id }, index) => [id, index]))
      const [running, settled] = Array.partition(found, isSettled)
      const told: Array<{ readonly id: TaskId; readonly entry: typeof WaitedFor.Type }> = []
      const room = new Room(task.maxResultBytes - jsonBytes({ timed_out: false, tasks: [], omitted: found.length }))
      // so that the others can be told of as well
      const mostReserved = room.left / 4
      let left = found.length
      let taken = 0
      let omitted = 0
      const tell = (id: TaskId, entry: typeof WaitedFor.Type) => {
        if (room.take(entry)) told.push({ id, entry })
        else omitted++
      }
      for (const one of [...settled, ...running]) {
        const { id, status, toolName } = one
        left--
        const base = { task_id: id, tool: toolName, status, result: null, is_error: false }
        const note = noteOf(one, endless)
        if (note !== null || !isSettled(one)) {
          // without ids, what is no background task is not meant
          if (isNamed || note !== foregroundNote) tell(id, { ...base, note })
          continue
        }
        const most = room.left - Math.min(mostReserved, entryBytes * left)
        const entryOf = (part: ToolResultPart): typeof WaitedFor.Type => {
          const given = { ...base, is_error: part.isError, note: null }
          // of the first one as much as fits, for otherwise it could never be given
          return { ...given, result: shownText(part, id, taken > 0 ? Infinity : most - jsonBytes(given)) }
        }
        const part = yield* lease(task.taskId, id, (part) => jsonBytes(entryOf(part)) < most)
        if (part === "TooLarge") {
          tell(id, { ...base, note: laterNote })
        } else if (Option.isSome(part)) {
          tell(id, entryOf(part.value))
          taken++
        } else if (isNamed) {
          // without ids, tasks whose result was delivered before are left out
          tell(id, { ...base, note: takenNote })
        }
      }
      const inOrder = told.sort((one, other) => (order.get(one.id) ?? 0) - (order.get(other.id) ?? 0))
      const tasks = inOrder.map(({ entry }) => entry)
      return { tasks: omitted > 0 ? { tasks, omitted } : { tasks }, taken }
    })

  /** Those of the tasks that a wait can end with, each with its launch. */
  const stillRunning = (task: CurrentTask["Type"], ids: ReadonlyArray<TaskId>, endless: ReadonlySet<TaskId>) =>
    Effect.map(handle.list({ sessionId: task.request.sessionId, kind: "Background" }), (tasks) => {
      const wanted = new Set<TaskId>(ids)
      return tasks.flatMap((found) =>
        wanted.has(found.id) && !endless.has(found.id) && !isSettled(found) && found.status !== "Suspended"
          ? [found]
          : []
      )
    })

  /** Those of the running tasks that the caller runs under: a wait for one of them alone returns at once. */
  const aboveOf = (running: ReadonlyArray<TaskSnapshot>) =>
    Effect.filter(running, ({ id, launch }) =>
      Effect.zipWith(
        Effect.isSuccess(manager.waitForTask([id], { timeout: 0 })),
        Effect.option(handle.get(id)),
        // it may have ended meanwhile, and then that is why
        (isOver, now) =>
          isOver && Option.exists(now, (it) => it.launch === launch && !isSettled(it) && it.status !== "Suspended")
      ))

  const handlers = toolkit.of({
    task_list: () =>
      Effect.gen(function*() {
        const task = yield* CurrentTask
        const now = yield* Clock.currentTimeMillis
        const all = yield* handle.list({ sessionId: task.request.sessionId })
        const others = all.filter(({ id }) => id !== task.taskId)
        const settled = others.filter(isSettled)
        const shown = [...others.filter((one) => !isSettled(one)), ...settled.slice(-mostSettled).reverse()]
        const lines = shown.map(({ createdAt, id, kind, settledAt, status, toolName }) => ({
          task_id: id,
          tool: toolName,
          status,
          kind,
          seconds: Math.round(Math.max(0, (settledAt ?? now) - createdAt) / 1000)
        }))
        const room = new Room(task.maxResultBytes - jsonBytes({ tasks: [], omitted: others.length }))
        const tasks = Array.takeWhile(lines, (line) => room.take(line))
        return { tasks, omitted: others.length - tasks.length }
      }),

    task_wait: ({ task_ids: given, timeout_seconds: seconds }) =>
      Effect.gen(function*() {
        const task = yield* CurrentTask
        const named = given === undefined || given === null
          ? undefined
          : (yield* Effect.forEach(new Set(given), (id) => find(task, id))).map(({ id }) => id)
        const all = yield* handle.list({ sessionId: task.request.sessionId, kind: "Background" })
        const ids = named ??
          all.flatMap(({ deliveryMode, id }) => id === task.taskId || deliveryMode === "Manual" ? [] : [id])
        const end = (yield* monotonicNow) + 1000 * (seconds ?? defaultWaitSeconds)
        const endless = new Set([task.taskId])
        for (const { id } of yield* aboveOf(yield* stillRunning(task, ids, endless))) endless.add(id)
        while (true) {
          const running = yield* stillRunning(task, ids, endless)
          const { taken, tasks } = yield* report(task, ids, endless, named !== undefined)
          const isOneOver = running.length < ids.filter((id) => !endless.has(id)).length
          if (taken > 0 || running.length === 0 || named !== undefined && isOneOver) {
            return { timed_out: false, ...tasks }
          }
          const left = end - (yield* monotonicNow)
          if (left <= 0) return { timed_out: true, ...tasks }
          const runningIds = running.map(({ id }) => id)
          const ended = yield* Effect.exit(manager.waitForTask(runningIds, { timeout: left }))
          // timed out, or one of them is forgotten already and not there in the next round
          if (Exit.isFailure(ended)) continue
          const after = yield* stillRunning(task, runningIds, endless)
          const isSame = after.length === running.length &&
            after.every(({ launch }, index) => launch === running[index]?.launch)
          // all of them wait for this call
          if (isSame) { for (const id of runningIds) endless.add(id) }
        }
      }),

    task_output: ({ max_bytes: wantedBytes, of, start, task_id: id }) =>
      Effect.gen(function*() {
        const task = yield* CurrentTask
        const { id: taskId, status } = yield* find(task, id)
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
      }),

    task_message: ({ message, task_id: id }) =>
      Effect.gen(function*() {
        const task = yield* CurrentTask
        const { toolName } = task.request
        const { id: taskId } = yield* find(task, id)
        const refused = (why: string) =>
          new ToolError({ reason: "Unavailable", toolName, message: `The task \`${printable(id)}\` ${why}.` })
        yield* Effect.mapError(handle.steer(taskId, message), (error) => {
          switch (error._tag) {
            case "TaskNotFound":
              return notFound(toolName, id)
            case "TaskNotRunning":
              return refused("is over, or is being cancelled")
            case "TaskDoesNotListen":
              return refused("does not listen: its tool takes no messages, or has not asked for them yet")
            case "TaskInboxFull":
              return refused("has not read its earlier messages, and there is no room for this one")
          }
        })
        return { task_id: taskId, said: true as const }
      }),

    task_cancel: ({ task_id: id }) =>
      Effect.gen(function*() {
        const task = yield* CurrentTask
        const before = yield* find(task, id)
        const taskId = before.id
        if (taskId === task.taskId) {
          return yield* new ToolError({
            reason: "InvalidInput",
            toolName: task.request.toolName,
            message: "A call cannot cancel itself."
          })
        }
        yield* Effect.mapError(handle.cancel(taskId), () => notFound(task.request.toolName, id))
        const { deliveryMode, kind, status } = yield* find(task, id)
        const part = kind === "Background" && deliveryMode === "ToLoop" && !isSettled(before)
          ? yield* lease(task.taskId, taskId, () => true)
          : Option.none()
        const cancelled = { task_id: taskId, status, cancelled: !isSettled(before) && status === "Cancelled" }
        if (part === "TooLarge" || Option.isNone(part)) return { ...cancelled, result: null }
        const room = task.maxResultBytes - jsonBytes({ ...cancelled, result: "" })
        return { ...cancelled, result: shownText(part.value, taskId, room) }
      }),

    task_detach: ({ task_id: id }) =>
      Effect.gen(function*() {
        const task = yield* CurrentTask
        const { id: taskId } = yield* find(task, id)
        // false also for one that has ended or waits for a human: there is nothing to detach
        const detached = yield* Effect.orElseSucceed(handle.detach(taskId), () => false)
        const { status } = yield* find(task, id)
        return { task_id: taskId, status, detached }
      })
  })
  return handlers
})

/**
 * `task_list`, `task_wait`, `task_output`, `task_message`, `task_cancel` and `task_detach`, to be merged with the tools of an agent. A call sees
 * the tasks of its own session; a task of another session is reported as one that does not exist (`NotFound`).
 *
 * `task_wait` takes the results it gives: they are not delivered again. If the call that waits does not end well (it is
 * cancelled, say), they are put back. One for which its answer has no room stays where it is, and is named. It takes background results only; that of a foreground call answers that call, and one under `Manual` delivery is the
 * host's.
 *
 * @example
 * ```ts
 * import { Tool, Toolkit } from "@effect/ai"
 * import { Effect, Layer, Schema } from "effect"
 * import { TaskManagerLive } from "effect-task-manager"
 * import { TaskToolkit } from "effect-task-manager/ai"
 *
 * const mine = Toolkit.make(Tool.make("now", { success: Schema.String }))
 * const toolkit = Toolkit.merge(mine, TaskToolkit.toolkit)
 *
 * const Handlers = Layer.merge(
 *   mine.toLayer({ now: () => Effect.succeed("noon") }),
 *   TaskToolkit.layer
 * ).pipe(Layer.provideMerge(TaskManagerLive))
 * ```
 *
 * @since 0.1.0
 * @category tools
 */
export const TaskToolkit: {
  /** The tools. */
  readonly toolkit: typeof toolkit
  /** Their handlers. Reads results that were cut from a `ResultStore`, if there is one where the layer is built. */
  readonly layer: Layer.Layer<Tool.HandlersFor<typeof toolkit.tools>, never, TaskManager>
} = { toolkit, layer: toolkit.toLayer(make) }

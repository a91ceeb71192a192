/** The calls of the protocol, carried out with the manager of a group. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { deliveriesIn } from "../../durable/internal/updates.js"
import { TaskAlreadyExists, type TaskNotFound } from "../../errors.js"
import { listLive } from "../../machine/queries.js"
import { laneOf } from "../../machine/state/TaskTable.js"
import type { TaskLaunchRequest } from "../../model/Task.js"
import { type TaskResolution, TaskStartOutcome } from "../../model/TaskResolution.js"
import { consumePendingLoopUpdates, consumeReadyItems, consumeTurnUpdate } from "../../runtime/waiting/loop.js"
import { inputOf } from "../../services/internal/inputs.js"
import type { TaskManager, TaskManagerHandle } from "../../services/TaskManager.js"
import { inputText } from "../../shared/inputText.js"
import type { Group, OpenGroup } from "./Group.js"
import type { Given, PutBack, Take } from "./inHand.js"
import type { KeepingAlive } from "./keepingAlive.js"
import type { CallHeader, Change, GroupHandlers } from "./protocol.js"
import { shownOf } from "./readers.js"

type ChangeError = Effect.Effect.Error<
  | ReturnType<TaskManagerHandle["steer"]>
  | ReturnType<TaskManager["Type"]["rejectApproval"]>
>

const change = ({ manager }: OpenGroup, what: Change): Effect.Effect<boolean, ChangeError> => {
  const { handle } = manager
  switch (what._tag) {
    case "Cancel":
      return Effect.as(handle.cancel(what.taskId), true)
    case "Detach":
      return handle.detach(what.taskId)
    case "Steer":
      return Effect.as(handle.steer(what.taskId, what.message), true)
    case "SetContinuePolicy":
      return Effect.as(handle.setContinuePolicy(what.taskId, what.policy), true)
    case "SetDeliveryMode":
      return Effect.as(handle.setDeliveryMode(what.taskId, what.mode), true)
    case "SetPriority":
      return Effect.as(handle.setPriority(what.taskId, what.priority), true)
    case "Reject":
      return Effect.as(manager.rejectApproval(what), true)
  }
}

/** Whether the task that has the id is the one that the call has started before. Where its input is not kept, that is not compared. */
const isSameCall = ({ manager: { handle } }: OpenGroup, launch: TaskLaunchRequest, error: TaskAlreadyExists) =>
  Effect.flatMap(
    Effect.zip(Effect.option(handle.get(error.taskId)), inputOf(handle, error.taskId)),
    ([found, input]) => {
      const { request } = launch
      const isSame = Option.filter(
        found,
        (task) =>
          task.sessionId === request.sessionId && task.turnId === request.turnId && task.callId === request.callId &&
          task.toolName === request.toolName && (input === undefined || input === inputText(request.input))
      )
      return Option.match(isSame, {
        onNone: () => Effect.fail(error),
        onSome: ({ id, kind }) => Effect.succeed(TaskStartOutcome.Pending({ taskId: id, kind }))
      })
    }
  )

/** Takes with a consumer of the engine, whose end need not be written before its client goes on; nothing of a journal that is lost. */
const give = <A, E>(
  { engine: { state: { journal } }, fork, inHand }: OpenGroup,
  header: CallHeader,
  updatesOf: (value: A) => Parameters<typeof deliveriesIn>[0],
  take: Take<A, E>
): Effect.Effect<Given<A> | null, Exclude<E, PutBack>> =>
  Effect.suspend(() =>
    journal?.isGone === true ? journal.farewell : inHand.give(
      header.call,
      take,
      (value) => journal?.inTransaction(deliveriesIn(updatesOf(value))).map(({ delivery }) => delivery.order) ?? [],
      fork
    )
  )

const itself = <A>(value: A): A => value
const batch = (resolutions: ReadonlyArray<TaskResolution>) => ({ resolutions })

const limitOf = (timeout: number | null) => ({ timeout: timeout ?? Infinity })

export const handlersOf = (group: Group, keeping: KeepingAlive): GroupHandlers => ({
  Start: ({ payload: { again, header, launch } }) =>
    keeping.during(group.answer(header, (open) => {
      const started = open.manager.startTask(launch)
      return again
        ? Effect.catchIf(
          started,
          (error): error is TaskAlreadyExists => error instanceof TaskAlreadyExists,
          (error) => isSameCall(open, launch, error)
        )
        : started
      // once: an approval counts once
    }, { isKept: launch._tag === "Approved" })),
  Answer: ({ payload: { answers, asked, header } }) =>
    keeping.during(group.answer(header, (open) => {
      const answered = open.manager.answerApproval(asked, { answers: Object.fromEntries(answers) })
      return Effect.map(answered, (outcome) => outcome ?? null)
      // once: a question takes one answer
    }, { isKept: true })),
  TakeUpdate: ({ payload: { header, timeout, turn } }) =>
    group.answer(
      header,
      (open) => give(open, header, itself, (use) => consumeTurnUpdate(open.engine, turn, use, limitOf(timeout)))
    ),
  TakeLoop: ({ payload: { header, sessionId } }) =>
    group.answer(header, (open) =>
      give(open, header, batch, (use) =>
        consumePendingLoopUpdates(
          open.engine,
          sessionId,
          ({ resolutions }) => resolutions.length === 0 ? Effect.void : use(resolutions)
        ))),
  TakeManual: ({ payload: { header, sessionId } }) =>
    group.answer(header, (open) =>
      give(open, header, batch, (use) =>
        consumeReadyItems(
          open.engine,
          sessionId ?? undefined,
          (items) => items.length === 0 ? Effect.void : use(items)
        ))),
  TakeResult: ({ payload: { header, taskId } }) =>
    group.answer(
      header,
      (open) =>
        give<TaskResolution.Item, TaskNotFound | PutBack>(open, header, itself, (use) =>
          open.manager.consumeResult(taskId, use))
    ),
  AddUsage: ({ payload: { costs, header, turn } }) =>
    group.answer(header, ({ manager }) => Effect.as(manager.addUsage(turn, costs), null), { isKept: true }),
  Usage: ({ payload: { filter, header } }) => group.answer(header, ({ manager }) => manager.handle.usage(filter)),
  // what the header tells of has ended by now, and is to be written
  Settle: ({ payload: { header } }) =>
    group.answer(header, ({ engine: { state: { journal } } }) => Effect.as(journal?.synced ?? Effect.void, null)),
  Change: ({ payload: { change: what, header } }) =>
    group.answer(header, (open) => change(open, what), { isKept: true }),
  SetConcurrency: ({ payload: { header, lane, limit, onlyAfter } }) =>
    group.answer(
      header,
      ({ engine: { state: { table } }, manager: { handle } }) =>
        Effect.suspend(() => {
          const now = laneOf(table, lane)?.limit ?? Infinity
          const before = now === Infinity ? null : now
          const isMeant = onlyAfter === undefined || onlyAfter === before
          return Effect.as(isMeant ? handle.setConcurrency(lane, limit ?? Infinity) : Effect.void, before)
        }),
      { isKept: true }
    ),
  InterruptTurn: ({ payload: { header, turn } }) =>
    group.answer(header, ({ manager }) => manager.onTurnInterrupted(turn), { isKept: true }),
  CloseSession: ({ payload: { header, sessionId } }) =>
    group.answer(header, ({ manager }) => manager.closeSession(sessionId), { isKept: true }),
  WaitForLoop: ({ payload: { header, sessionId, timeout } }) =>
    group.answer(header, ({ manager }) => Effect.as(manager.waitForLoopUpdate(sessionId, limitOf(timeout)), null)),
  WaitForTask: ({ payload: { header, taskIds, timeout } }) =>
    group.answer(header, ({ manager }) => Effect.as(manager.waitForTask(taskIds, limitOf(timeout)), null)),
  WaitForIdle: ({ payload: { header, timeout } }) =>
    group.answer(
      header,
      ({ manager: { handle } }) =>
        Effect.as(timeout === null ? handle.waitForIdle : handle.waitForIdleWithin(timeout), null)
    ),
  Suspended: ({ payload: { header } }) => group.answer(header, ({ manager }) => manager.handle.listSuspended),
  Output: ({ payload: { header, range, taskId } }) =>
    group.answer(header, ({ manager }) => manager.handle.output(taskId, range)),
  Watch: ({ payload: { filter, header, mirrors, reader, replays } }) =>
    group.answer(header, ({ engine: { state: { journal, table } }, readers }) =>
      Effect.gen(function*() {
        yield* readers.open(reader, filter ?? undefined, { mirrors, replays })
        const { sessionId } = filter ?? {}
        const began = {
          seq: table.seq,
          live: listLive(table, filter ?? {}),
          ...(mirrors ? shownOf(table, sessionId) : { settled: [], asked: [] })
        }
        // nothing is shown that is not written
        yield* journal?.synced ?? Effect.void
        return { ...began, news: readers.news([{ reader, has: 0 }]) }
      })),
  Unwatch: ({ payload: { header, readers: ids } }) =>
    group.answer(header, ({ readers }) => Effect.as(readers.close(ids), null)),
  Poll: ({ payload: { header } }) =>
    group.answer(header, ({ readers }) => Effect.as(readers.awaitNews(header.readers), null))
})

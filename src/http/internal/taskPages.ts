/**
 * A list of tasks, page by page: the live ones, the newest first, then the settled ones, the one that settled last first. No page looks at
 * more settled tasks than a bound, wherever it begins.
 */
import type { HttpApiDecodeError } from "@effect/platform/HttpApiError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as Schema from "effect/Schema"
import { TaskId } from "../../model/ids.js"
import { isSettledStatus, liveStatuses } from "../../model/settled.js"
import type { TaskFilter, TaskSnapshot } from "../../model/Task.js"
import type { TaskManagerHandle } from "../../services/TaskManager.js"
import type { TaskPage } from "../api/internal/bodies.js"
import type { listQuery } from "../api/internal/queries.js"
import { invalidField } from "./problems.js"

type Query = typeof listQuery.Type

/** How many settled tasks a page looks at, where a filter leaves most of them out. */
const mostSeen = 2_000
const usualPage = 100

/**
 * Where a page begins. Among the live tasks: behind the one that was created then, of those of the same moment behind this id. Among the
 * settled ones: in what settled before the event `before`, without the first `skip`.
 */
const Cursor = Schema.parseJson(Schema.Union(
  Schema.Struct({ createdAt: Schema.Finite, id: Schema.String }),
  Schema.Struct({ before: Schema.NonNegativeInt, skip: Schema.NonNegativeInt })
))

type Cursor = typeof Cursor.Type

const encodeCursor = (cursor: Cursor): string => Encoding.encodeBase64Url(JSON.stringify(cursor))

const decodeCursor = (text: string): Either.Either<Cursor, unknown> =>
  Either.flatMap(Encoding.decodeBase64UrlString(text), Schema.decodeUnknownEither(Cursor))

/** What neither `list` nor `history` filters by. */
const isWanted = ({ callId, kind, lane, parent, text, tool, turnId }: Query): (task: TaskSnapshot) => boolean => {
  const sought = text?.toLowerCase()
  return (task) =>
    (kind === undefined || task.kind === kind) &&
    (turnId === undefined || task.turnId === turnId) &&
    (callId === undefined || task.callId === callId) &&
    (lane === undefined || task.lane === lane) &&
    (parent === undefined || task.parentTaskId === parent) &&
    (tool === undefined || task.toolName === tool) &&
    (sought === undefined ||
      [task.id, task.toolName, task.callId, task.sessionId, task.turnId, task.lane ?? ""].some((field) =>
        field.toLowerCase().includes(sought)
      ))
}

const isFiltered = ({ callId, kind, lane, parent, text, tool, turnId }: Query): boolean =>
  [callId, kind, lane, parent, text, tool, turnId].some((field) => field !== undefined)

/** Where a live task stands in the list. */
type Place = Pick<TaskSnapshot, "createdAt"> & { readonly id: string }

const byName = (left: string, right: string): number => left < right ? -1 : left > right ? 1 : 0

/** The newest first; those of one moment by their ids, of which `task-10` comes after `task-9`, so that a page can begin behind any of them. */
const newestFirst = (left: Place, right: Place): number =>
  right.createdAt - left.createdAt || right.id.length - left.id.length || byName(right.id, left.id)

interface Page {
  readonly tasks: Array<TaskSnapshot>
  next: Cursor | undefined
}

const livePage = (handle: TaskManagerHandle, query: Query, from: Cursor | undefined, limit: number) =>
  Effect.gen(function*() {
    const statuses = liveStatuses.filter((status) => query.status?.includes(status) !== false)
    const page: Page = { tasks: [], next: undefined }
    if (statuses.length === 0) return page
    const { callId, kind, lane, parent, sessionId, turnId } = query
    const filter: TaskFilter = { status: statuses, callId, kind, lane, parent, sessionId, turnId }
    const isMeant = isWanted(query)
    const found = (yield* handle.list(filter)).filter(isMeant)
    const behind = from === undefined || !("id" in from)
      ? found
      : found.filter((task) => newestFirst(task, from) > 0)
    // they come oldest first, and are nearly in order then
    const sorted = behind.reverse().sort(newestFirst)
    const tasks = sorted.slice(0, limit)
    const last = tasks.at(-1)
    if (sorted.length > limit && last !== undefined) page.next = { createdAt: last.createdAt, id: last.id }
    page.tasks.push(...tasks)
    return page
  })

/** Which number the next event has, found without a look at any task. */
const nextSeq = (handle: TaskManagerHandle): Effect.Effect<number> =>
  Effect.scoped(Effect.map(handle.watchOf({ taskId: TaskId.make("none") }), ({ seq }) => seq + 1))

const settledPage = (handle: TaskManagerHandle, query: Query, from: Cursor | undefined, limit: number) =>
  Effect.gen(function*() {
    const statuses = query.status?.filter(isSettledStatus)
    const page: Page = { tasks: [], next: undefined }
    if (statuses?.length === 0) return page
    const isMeant = isWanted(query)
    let before = from !== undefined && "before" in from ? from.before : yield* nextSeq(handle)
    let skip = from !== undefined && "before" in from ? from.skip : 0
    const size = isFiltered(query) ? 500 : Math.min(1_000, limit + skip)
    for (let seen = 0; seen < mostSeen;) {
      const { next, tasks } = yield* handle.history({
        before,
        limit: size,
        filter: { sessionId: query.sessionId, status: statuses }
      })
      for (let index = skip; index < tasks.length; index++) {
        const task = tasks[index]
        if (task === undefined || !isMeant(task)) continue
        page.tasks.push(task)
        if (page.tasks.length < limit) continue
        if (index + 1 < tasks.length) page.next = { before, skip: index + 1 }
        else if (next !== undefined) page.next = { before: next, skip: 0 }
        return page
      }
      if (next === undefined) return page
      seen += tasks.length
      before = next
      skip = 0
    }
    page.next = { before, skip: 0 }
    return page
  })

/** A page of the tasks that a query means; `next` is there where more may follow. */
export const taskPage = (
  handle: TaskManagerHandle,
  query: Query
): Effect.Effect<typeof TaskPage.Type, HttpApiDecodeError> =>
  Effect.gen(function*() {
    const { cursor, limit = usualPage } = query
    const decoded = cursor === undefined ? Either.right(undefined) : decodeCursor(cursor)
    if (Either.isLeft(decoded)) return yield* invalidField("cursor")
    const from = decoded.right
    const first = from !== undefined && "before" in from
      ? { tasks: [], next: undefined }
      : yield* livePage(handle, query, from, limit)
    if (first.next !== undefined) return { tasks: first.tasks, next: encodeCursor(first.next) }
    const left = limit - first.tasks.length
    if (left === 0) return { tasks: first.tasks, next: encodeCursor({ before: yield* nextSeq(handle), skip: 0 }) }
    const rest = yield* settledPage(handle, query, from, left)
    return {
      tasks: [...first.tasks, ...rest.tasks],
      ...(rest.next === undefined ? undefined : { next: encodeCursor(rest.next) })
    }
  })

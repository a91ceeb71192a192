/** The handlers of what is read and changed of tasks. */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { TaskManagerError } from "../../errors.js"
import { inputOf } from "../../services/internal/inputs.js"
import type { TaskManagerHandle } from "../../services/TaskManager.js"
import type { ProblemOf } from "../api/Problem.js"
import { TaskManagerApi } from "../api/TaskManagerApi.js"
import { CurrentCaller } from "./CurrentCaller.js"
import type { Drained } from "./Drained.js"
import { lastSeen, streamEvents } from "./eventsHandler.js"
import { opening } from "./frames.js"
import { conflict, notFound, problem } from "./problems.js"
import type { SharedStreams } from "./SharedStreams.js"
import type { Streams } from "./Streams.js"
import { tailOf } from "./tailing.js"
import { taskPage } from "./taskPages.js"

type NotFoundError = Extract<TaskManagerError, { _tag: "TaskNotFound" }>

const orNotFound = <A, R>(effect: Effect.Effect<A, NotFoundError, R>): Effect.Effect<A, ProblemOf<404>, R> =>
  Effect.mapError(effect, notFound)

const orConflict = <A, E extends TaskManagerError, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, ProblemOf<404> | ProblemOf<409>, R> =>
  Effect.mapError(
    effect,
    (error: TaskManagerError) => error._tag === "TaskNotFound" ? notFound(error) : conflict(error, "taskId")
  )

const noSums = problem(
  409,
  "NoLedger",
  "Conflict",
  "The manager does not sum up what is used (ledger), or the filter mixes things."
)

const noInputs = problem(404, "InputsNotShown", "Not found", "The server does not show inputs: see `showInputs`.")

export interface TaskParts {
  readonly handle: TaskManagerHandle
  readonly streams: Streams
  readonly shared: SharedStreams
  readonly drained: Drained
  readonly hasSessions: boolean
  readonly showInputs: boolean
}

export const tasksGroup = ({ handle, hasSessions, shared, showInputs, streams }: TaskParts) =>
  HttpApiBuilder.group(TaskManagerApi, "tasks", (handlers) =>
    handlers
      .handle("caller", () =>
        Effect.map(CurrentCaller, (caller) => ({
          name: caller?.grant.name ?? "",
          scopes: [...caller?.grant.scopes ?? []],
          sessions: hasSessions,
          inputs: showInputs
        })))
      .handle("list", ({ urlParams }) => taskPage(handle, urlParams))
      .handle("history", ({ urlParams: { before, limit, ...filter } }) => handle.history({ before, limit, filter }))
      .handle("get", ({ path }) => orNotFound(handle.get(path.id)))
      .handle("input", ({ path }) =>
        showInputs
          ? orNotFound(
            Effect.zipWith(
              handle.get(path.id),
              inputOf(handle, path.id),
              (_, input) => input === undefined ? {} : { input }
            )
          )
          : Effect.fail(noInputs))
      .handle("result", ({ path }) =>
        orNotFound(Effect.map(
          handle.result(path.id),
          Option.match({ onNone: () => ({}), onSome: (result) => ({ result }) })
        )))
      .handle("output", ({ path, urlParams }) => orNotFound(handle.output(path.id, urlParams)))
      .handleRaw("tail", ({ path, request, urlParams }) =>
        Effect.gen(function*() {
          const start = yield* lastSeen(request, urlParams.start)
          const stream = yield* streams.open
          const frames = yield* orNotFound(tailOf(handle, path.id, start))
          stream.unsafeOffer(opening())
          // its last frame says why it ends
          const ending = Stream.execute(Effect.sync(() => stream.unsafeEnd()))
          yield* streams.replay(stream, Stream.concat(frames, ending), (frame) => frame)
          return streams.respond(stream)
        }))
      .handle("usage", ({ urlParams }) =>
        handle.usage(urlParams).pipe(
          orNotFound,
          Effect.catchAllDefect((defect) => defect instanceof TypeError ? Effect.fail(noSums) : Effect.die(defect))
        ))
      .handle("idle", ({ urlParams: { within = 0 } }) =>
        handle.waitForIdleWithin(within).pipe(
          Effect.as({ idle: true }),
          Effect.catchAll(() => Effect.succeed({ idle: false })),
          streams.untilClosing
        ))
      .handleRaw("events", ({ request, urlParams }) => streamEvents(handle, streams, request, urlParams))
      .handleRaw("shared", () => shared.open)
      .handle("subscribe", ({ payload }) => shared.change(payload)))

export const controlGroup = ({ drained, handle, streams }: TaskParts) =>
  HttpApiBuilder.group(TaskManagerApi, "control", (handlers) =>
    handlers
      .handle("cancel", ({ path }) => streams.untilClosing(orNotFound(handle.cancel(path.id))))
      .handle("detach", ({ path }) => orConflict(Effect.map(handle.detach(path.id), (detached) => ({ detached }))))
      .handle("steer", ({ path, payload }) => orConflict(handle.steer(path.id, payload.text)))
      .handle(
        "setDeliveryMode",
        ({ path, payload }) => orConflict(handle.setDeliveryMode(path.id, payload.deliveryMode))
      )
      .handle(
        "setContinuePolicy",
        ({ path, payload }) => orConflict(handle.setContinuePolicy(path.id, payload.continuePolicy))
      )
      .handle("setPriority", ({ path, payload }) => orConflict(handle.setPriority(path.id, payload.priority)))
      .handle("setConcurrency", ({ path, payload }) =>
        Effect.mapError(
          handle.setConcurrency(path.lane, payload.limit ?? Infinity),
          (error) => conflict(error, "lane")
        ))
      .handle(
        "drain",
        ({ payload }) => Effect.map(drained.take(payload.key, payload.sessionId), (items) => ({ items }))
      ))

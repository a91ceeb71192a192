/**
 * What can be asked of a task manager over HTTP, as one value: the server and the client are made of it, and the OpenAPI document.
 *
 * @since 0.1.0
 */
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import { Transcript } from "../../ai/transcript/Transcript.js"
import { SessionId, TaskId } from "../../model/ids.js"
import { list, struct, Text } from "../../model/schemas.js"
import { TaskSnapshot } from "../../model/Task.js"
import { TaskHistoryPage } from "../../model/TaskHistory.js"
import { TaskOutput } from "../../model/TaskOutput.js"
import { InterruptReceipt, TaskResolution, TaskStartOutcome } from "../../model/TaskResolution.js"
import { Usage } from "../../model/Usage.js"
import { MayApprove, MayControl, MayRead } from "./internal/access.js"
import { inPath } from "./internal/addresses.js"
import * as bodies from "./internal/bodies.js"
import { describeErrors } from "./internal/openApi.js"
import * as queries from "./internal/queries.js"
import { Conflict, NotFound, TooMany, Unavailable } from "./Problem.js"

const byTask = Schema.Struct({ id: inPath(TaskId) })
const bySession = Schema.Struct({ id: inPath(SessionId) })

/** Server-sent events: docs/http.md says what they are. */
const events = HttpApiSchema.Text({ contentType: "text/event-stream" })

const { get, post, put } = HttpApiEndpoint

/** What is read of tasks. */
class Tasks extends HttpApiGroup.make("tasks")
  .add(get("caller", "/caller").addSuccess(bodies.Caller))
  .add(get("list", "/tasks").setUrlParams(queries.listQuery).addSuccess(bodies.TaskPage))
  .add(get("history", "/history").setUrlParams(queries.historyQuery).addSuccess(TaskHistoryPage))
  .add(get("get", "/tasks/:id").setPath(byTask).addSuccess(TaskSnapshot).addError(NotFound))
  .add(get("input", "/tasks/:id/input").setPath(byTask).addSuccess(bodies.TaskInput).addError(NotFound))
  .add(get("result", "/tasks/:id/result").setPath(byTask).addSuccess(bodies.TaskResultAnswer).addError(NotFound))
  .add(
    get("output", "/tasks/:id/output").setPath(byTask).setUrlParams(queries.outputQuery).addSuccess(TaskOutput)
      .addError(NotFound)
  )
  .add(
    get("tail", "/tasks/:id/output/stream").setPath(byTask).setUrlParams(queries.tailQuery).addSuccess(events)
      .addError(NotFound).addError(TooMany)
  )
  .add(get("usage", "/usage").setUrlParams(queries.usageQuery).addSuccess(Usage).addError(NotFound).addError(Conflict))
  .add(get("idle", "/idle").setUrlParams(queries.idleQuery).addSuccess(bodies.Idle).addError(Unavailable))
  .add(get("events", "/events").setUrlParams(queries.eventsQuery).addSuccess(events).addError(TooMany))
  .add(get("shared", "/events/shared").addSuccess(events).addError(TooMany))
  .add(
    post("subscribe", "/events/shared").setPayload(bodies.SubscriptionChanges).addSuccess(bodies.SubscriptionsChanged)
      .addError(NotFound)
  )
  .middlewareEndpoints(MayRead)
  .prefix("/api")
{}

/** What is changed of tasks. */
class Control extends HttpApiGroup.make("control")
  .add(
    post("cancel", "/tasks/:id/cancel").setPath(byTask).setPayload(bodies.Nothing).addSuccess(HttpApiSchema.NoContent)
      .addError(NotFound).addError(Unavailable)
  )
  .add(
    post("detach", "/tasks/:id/detach").setPath(byTask).setPayload(bodies.Nothing).addSuccess(bodies.Detached)
      .addError(NotFound).addError(Conflict)
  )
  .add(
    post("steer", "/tasks/:id/messages").setPath(byTask).setPayload(bodies.Message).addSuccess(HttpApiSchema.NoContent)
      .addError(NotFound).addError(Conflict)
  )
  .add(
    put("setDeliveryMode", "/tasks/:id/delivery-mode").setPath(byTask).setPayload(bodies.DeliveryModeChange)
      .addSuccess(HttpApiSchema.NoContent).addError(NotFound).addError(Conflict)
  )
  .add(
    put("setContinuePolicy", "/tasks/:id/continue-policy").setPath(byTask).setPayload(bodies.ContinuePolicyChange)
      .addSuccess(HttpApiSchema.NoContent).addError(NotFound).addError(Conflict)
  )
  .add(
    put("setPriority", "/tasks/:id/priority").setPath(byTask).setPayload(bodies.PriorityChange)
      .addSuccess(HttpApiSchema.NoContent).addError(NotFound).addError(Conflict)
  )
  .add(
    put("setConcurrency", "/lanes/:lane/concurrency").setPath(Schema.Struct({ lane: inPath(Text) }))
      .setPayload(bodies.ConcurrencyChange).addSuccess(HttpApiSchema.NoContent).addError(Conflict)
  )
  .add(
    post("drain", "/results/drain").setPayload(bodies.Drain).addSuccess(struct({ items: list(TaskResolution) }))
  )
  .middlewareEndpoints(MayControl)
  .prefix("/api")
{}

/** The updates of a turn, for consumers that say what they have used. */
class Turns extends HttpApiGroup.make("turns")
  .add(
    post("next", "/turns/next").setPayload(bodies.TurnUpdateAsked).addSuccess(bodies.TurnUpdateAnswer)
      .addError(Conflict).addError(TooMany).addError(Unavailable)
  )
  .add(
    post("keep", "/turns/keep").setPayload(bodies.TurnConsumer).addSuccess(HttpApiSchema.NoContent).addError(Conflict)
  )
  .add(
    post("end", "/turns/end").setPayload(bodies.TurnConsumerEnded).addSuccess(HttpApiSchema.NoContent)
      .addError(Conflict)
  )
  .middlewareEndpoints(MayControl)
  .prefix("/api")
{}

/** What waits for a human. */
class Approvals extends HttpApiGroup.make("approvals")
  .add(get("inbox", "/approvals").addSuccess(bodies.Approvals).middleware(MayRead))
  .add(
    post("answer", "/approvals/:id/answer").setPath(byTask).setPayload(bodies.ApprovalAnswerBody)
      .addSuccess(struct({ outcome: Schema.optionalWith(TaskStartOutcome, { exact: true }) }))
      .addError(NotFound).addError(Conflict).addError(Unavailable).middleware(MayApprove)
  )
  .prefix("/api")
{}

/** The sessions of an agent loop, where the server has one. */
class Sessions extends HttpApiGroup.make("sessions")
  .add(get("list", "/sessions").addSuccess(bodies.Sessions).addError(NotFound).middleware(MayRead))
  .add(
    post("open", "/sessions").setPayload(bodies.SessionOpened).addSuccess(bodies.SessionOpened)
      .addError(NotFound).addError(Conflict).addError(TooMany).addError(Unavailable).middleware(MayControl)
  )
  .add(
    get("get", "/sessions/:id").setPath(bySession).addSuccess(bodies.SessionView).addError(NotFound).middleware(MayRead)
  )
  .add(
    get("transcript", "/sessions/:id/transcript").setPath(bySession).addSuccess(Transcript).addError(NotFound)
      .middleware(MayRead)
  )
  .add(
    get("events", "/sessions/:id/events").setPath(bySession).addSuccess(events).addError(NotFound).addError(TooMany)
      .middleware(MayRead)
  )
  .add(
    post("submit", "/sessions/:id/messages").setPath(bySession).setPayload(bodies.SessionMessage)
      .addSuccess(bodies.MessageTaken).addError(NotFound).addError(Conflict).middleware(MayControl)
  )
  .add(
    post("interrupt", "/sessions/:id/interrupt").setPath(bySession).setPayload(bodies.Nothing)
      .addSuccess(InterruptReceipt).addError(NotFound).addError(Unavailable).middleware(MayControl)
  )
  .add(
    post("close", "/sessions/:id/close").setPath(bySession).setPayload(bodies.Nothing)
      .addSuccess(InterruptReceipt).addError(NotFound).addError(Unavailable).middleware(MayControl)
  )
  .prefix("/api")
{}

/**
 * The HTTP interface of a task manager: tasks, events, approvals, and sessions of an agent loop. `HttpApiClient.make` makes a client of it
 * for programs that want HTTP as it is; `TaskManagerClient` gives the handle that they know. Docs: docs/http.md.
 *
 * @since 0.1.0
 * @category models
 */
export class TaskManagerApi extends HttpApi.make("effect-task-manager")
  .add(Tasks)
  .add(Control)
  .add(Turns)
  .add(Approvals)
  .add(Sessions)
  .annotate(OpenApi.Title, "effect-task-manager")
  .annotate(OpenApi.Transform, describeErrors)
{}

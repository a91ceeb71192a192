/** The table of docs/contract.md, 4.2, cell by cell: every operation in every state. */
import { TaskId, TaskLaunchRequest } from "effect-task-manager"
import { assert, describe, it } from "vitest"
import * as control from "../../src/machine/control.js"
import { send } from "../../src/machine/messages.js"
import * as start from "../../src/machine/start.js"
import { Inbox } from "../../src/machine/state/Inbox.js"
import type { TaskRecord } from "../../src/machine/state/TaskRecord.js"
import { request, routeOf, shownApproval, toolError, turnRef, World } from "../support/world.js"

const a = TaskId.make("a")

interface Situation {
  readonly world: World
  readonly task: TaskRecord
}

/** Task `a` in the given state, its earlier results taken; an approval it asks for is not. */
const inState = (state: string): Situation => {
  const [status, where] = state.split(" ")
  const world = new World(status === "Queued" ? { concurrency: 1 } : {})
  if (status === "Queued") world.start("blocker", { session: "other" })
  const task = world.start("a", {
    kind: where === "bg" || where === "manual" ? "Background" : "Foreground",
    deliveryMode: where === "manual" ? "Manual" : "ToLoop",
    continuePolicy: where === "manual" ? "NotifyOnly" : "RequestContinue"
  })
  if (status === "Suspended") world.suspend(task)
  if (status === "Cancelling" || status === "Cancelled") world.step((table, now) => control.cancel(table, a, now))
  if (status === "Cancelled") world.end(task, { _tag: "Cancelled" })
  if (status === "Completed") world.complete(task)
  if (status === "Failed") world.end(task, { _tag: "Failed", error: toolError() })
  if (status !== "Suspended") {
    while (world.takeTurn().startsWith("a ")) { /* until it has drained */ }
    world.takeLoop()
  }
  if (status === "unknown") return { world: new World(), task }
  assert.isTrue(world.status("a").startsWith(`${status} `), world.status("a"))
  return { world, task }
}

const answer = (outcome: unknown): string => {
  if (typeof outcome !== "object" || outcome === null) return String(outcome)
  if ("_tag" in outcome && outcome._tag === "WrongStatus" && "status" in outcome) return `refused: ${outcome.status}`
  if ("_tag" in outcome) return `refused: ${String(outcome._tag)}`
  return "ok"
}

const receipt = ({ cancelled, kept, unsettled }: control.Interruption): string => {
  const count = (what: string, tasks: ReadonlyArray<TaskRecord>) => tasks.length === 0 ? "" : ` ${what}`
  return `receipt:${count("cancelled", cancelled)}${count("kept", kept)}${count("to wait for", unsettled)}`
}

type Operation = (situation: Situation) => string

const approvedLaunch = TaskLaunchRequest.approved({ taskId: a, request: request("a"), approval: shownApproval() })

const operations: Record<string, Operation> = {
  cancel: ({ world }) => answer(world.step((table, now) => control.cancel(table, a, now))),
  timeOut: ({ task, world }) => {
    task.timeout = 1_000
    return answer(world.step((table, now) => control.timeOut(table, task, task.snapshot.launch, now)))
  },
  detach: ({ world }) => answer(world.step((table, now) => control.detach(table, a, now))),
  detachAfter: ({ task, world }) =>
    answer(world.step((table, now) => control.detachAfter(table, task, task.snapshot.launch, now))),
  setDeliveryMode: ({ world }) => {
    const outcome = world.step((table) => control.configure(table, a, { deliveryMode: "Manual" }))
    return `${answer(outcome)} ${world.table.tasks.get(a)?.snapshot.deliveryMode}`
  },
  setContinuePolicy: ({ world }) => {
    const outcome = world.step((table) => control.configure(table, a, { continuePolicy: "NotifyOnly" }))
    return `${answer(outcome)} ${world.table.tasks.get(a)?.snapshot.continuePolicy}`
  },
  startPlain: ({ world }) => {
    const refused = world.step((table) => start.refusal(table, a))
    if (refused === undefined) world.start("a")
    return String(refused)
  },
  startApproved: ({ world }) => {
    const differs = start.mismatch(world.table, approvedLaunch)
    const found = start.findSuspended(world.table, approvedLaunch)
    assert.strictEqual(differs === undefined, found !== undefined)
    if (found === undefined) {
      world.step(() => undefined)
      return `mismatch: ${differs}`
    }
    world.resume(found, routeOf())
    return `resumes launch ${found.snapshot.launch}`
  },
  rejectApproval: ({ world }) => answer(world.step((table, now) => control.rejectApproval(table, a, {}, now))),
  progress: ({ task, world }) =>
    answer(world.step((table, now) => control.progress(table, task, 1, { message: "half" }, now))),
  steer: ({ world }) => answer(world.step((table) => send(table, a, "stop"))),
  steerListening: ({ task, world }) => {
    task.inbox = new Inbox()
    return answer(world.step((table) => send(table, a, "stop")))
  },
  onTurnInterrupted: ({ world }) => receipt(world.step((table, now) => control.interruptTurn(table, turnRef(), now))),
  closeSession: ({ world }) =>
    receipt(world.step((table, now) => control.closeSession(table, turnRef().sessionId, now))),
  beginShutdown: ({ world }) => {
    for (const other of world.table.live) {
      if (other.snapshot.id !== a) world.step((table, now) => control.cancel(table, other.snapshot.id, now))
    }
    return receipt(world.step((table, now) => control.beginShutdown(table, now)))
  }
}

const outcomeOf = (operation: Operation, state: string): string => {
  const situation = inState(state)
  const { world } = situation
  const said = operation(situation)
  const queues = [
    ["turn", world.peek.turn()],
    ["loop", world.peek.loop()],
    ["manual", world.peek.manual()]
  ] as const
  return [
    said,
    world.lines.join(", ") || "nothing happens",
    world.status("a"),
    ...queues.flatMap(([name, values]) => values.length === 0 ? [] : [`${name}: ${values.join(", ")}`])
  ].join(" | ")
}

/** `answer | what happened in this step | status after it | what waits to be taken after it` */
const cells: Record<string, Record<string, string>> = {
  cancel: {
    "Queued fg": "ok | end a#1, Cancelled a | Cancelled Foreground | turn: a error: cancelled before start",
    "Queued bg":
      "ok | end a#1, Cancelled a, ContinueRequested a | Cancelled Background | loop: a error: cancelled before start",
    "Running fg": "ok | interrupt a#1 | Cancelling Foreground",
    "Running bg": "ok | interrupt a#1 | Cancelling Background",
    "Running manual": "ok | interrupt a#1 | Cancelling Background",
    "Suspended fg": "ok | end a#1, Cancelled a | Cancelled Foreground | turn: a error: cancelled while asking",
    "Suspended bg":
      "ok | end a#1, Cancelled a, ContinueRequested a | Cancelled Background | loop: a error: cancelled while asking",
    "Suspended manual": "ok | end a#1, Cancelled a | Cancelled Background | manual: a error: cancelled while asking",
    "Cancelling fg": "ok | nothing happens | Cancelling Foreground",
    "Cancelling bg": "ok | nothing happens | Cancelling Background",
    "Completed fg": "Settled | nothing happens | Completed Foreground",
    "Failed bg": "Settled | nothing happens | Failed Background",
    "Cancelled fg": "Settled | nothing happens | Cancelled Foreground",
    unknown: "refused: NotFound | nothing happens | unknown"
  },
  timeOut: {
    "Queued fg": "undefined | nothing happens | Queued Foreground",
    "Queued bg": "undefined | nothing happens | Queued Background",
    "Running fg": "undefined | interrupt a#1 | Cancelling Foreground",
    "Running bg": "undefined | interrupt a#1 | Cancelling Background",
    "Running manual": "undefined | interrupt a#1 | Cancelling Background",
    "Suspended fg": "undefined | nothing happens | Suspended Foreground | turn: a asks approval",
    "Suspended bg": "undefined | nothing happens | Suspended Background | loop: a asks approval",
    "Suspended manual": "undefined | nothing happens | Suspended Background | loop: a asks approval",
    "Cancelling fg": "undefined | nothing happens | Cancelling Foreground",
    "Cancelling bg": "undefined | nothing happens | Cancelling Background",
    "Completed fg": "undefined | nothing happens | Completed Foreground",
    "Failed bg": "undefined | nothing happens | Failed Background",
    "Cancelled fg": "undefined | nothing happens | Cancelled Foreground"
  },
  detach: {
    "Queued fg": "true | stop detach timer a#1, Detached a | Queued Background | turn: a detached",
    "Queued bg": "false | nothing happens | Queued Background",
    "Running fg": "true | stop detach timer a#1, Detached a | Running Background | turn: a detached",
    "Running bg": "false | nothing happens | Running Background",
    "Running manual": "false | nothing happens | Running Background",
    "Suspended fg": "refused: Suspended | nothing happens | Suspended Foreground | turn: a asks approval",
    "Suspended bg": "refused: Suspended | nothing happens | Suspended Background | loop: a asks approval",
    "Suspended manual": "refused: Suspended | nothing happens | Suspended Background | loop: a asks approval",
    "Cancelling fg": "refused: Cancelling | nothing happens | Cancelling Foreground",
    "Cancelling bg": "refused: Cancelling | nothing happens | Cancelling Background",
    "Completed fg": "refused: Completed | nothing happens | Completed Foreground",
    "Failed bg": "refused: Failed | nothing happens | Failed Background",
    "Cancelled fg": "refused: Cancelled | nothing happens | Cancelled Foreground",
    unknown: "refused: NotFound | nothing happens | unknown"
  },
  detachAfter: {
    "Queued fg": "undefined | stop detach timer a#1, Detached a | Queued Background | turn: a detached",
    "Queued bg": "undefined | nothing happens | Queued Background",
    "Running fg": "undefined | stop detach timer a#1, Detached a | Running Background | turn: a detached",
    "Running bg": "undefined | nothing happens | Running Background",
    "Running manual": "undefined | nothing happens | Running Background",
    "Suspended fg": "undefined | nothing happens | Suspended Foreground | turn: a asks approval",
    "Suspended bg": "undefined | nothing happens | Suspended Background | loop: a asks approval",
    "Suspended manual": "undefined | nothing happens | Suspended Background | loop: a asks approval",
    "Cancelling fg": "undefined | nothing happens | Cancelling Foreground",
    "Cancelling bg": "undefined | nothing happens | Cancelling Background",
    "Completed fg": "undefined | nothing happens | Completed Foreground",
    "Failed bg": "undefined | nothing happens | Failed Background",
    "Cancelled fg": "undefined | nothing happens | Cancelled Foreground"
  },
  setDeliveryMode: {
    "Queued fg": "true Manual | nothing happens | Queued Foreground",
    "Queued bg": "true Manual | nothing happens | Queued Background",
    "Running fg": "true Manual | nothing happens | Running Foreground",
    "Running bg": "true Manual | nothing happens | Running Background",
    "Running manual": "true Manual | nothing happens | Running Background",
    "Suspended fg": "true Manual | nothing happens | Suspended Foreground | turn: a asks approval",
    "Suspended bg": "true Manual | nothing happens | Suspended Background | loop: a asks approval",
    "Suspended manual": "true Manual | nothing happens | Suspended Background | loop: a asks approval",
    "Cancelling fg": "refused: Cancelling ToLoop | nothing happens | Cancelling Foreground",
    "Cancelling bg": "refused: Cancelling ToLoop | nothing happens | Cancelling Background",
    "Completed fg": "refused: Completed ToLoop | nothing happens | Completed Foreground",
    "Failed bg": "refused: Failed ToLoop | nothing happens | Failed Background",
    "Cancelled fg": "refused: Cancelled ToLoop | nothing happens | Cancelled Foreground",
    unknown: "refused: NotFound undefined | nothing happens | unknown"
  },
  setContinuePolicy: {
    "Queued fg": "true NotifyOnly | nothing happens | Queued Foreground",
    "Queued bg": "true NotifyOnly | nothing happens | Queued Background",
    "Running fg": "true NotifyOnly | nothing happens | Running Foreground",
    "Running bg": "true NotifyOnly | nothing happens | Running Background",
    "Running manual": "true NotifyOnly | nothing happens | Running Background",
    "Suspended fg": "true NotifyOnly | nothing happens | Suspended Foreground | turn: a asks approval",
    "Suspended bg": "true NotifyOnly | nothing happens | Suspended Background | loop: a asks approval",
    "Suspended manual": "true NotifyOnly | nothing happens | Suspended Background | loop: a asks approval",
    "Cancelling fg": "refused: Cancelling RequestContinue | nothing happens | Cancelling Foreground",
    "Cancelling bg": "refused: Cancelling RequestContinue | nothing happens | Cancelling Background",
    "Completed fg": "refused: Completed RequestContinue | nothing happens | Completed Foreground",
    "Failed bg": "refused: Failed RequestContinue | nothing happens | Failed Background",
    "Cancelled fg": "refused: Cancelled RequestContinue | nothing happens | Cancelled Foreground",
    unknown: "refused: NotFound undefined | nothing happens | unknown"
  },
  startPlain: {
    "Queued fg": "AlreadyExists | nothing happens | Queued Foreground",
    "Queued bg": "AlreadyExists | nothing happens | Queued Background",
    "Running fg": "AlreadyExists | nothing happens | Running Foreground",
    "Running bg": "AlreadyExists | nothing happens | Running Background",
    "Running manual": "AlreadyExists | nothing happens | Running Background",
    "Suspended fg": "AlreadyExists | nothing happens | Suspended Foreground | turn: a asks approval",
    "Suspended bg": "AlreadyExists | nothing happens | Suspended Background | loop: a asks approval",
    "Suspended manual": "AlreadyExists | nothing happens | Suspended Background | loop: a asks approval",
    "Cancelling fg": "AlreadyExists | nothing happens | Cancelling Foreground",
    "Cancelling bg": "AlreadyExists | nothing happens | Cancelling Background",
    "Completed fg": "AlreadyExists | nothing happens | Completed Foreground",
    "Failed bg": "AlreadyExists | nothing happens | Failed Background",
    "Cancelled fg": "AlreadyExists | nothing happens | Cancelled Foreground",
    unknown: "undefined | Started a, launch a#1 | Running Foreground"
  },
  startApproved: {
    "Queued fg": "mismatch: asking | nothing happens | Queued Foreground",
    "Queued bg": "mismatch: asking | nothing happens | Queued Background",
    "Running fg": "mismatch: asking | nothing happens | Running Foreground",
    "Running bg": "mismatch: asking | nothing happens | Running Background",
    "Running manual": "mismatch: asking | nothing happens | Running Background",
    "Suspended fg": "resumes launch 2 | Started a, launch a#2 | Running Foreground",
    "Suspended bg": "resumes launch 2 | Started a, launch a#2 | Running Background",
    "Suspended manual": "resumes launch 2 | Started a, launch a#2 | Running Background",
    "Cancelling fg": "mismatch: asking | nothing happens | Cancelling Foreground",
    "Cancelling bg": "mismatch: asking | nothing happens | Cancelling Background",
    "Completed fg": "mismatch: asking | nothing happens | Completed Foreground",
    "Failed bg": "mismatch: asking | nothing happens | Failed Background",
    "Cancelled fg": "mismatch: asking | nothing happens | Cancelled Foreground",
    unknown: "mismatch: taskId | nothing happens | unknown"
  },
  rejectApproval: {
    "Queued fg": "refused: Queued | nothing happens | Queued Foreground",
    "Queued bg": "refused: Queued | nothing happens | Queued Background",
    "Running fg": "refused: Running | nothing happens | Running Foreground",
    "Running bg": "refused: Running | nothing happens | Running Background",
    "Running manual": "refused: Running | nothing happens | Running Background",
    "Suspended fg": "true | end a#1, Failed a | Failed Foreground | turn: a error: rejected",
    "Suspended bg": "true | end a#1, Failed a, ContinueRequested a | Failed Background | loop: a error: rejected",
    "Suspended manual": "true | end a#1, Failed a | Failed Background | manual: a error: rejected",
    "Cancelling fg": "refused: Cancelling | nothing happens | Cancelling Foreground",
    "Cancelling bg": "refused: Cancelling | nothing happens | Cancelling Background",
    "Completed fg": "refused: Completed | nothing happens | Completed Foreground",
    "Failed bg": "refused: Failed | nothing happens | Failed Background",
    "Cancelled fg": "refused: Cancelled | nothing happens | Cancelled Foreground",
    unknown: "refused: NotFound | nothing happens | unknown"
  },
  progress: {
    "Queued fg": "undefined | nothing happens | Queued Foreground",
    "Queued bg": "undefined | nothing happens | Queued Background",
    "Running fg": "undefined | Progress a | Running Foreground",
    "Running bg": "undefined | Progress a | Running Background",
    "Running manual": "undefined | Progress a | Running Background",
    "Suspended fg": "undefined | nothing happens | Suspended Foreground | turn: a asks approval",
    "Suspended bg": "undefined | nothing happens | Suspended Background | loop: a asks approval",
    "Suspended manual": "undefined | nothing happens | Suspended Background | loop: a asks approval",
    "Cancelling fg": "undefined | nothing happens | Cancelling Foreground",
    "Cancelling bg": "undefined | nothing happens | Cancelling Background",
    "Completed fg": "undefined | nothing happens | Completed Foreground",
    "Failed bg": "undefined | nothing happens | Failed Background",
    "Cancelled fg": "undefined | nothing happens | Cancelled Foreground"
  },
  steer: {
    "Queued fg": "refused: NotListening | nothing happens | Queued Foreground",
    "Queued bg": "refused: NotListening | nothing happens | Queued Background",
    "Running fg": "refused: NotListening | nothing happens | Running Foreground",
    "Running bg": "refused: NotListening | nothing happens | Running Background",
    "Running manual": "refused: NotListening | nothing happens | Running Background",
    "Suspended fg": "refused: NotListening | nothing happens | Suspended Foreground | turn: a asks approval",
    "Suspended bg": "refused: NotListening | nothing happens | Suspended Background | loop: a asks approval",
    "Suspended manual": "refused: NotListening | nothing happens | Suspended Background | loop: a asks approval",
    "Cancelling fg": "refused: Cancelling | nothing happens | Cancelling Foreground",
    "Cancelling bg": "refused: Cancelling | nothing happens | Cancelling Background",
    "Completed fg": "refused: Completed | nothing happens | Completed Foreground",
    "Failed bg": "refused: Failed | nothing happens | Failed Background",
    "Cancelled fg": "refused: Cancelled | nothing happens | Cancelled Foreground",
    unknown: "refused: NotFound | nothing happens | unknown"
  },
  steerListening: {
    "Queued fg": "true | nothing happens | Queued Foreground",
    "Queued bg": "true | nothing happens | Queued Background",
    "Running fg": "true | nothing happens | Running Foreground",
    "Running bg": "true | nothing happens | Running Background",
    "Running manual": "true | nothing happens | Running Background",
    "Suspended fg": "true | nothing happens | Suspended Foreground | turn: a asks approval",
    "Suspended bg": "true | nothing happens | Suspended Background | loop: a asks approval",
    "Suspended manual": "true | nothing happens | Suspended Background | loop: a asks approval",
    "Cancelling fg": "refused: Cancelling | nothing happens | Cancelling Foreground",
    "Cancelling bg": "refused: Cancelling | nothing happens | Cancelling Background",
    "Completed fg": "refused: Completed | nothing happens | Completed Foreground",
    "Failed bg": "refused: Failed | nothing happens | Failed Background",
    "Cancelled fg": "refused: Cancelled | nothing happens | Cancelled Foreground",
    unknown: "refused: NotFound | nothing happens | unknown"
  },
  onTurnInterrupted: {
    "Queued fg":
      "receipt: cancelled | end a#1, Cancelled a | Cancelled Foreground | turn: a error: cancelled before start",
    "Queued bg": "receipt: kept | nothing happens | Queued Background",
    "Running fg": "receipt: cancelled to wait for | interrupt a#1 | Cancelling Foreground",
    "Running bg": "receipt: kept | nothing happens | Running Background",
    "Running manual": "receipt: kept | nothing happens | Running Background",
    "Suspended fg":
      "receipt: cancelled | end a#1, Cancelled a | Cancelled Foreground | turn: a error: cancelled while asking",
    "Suspended bg": "receipt: kept | nothing happens | Suspended Background | loop: a asks approval",
    "Suspended manual": "receipt: kept | nothing happens | Suspended Background | loop: a asks approval",
    "Cancelling fg": "receipt: to wait for | nothing happens | Cancelling Foreground",
    "Cancelling bg": "receipt: | nothing happens | Cancelling Background",
    "Completed fg": "receipt: | nothing happens | Completed Foreground",
    "Failed bg": "receipt: | nothing happens | Failed Background",
    "Cancelled fg": "receipt: | nothing happens | Cancelled Foreground",
    unknown: "receipt: | nothing happens | unknown"
  },
  closeSession: {
    "Queued fg": "receipt: cancelled | end a#1, Cancelled a, SessionClosed s | Cancelled Foreground",
    "Queued bg": "receipt: cancelled | end a#1, Cancelled a, SessionClosed s | Cancelled Background",
    "Running fg": "receipt: cancelled to wait for | interrupt a#1 | Cancelling Foreground",
    "Running bg": "receipt: cancelled to wait for | interrupt a#1 | Cancelling Background",
    "Running manual": "receipt: cancelled to wait for | interrupt a#1 | Cancelling Background",
    "Suspended fg": "receipt: cancelled | end a#1, Cancelled a, SessionClosed s | Cancelled Foreground",
    "Suspended bg": "receipt: cancelled | end a#1, Cancelled a, SessionClosed s | Cancelled Background",
    "Suspended manual": "receipt: cancelled | end a#1, Cancelled a, SessionClosed s | Cancelled Background",
    "Cancelling fg": "receipt: to wait for | nothing happens | Cancelling Foreground",
    "Cancelling bg": "receipt: to wait for | nothing happens | Cancelling Background",
    "Completed fg": "receipt: | SessionClosed s | Completed Foreground",
    "Failed bg": "receipt: | SessionClosed s | Failed Background",
    "Cancelled fg": "receipt: | SessionClosed s | Cancelled Foreground",
    unknown: "receipt: | SessionClosed s | unknown"
  },
  beginShutdown: {
    "Queued fg":
      "receipt: cancelled to wait for | end a#1, Cancelled a | Cancelled Foreground | turn: a error: cancelled before start",
    "Queued bg":
      "receipt: cancelled to wait for | end a#1, Cancelled a, ContinueRequested a | Cancelled Background | loop: a error: cancelled before start",
    "Running fg": "receipt: cancelled to wait for | interrupt a#1 | Cancelling Foreground",
    "Running bg": "receipt: cancelled to wait for | interrupt a#1 | Cancelling Background",
    "Running manual": "receipt: cancelled to wait for | interrupt a#1 | Cancelling Background",
    "Suspended fg":
      "receipt: cancelled | end a#1, Cancelled a | Cancelled Foreground | turn: a error: cancelled while asking",
    "Suspended bg":
      "receipt: cancelled | end a#1, Cancelled a, ContinueRequested a | Cancelled Background | loop: a error: cancelled while asking",
    "Suspended manual":
      "receipt: cancelled | end a#1, Cancelled a | Cancelled Background | manual: a error: cancelled while asking",
    "Cancelling fg": "receipt: to wait for | nothing happens | Cancelling Foreground",
    "Cancelling bg": "receipt: to wait for | nothing happens | Cancelling Background",
    "Completed fg": "receipt: | nothing happens | Completed Foreground",
    "Failed bg": "receipt: | nothing happens | Failed Background",
    "Cancelled fg": "receipt: | nothing happens | Cancelled Foreground",
    unknown: "receipt: | nothing happens | unknown"
  }
}

describe("operations and states", () => {
  it("every operation has a row", () => {
    assert.sameMembers(Object.keys(cells), Object.keys(operations))
  })

  for (const [name, row] of Object.entries(cells)) {
    for (const [state, expected] of Object.entries(row)) {
      it(`${name}: ${state}`, () => {
        const operation = operations[name]
        assert.isDefined(operation)
        if (operation !== undefined) assert.strictEqual(outcomeOf(operation, state), expected)
      })
    }
  }
})

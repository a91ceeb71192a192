/** docs/contract.md, 4.2: what each call does in each state. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { ApprovalRequired } from "../../../errors.js"
import { ApprovalId, SessionId, TaskId, ToolCallId, TurnId } from "../../../model/ids.js"
import { TaskLaunchRequest } from "../../../model/Task.js"
import { CurrentTask } from "../../../services/CurrentTask.js"
import { ToolExecutor } from "../../../services/ToolExecutor.js"
import * as brief from "./brief.js"
import { equal, failsWith, isTrue } from "./check.js"
import { section } from "./define.js"
import { nameOf, needsOf, reach, settingsOf, type State, statesOf } from "./states.js"
import { isApproved, type Tool } from "./tools.js"
import { askingFor, type Call, type CaseError, type Delivered, requestOf, turnOf, type World } from "./World.js"

const { cases, test } = section("4.2 Operations and states")

const unknownId = TaskId.make("nobody")
const optionsOf = (state: State) => ({ needs: needsOf(state), settings: settingsOf(state) })
const settled = statesOf("Completed", "Failed", "Cancelled")
const changeable = statesOf("Queued", "Running")

const cancelledResult = ({ kind }: State): Delivered =>
  kind === "Foreground" ? { foreground: ["result a error"] } : { loop: ["result a error"] }

/** Nothing happened: same snapshot, nothing delivered, no event. */
const isUntouched = (world: World, call: Call, operation: Effect.Effect<unknown, CaseError>) =>
  Effect.gen(function*() {
    const before = yield* world.handle.get(call.id)
    const events = (yield* world.events).length
    yield* operation
    yield* world.settle
    yield* equal("the snapshot is as before", yield* world.handle.get(call.id), before)
    yield* equal("no event was published", (yield* world.events).slice(events).map(brief.event), [])
  })

// ---- cancel ----

for (const state of statesOf("Queued", "Running", "Suspended")) {
  test(`cancel, ${nameOf(state)}: Cancelled, one cancelled result to its destination`, optionsOf(state), function*(w) {
    const { call } = yield* reach(w, state)
    yield* w.soon("cancel returns", w.handle.cancel(call.id))
    yield* w.hasStatus(call, "Cancelled")
    yield* w.delivers(call, cancelledResult(state))
    if (state.status === "Queued") yield* isTrue("its tool never ran", !(yield* w.launches).includes("a#1"))
    else yield* equal("its tool has ended", yield* w.ends, ["a#1"])
    if (state.status === "Suspended") yield* equal("nothing is suspended", yield* w.handle.listSuspended, [])
  })
}

for (const status of ["Running", "Suspended"] as const) {
  const state: State = { status, kind: "Background" }
  test(
    `cancel, ${nameOf(state)}, Manual: the cancelled result goes to the manual queue`,
    optionsOf(state),
    function*(w) {
      const { call } = yield* reach(w, state)
      yield* w.handle.setDeliveryMode(call.id, "Manual")
      yield* w.soon("cancel returns", w.handle.cancel(call.id))
      yield* w.delivers(call, { manual: ["result a error"] })
    }
  )
}

for (const kind of ["Foreground", "Background"] as const) {
  const state: State = { status: "Suspended", kind }
  test(
    `cancel, ${nameOf(state)}, approval already taken: the cancelled result still comes`,
    optionsOf(state),
    function*(w) {
      const { call } = yield* reach(w, state)
      yield* w.foreground(call)
      yield* w.loopUpdates(call.turn.sessionId)
      yield* w.handle.cancel(call.id)
      yield* w.delivers(call, cancelledResult(state))
    }
  )
}

for (const state of statesOf("Cancelling")) {
  test(`cancel, ${nameOf(state)}: waits for it`, optionsOf(state), function*(w) {
    const { call, cancelling } = yield* reach(w, state)
    const again = yield* w.fork(w.handle.cancel(call.id))
    yield* w.waits("a second cancel waits", again)
    yield* call.letGo
    yield* w.soon("the second cancel returns", Fiber.join(again))
    if (cancelling !== undefined) yield* w.soon("the first cancel returns", Fiber.join(cancelling))
    yield* w.hasStatus(call, "Cancelled")
    yield* w.delivers(call, cancelledResult(state))
  })
}

for (const state of settled) {
  test(`cancel, ${nameOf(state)}: no-op`, optionsOf(state), function*(w) {
    const { call } = yield* reach(w, state)
    yield* isUntouched(w, call, w.handle.cancel(call.id))
    yield* w.delivers(call, {})
  })
}

test("cancel, unknown id: TaskNotFound", {}, function*(w) {
  const error = yield* failsWith("cancel fails", w.handle.cancel(unknownId), "TaskNotFound")
  yield* equal("the error names the task", error.taskId, unknownId)
})

test("many cancels of one task: all return, one Cancelled event", {}, function*(w) {
  const a = yield* w.start("a", { stubborn: true })
  const cancels = yield* Effect.forEach([1, 2, 3, 4, 5], () => w.fork(w.handle.cancel(a.id)))
  yield* a.letGo
  yield* w.soon("every cancel returns", Fiber.joinAll(cancels))
  yield* w.delivers(a, { foreground: ["result a error"] })
})

test("an interrupted cancel has cancelled all the same", {}, function*(w) {
  const a = yield* w.start("a", { stubborn: true })
  const cancelling = yield* w.fork(w.handle.cancel(a.id))
  yield* w.settle
  yield* w.soon("the caller of cancel is interrupted", Fiber.interrupt(cancelling))
  yield* w.hasStatus(a, "Cancelling")
  yield* a.letGo
  yield* w.hasStatus(a, "Cancelled")
})

// ---- detach ----

for (const state of changeable) {
  const isForeground = state.kind === "Foreground"
  test(`detach, ${nameOf(state)}: ${isForeground ? "goes to the background" : "false"}`, {
    needs: [...needsOf(state), "detach"],
    settings: settingsOf(state)
  }, function*(w) {
    const { call } = yield* reach(w, state)
    if (!isForeground) {
      yield* isUntouched(w, call, Effect.flatMap(w.handle.detach(call.id), (did) => equal("detach", did, false)))
      return
    }
    yield* equal("detach", yield* w.handle.detach(call.id), true)
    yield* w.hasStatus(call, state.status)
    yield* equal("its kind", (yield* w.handle.get(call.id)).kind, "Background")
    yield* w.delivers(call, { foreground: ["detached a"] })
    yield* isTrue("Detached is told", (yield* w.eventsOf(call.id)).includes("Detached"))
    if (state.status === "Queued") yield* w.handle.cancel(TaskId.make("blocker"))
    yield* w.settle
    yield* call.succeed()
    yield* w.delivers(call, { loop: ["result a ok done"] })
  })
}

for (const state of statesOf("Suspended", "Cancelling", "Completed", "Failed", "Cancelled")) {
  test(`detach, ${nameOf(state)}: TaskNotRunning`, { needs: [...needsOf(state), "detach"] }, function*(w) {
    const { call } = yield* reach(w, state)
    yield* isUntouched(
      w,
      call,
      Effect.flatMap(
        failsWith("detach fails", w.handle.detach(call.id), "TaskNotRunning"),
        (error) => equal("the status in the error", error.status, state.status)
      )
    )
  })
}

test("detach, unknown id: TaskNotFound", { needs: ["detach"] }, function*(w) {
  yield* failsWith("detach fails", w.handle.detach(unknownId), "TaskNotFound")
})

// ---- setDeliveryMode, setContinuePolicy ----

for (
  const [name, set, changed] of [
    ["setDeliveryMode", (w: World, id: TaskId) => w.handle.setDeliveryMode(id, "Manual"), { deliveryMode: "Manual" }],
    [
      "setContinuePolicy",
      (w: World, id: TaskId) => w.handle.setContinuePolicy(id, "RequestContinue"),
      { continuePolicy: "RequestContinue" }
    ]
  ] as const
) {
  for (const state of statesOf("Queued", "Running", "Suspended")) {
    test(`${name}, ${nameOf(state)}: kept`, optionsOf(state), function*(w) {
      const { call } = yield* reach(w, state)
      const before = yield* w.handle.get(call.id)
      yield* set(w, call.id)
      yield* equal("the snapshot", yield* w.handle.get(call.id), { ...before, ...changed })
    })
  }
  for (const state of statesOf("Cancelling", "Completed", "Failed", "Cancelled")) {
    test(`${name}, ${nameOf(state)}: TaskNotRunning`, optionsOf(state), function*(w) {
      const { call } = yield* reach(w, state)
      yield* isUntouched(w, call, failsWith(`${name} fails`, set(w, call.id), "TaskNotRunning"))
    })
  }
  test(`${name}, unknown id: TaskNotFound`, {}, function*(w) {
    yield* failsWith(`${name} fails`, set(w, unknownId), "TaskNotFound")
  })
}

test("setDeliveryMode on a foreground task holds after its detach", { needs: ["detach"] }, function*(w) {
  const a = yield* w.start("a")
  yield* w.handle.setDeliveryMode(a.id, "Manual")
  yield* w.handle.detach(a.id)
  yield* a.succeed()
  yield* w.delivers(a, { foreground: ["detached a"], manual: ["result a ok done"] })
})

test("setDeliveryMode on a foreground task changes nothing while it stays there", {}, function*(w) {
  const a = yield* w.start("a")
  yield* w.handle.setDeliveryMode(a.id, "Manual")
  yield* a.succeed()
  yield* w.delivers(a, { foreground: ["result a ok done"] })
})

test("setDeliveryMode on a suspended task holds for the resume", { needs: ["approvals", "detach"] }, function*(w) {
  const a = yield* w.start("a", { kind: "Background" })
  yield* a.ask
  yield* w.delivers(a, { loop: ["approval a"] })
  yield* w.handle.setDeliveryMode(a.id, "Manual")
  yield* w.approve(a)
  yield* a.succeed()
  yield* w.delivers(a, { manual: ["result a ok done"] })
})

test("setDeliveryMode on a running background task applies to its result", { needs: ["detach"] }, function*(w) {
  const a = yield* w.start("a", { kind: "Background" })
  yield* w.handle.setDeliveryMode(a.id, "Manual")
  yield* w.handle.setDeliveryMode(a.id, "ToLoop")
  yield* w.handle.setDeliveryMode(a.id, "Manual")
  yield* a.succeed()
  yield* w.delivers(a, { manual: ["result a ok done"] })
})

// ---- startTask plain, same id ----

for (const state of statesOf("Queued", "Running", "Suspended", "Cancelling", "Completed", "Failed", "Cancelled")) {
  test(
    `startTask plain with the id of a task that is ${nameOf(state)}: TaskAlreadyExists`,
    optionsOf(state),
    function*(w) {
      const { call } = yield* reach(w, state)
      const again = TaskLaunchRequest.plain({ request: requestOf("b"), taskId: call.id })
      yield* isUntouched(
        w,
        call,
        failsWith("startTask fails", w.soon("it returns", w.startTask(again)), "TaskAlreadyExists")
      )
      yield* isTrue("the second tool never ran", !(yield* w.launches).includes("b#1"))
    }
  )
}

test("startTask plain with a new id: starts", {}, function*(w) {
  const a = yield* w.start("a")
  yield* equal("the id", (yield* w.handle.get(a.id)).id, "a")
  yield* a.succeed()
})

// ---- startTask approved ----

for (const state of statesOf("Suspended")) {
  const destination: (text: string) => Delivered = (text) =>
    state.kind === "Foreground" ? { foreground: [text] } : { loop: [text] }
  test(`startTask approved, ${nameOf(state)}, all matches: resumes with kind, mode and policy as they were`, {
    needs: needsOf(state)
  }, function*(w) {
    const { call } = yield* reach(w, state)
    const before = yield* w.handle.get(call.id)
    yield* w.approve(call)
    const { startedAt, ...after } = yield* w.handle.get(call.id)
    yield* isTrue("it has started", startedAt !== undefined)
    const { startedAt: _, ...expected } = before
    yield* equal("the snapshot", after, { ...expected, status: "Running", launch: 2 })
    yield* call.succeed("resumed")
    yield* w.delivers(call, destination("result a ok resumed"))
  })
  test(`startTask approved, ${nameOf(state)}, same input with keys in another order: resumes`, {
    needs: needsOf(state)
  }, function*(w) {
    const call = yield* w.start("a", { kind: state.kind, input: { x: 1, y: [{ p: 1, q: null }] } })
    yield* call.ask
    yield* w.foreground(call)
    yield* w.approve(call, { request: { input: { y: [{ q: null, p: 1 }], x: 1 } } })
    yield* call.succeed("resumed")
    yield* w.hasStatus(call, "Completed")
  })
  for (
    const [field, changed] of [
      ["sessionId", { request: { sessionId: SessionId.make("elsewhere") } }],
      ["turnId", { request: { turnId: TurnId.make("elsewhere") } }],
      ["callId", { request: { callId: ToolCallId.make("elsewhere") } }],
      ["toolName", { request: { toolName: "elsewhere" } }],
      ["input", { request: { input: { call: "a", more: true } } }],
      ["approvalId", { approval: { id: ApprovalId.make("elsewhere") } }],
      ["asking", { approval: { asking: "elsewhere" } }]
    ] as const
  ) {
    test(`startTask approved, ${nameOf(state)}, another ${field}: ApprovalMismatch, still Suspended`, {
      needs: needsOf(state)
    }, function*(w) {
      const { call } = yield* reach(w, state)
      yield* isUntouched(
        w,
        call,
        Effect.flatMap(
          failsWith("the resume fails", w.approve(call, changed), "ApprovalMismatch"),
          (error) => equal("the field in the error", error.field, field)
        )
      )
      yield* equal("the tool has not run again", yield* w.launches, ["a#1"])
      yield* w.approve(call)
      yield* call.succeed()
      yield* w.hasStatus(call, "Completed")
    })
  }
}

test("startTask approved with an input that differs only deep inside: ApprovalMismatch", {
  needs: ["approvals"]
}, function*(w) {
  const a = yield* w.start("a", { input: { steps: [{ cmd: "ls" }, { cmd: "rm", args: ["x"] }] } })
  yield* a.ask
  yield* w.foreground(a)
  yield* failsWith(
    "the resume fails",
    w.approve(a, { request: { input: { steps: [{ cmd: "ls" }, { cmd: "rm", args: ["y"] }] } } }),
    "ApprovalMismatch"
  )
  yield* w.hasStatus(a, "Suspended")
})

for (const state of statesOf("Queued", "Running", "Cancelling", "Completed", "Failed", "Cancelled")) {
  test(`startTask approved, ${nameOf(state)}: ApprovalMismatch`, optionsOf(state), function*(w) {
    const { call } = yield* reach(w, state)
    yield* isUntouched(w, call, failsWith("the resume fails", w.approve(call), "ApprovalMismatch"))
  })
}

test("startTask approved, unknown id: ApprovalMismatch", {}, function*(w) {
  const a = yield* w.start("a")
  yield* failsWith(
    "the resume fails",
    w.startTask(TaskLaunchRequest.approved({ taskId: unknownId, request: a.request, approval: a.approval })),
    "ApprovalMismatch"
  )
})

test("one approval resumes a task once", { needs: ["approvals"] }, function*(w) {
  const a = yield* w.start("a")
  yield* a.ask
  yield* w.foreground(a)
  yield* w.approve(a)
  yield* failsWith("a second resume fails", w.approve(a), "ApprovalMismatch")
  yield* a.succeed()
  yield* equal("its launches", yield* w.launches, ["a#1", "a#2"])
})

test("an old approval does not answer a new question", { needs: ["approvals"] }, function*(w) {
  const a = yield* w.start("a", {
    tool: ({ launch }) =>
      new ApprovalRequired({ approval: { ...askingFor("a").approval, id: ApprovalId.make(`question-${launch}`) } })
  })
  yield* w.foreground(a)
  const old = yield* w.asked(a)
  yield* equal("the old question", old.id, "question-1")
  yield* w.approve(a)
  yield* w.foreground(a)
  yield* failsWith("the old approval fails", w.approve(a, { approval: old }), "ApprovalMismatch")
  yield* equal("its launches", yield* w.launches, ["a#1", "a#2"])
})

// ---- one answer to one question ----

/** Asks the same again and again, with a token of its own that the manager has to replace. */
const asksTheSame = (seen: Array<unknown>): Tool => () =>
  Effect.flatMap(CurrentTask, ({ approval }) => {
    seen.push(Option.getOrElse(approval, () => "none"))
    return new ApprovalRequired({ approval: { ...askingFor("a").approval, asking: "the tool's own" } })
  })

for (const state of statesOf("Suspended")) {
  const { kind } = state
  test(
    `an approval sent twice answers the first question only, ${
      nameOf(state)
    }, also if the second is equal in everything`,
    {
      needs: needsOf(state)
    },
    function*(w) {
      // the tool waits for its kind before it asks
      let launches = 0
      const ask = asksTheSame([])
      const a = yield* w.start("a", { kind, tool: (task, told) => launches++ === 0 ? told : ask(task, told) })
      yield* a.ask
      const first = yield* w.asked(a)
      yield* w.approve(a, { approval: first })
      const second = yield* w.asked(a)
      const { asking: firstToken, ...firstQuestion } = first
      const { asking: secondToken, ...secondQuestion } = second
      yield* equal("the second question", secondQuestion, firstQuestion)
      yield* isTrue("each has a token", firstToken !== undefined && firstToken.length > 15 && secondToken !== undefined)
      yield* isTrue("the tokens differ", firstToken !== secondToken && secondToken !== "the tool's own")
      const late = yield* failsWith("the first answer again", w.approve(a, { approval: first }), "ApprovalMismatch")
      yield* equal("the field in the error", late.field, "asking")
      const { asking: _, ...unnamed } = second
      const missing = yield* failsWith(
        "an answer without a token",
        w.startTask(TaskLaunchRequest.approved({ taskId: a.id, request: a.request, approval: unnamed })),
        "ApprovalMismatch"
      )
      yield* equal("the field in the error", missing.field, "asking")
      yield* w.hasStatus(a, "Suspended")
      yield* equal("its launches", yield* w.launches, ["a#1", "a#2"])
      yield* w.approve(a)
      yield* equal("its launches", yield* w.launches, ["a#1", "a#2", "a#3"])
    }
  )
}

test("the token is where the host is shown the approval, and not where the tool is", {
  needs: ["approvals", "startsConcurrently"]
}, function*(w) {
  const seen: Array<unknown> = []
  const a = yield* w.start("a", { tool: asksTheSame(seen) })
  const listed = yield* w.asked(a)
  const update = yield* w.soon("waitForTurn returns", w.manager.waitForTurn(a.turn))
  const delivered = Option.isSome(update) && update.value._tag === "Resolution" &&
      update.value.resolution._tag === "Approval"
    ? update.value.resolution.approval.approval
    : undefined
  yield* equal("what is delivered", delivered, listed)
  const event = (yield* w.events).find((event) => event._tag === "AwaitingApproval")
  yield* equal("what the event says", event?._tag === "AwaitingApproval" ? event.approval : undefined, listed)
  yield* w.approve(a)
  const { asking: _, ...shown } = listed
  yield* equal("what the second launch is shown", seen, ["none", shown])
})

test("answerApproval answers what was shown, and no later question", { needs: ["approvals"] }, function*(w) {
  const a = yield* w.start("a", { tool: asksTheSame([]) })
  yield* w.foreground(a)
  const [first] = yield* w.handle.listSuspended
  if (first === undefined) return yield* isTrue("it asks", false)
  yield* w.approve(a)
  yield* w.foreground(a)
  const answers = ["approve", { reject: "too late" }] as const
  for (const answer of answers) {
    const late = yield* failsWith(
      "an answer to the first question",
      Effect.provideService(w.manager.answerApproval(first, answer), ToolExecutor, w.executor),
      "ApprovalMismatch"
    )
    yield* equal("the field in the error", late.field, "asking")
  }
  const { asking: _, ...unnamed } = yield* w.asked(a)
  yield* failsWith(
    "a rejection without a token",
    Effect.provideService(
      w.manager.answerApproval({ ...first, approval: unnamed }, { reject: "whatever it is" }),
      ToolExecutor,
      w.executor
    ),
    "ApprovalMismatch"
  )
  yield* w.hasStatus(a, "Suspended")
  const [second] = yield* w.handle.listSuspended
  if (second === undefined) return yield* isTrue("it asks", false)
  yield* Effect.provideService(w.manager.answerApproval(second, { reject: "no" }), ToolExecutor, w.executor)
  yield* w.hasStatus(a, "Failed")
})

test(
  "answerApproval with anything but an answer is a defect, and answers nothing",
  { needs: ["approvals"] },
  function*(w) {
    const a = yield* w.start("a")
    yield* a.ask
    const [asked] = yield* w.handle.listSuspended
    if (asked === undefined) return yield* isTrue("it asks", false)
    for (const answer of ["reject", "Approve", {}, { reject: 5 }, null, undefined]) {
      const exit = yield* Effect.exit(
        // as a program without types may answer
        Effect.suspend(() => w.manager.answerApproval(asked, answer as "approve")).pipe(
          Effect.provideService(ToolExecutor, w.executor)
        )
      )
      yield* isTrue(
        "the defect says what it takes",
        exit._tag === "Failure" && exit.cause._tag === "Die" && String(exit.cause.defect).includes("reject")
      )
    }
    yield* w.hasStatus(a, "Suspended")
  }
)

test("rejectApproval with a token rejects that question only", { needs: ["approvals"] }, function*(w) {
  const a = yield* w.start("a")
  yield* a.ask
  yield* w.foreground(a)
  const { asking } = yield* w.asked(a)
  const other = yield* failsWith(
    "with another token",
    w.manager.rejectApproval({ taskId: a.id, asking: "elsewhere" }),
    "ApprovalMismatch"
  )
  yield* equal("the field in the error", other.field, "asking")
  yield* w.hasStatus(a, "Suspended")
  yield* w.manager.rejectApproval({ taskId: a.id, asking })
  yield* w.hasStatus(a, "Failed")
})

// ---- rejectApproval ----

for (const state of statesOf("Suspended")) {
  test(`rejectApproval, ${nameOf(state)}: Failed(ApprovalRejected), error result to its destination`, {
    needs: needsOf(state)
  }, function*(w) {
    const { call } = yield* reach(w, state)
    yield* w.manager.rejectApproval({ taskId: call.id, reason: "not on a Friday" })
    yield* w.hasStatus(call, "Failed")
    const failed = (yield* w.events).find((event) => event._tag === "Failed")
    yield* equal("the reason", failed?._tag === "Failed" ? failed.error.reason : undefined, "ApprovalRejected")
    yield* isTrue("the model is told why", JSON.stringify(yield* w.handle.result(call.id)).includes("not on a Friday"))
    yield* w.delivers(call, cancelledResult(state))
    yield* failsWith("it cannot be approved any more", w.approve(call), "ApprovalMismatch")
    yield* equal("its launches", yield* w.launches, ["a#1"])
  })
}

for (const state of statesOf("Queued", "Running", "Cancelling", "Completed", "Failed", "Cancelled")) {
  test(`rejectApproval, ${nameOf(state)}: TaskNotSuspended`, optionsOf(state), function*(w) {
    const { call } = yield* reach(w, state)
    yield* isUntouched(
      w,
      call,
      Effect.flatMap(
        failsWith("rejectApproval fails", w.manager.rejectApproval({ taskId: call.id }), "TaskNotSuspended"),
        (error) => equal("the status in the error", error.status, state.status)
      )
    )
  })
}

// ---- answerApproval ----

for (
  const [where, answerOf] of [
    ["TaskManager", (w: World) => w.manager.answerApproval],
    ["the handle", (w: World) => w.handle.answerApproval]
  ] as const
) {
  test(`answerApproval of ${where} approves what was shown`, { needs: ["approvals"] }, function*(w) {
    const a = yield* w.start("a", { tool: (task, told) => isApproved(task) ? Effect.succeed("approved") : told })
    yield* a.ask
    const [asked] = yield* w.handle.listSuspended
    if (asked === undefined) return yield* isTrue("it asks", false)
    const answer = Effect.provideService(answerOf(w)(asked, "approve"), ToolExecutor, w.executor)
    const outcome = yield* w.soon("it is answered", answer)
    yield* w.settle
    yield* isTrue(
      "the outcome of startTask",
      outcome?._tag === (w.capabilities.startsConcurrently ? "Pending" : "Ready")
    )
    yield* w.hasStatus(a, "Completed")
    yield* failsWith("a second answer", answer, "ApprovalMismatch")
  })

  test(`answerApproval of ${where} rejects what was shown`, { needs: ["approvals"] }, function*(w) {
    const a = yield* w.start("a")
    yield* a.ask
    const [asked] = yield* w.handle.listSuspended
    if (asked === undefined) return yield* isTrue("it asks", false)
    const answer = Effect.provideService(answerOf(w)(asked, { reject: "not today" }), ToolExecutor, w.executor)
    yield* equal("the outcome", yield* answer, undefined)
    yield* w.hasStatus(a, "Failed")
    const result = yield* w.handle.result(a.id)
    yield* isTrue("the model is told why", JSON.stringify(result).includes("not today"))
    yield* failsWith("a second answer", answer, "TaskNotSuspended")
  })
}

test("rejectApproval, unknown id: TaskNotFound", {}, function*(w) {
  yield* failsWith("rejectApproval fails", w.manager.rejectApproval({ taskId: unknownId }), "TaskNotFound")
})

// ---- onTurnInterrupted ----

for (const state of statesOf("Queued", "Running", "Suspended")) {
  const isForeground = state.kind === "Foreground"
  test(`onTurnInterrupted, ${nameOf(state)}: ${isForeground ? "as cancel" : "kept"}`, optionsOf(state), function*(w) {
    const { call } = yield* reach(w, state)
    const before = yield* w.handle.get(call.id)
    const receipt = yield* w.soon("onTurnInterrupted returns", w.manager.onTurnInterrupted(call.turn))
    if (isForeground) {
      yield* equal("the receipt", [brief.ids(receipt.cancelled), brief.ids(receipt.kept)], [["a"], []])
      yield* w.hasStatus(call, "Cancelled")
      yield* w.delivers(call, cancelledResult(state))
    } else {
      yield* equal("the receipt", [brief.ids(receipt.cancelled), brief.ids(receipt.kept)], [[], ["a"]])
      yield* equal("the snapshot is as before", yield* w.handle.get(call.id), before)
    }
  })
}

test("onTurnInterrupted, Cancelling fg: waits, and does not list it", {}, function*(w) {
  const { call } = yield* reach(w, { status: "Cancelling", kind: "Foreground" })
  const interrupting = yield* w.fork(w.manager.onTurnInterrupted(call.turn))
  yield* w.waits("onTurnInterrupted waits", interrupting)
  yield* call.letGo
  const receipt = yield* w.soon("onTurnInterrupted returns", Fiber.join(interrupting))
  yield* equal("the receipt", receipt.cancelled, [])
  yield* w.delivers(call, { foreground: ["result a error"] })
})

for (const state of settled) {
  test(`onTurnInterrupted, ${nameOf(state)}: nothing`, optionsOf(state), function*(w) {
    const { call } = yield* reach(w, state)
    yield* isUntouched(
      w,
      call,
      Effect.flatMap(
        w.manager.onTurnInterrupted(call.turn),
        (receipt) => equal("the receipt", receipt, { cancelled: [], kept: [] })
      )
    )
  })
}

test("onTurnInterrupted of a turn that never was: an empty receipt", {}, function*(w) {
  const receipt = yield* w.manager.onTurnInterrupted(turnOf("s", "never"))
  yield* equal("the receipt", receipt, { cancelled: [], kept: [] })
})

// ---- closeSession ----

for (const state of statesOf("Queued", "Running", "Suspended")) {
  test(`closeSession, ${nameOf(state)}: Cancelled, its results discarded`, optionsOf(state), function*(w) {
    const { call } = yield* reach(w, state)
    const receipt = yield* w.soon("closeSession returns", w.manager.closeSession(call.turn.sessionId))
    yield* equal("the receipt", [brief.ids(receipt.cancelled), brief.ids(receipt.kept)], [["a"], []])
    yield* w.hasStatus(call, "Cancelled")
    yield* equal("nothing is in the turn", yield* w.turnUpdates(call.turn), [])
    yield* equal("nothing is in the loop queue", yield* w.loopUpdates(call.turn.sessionId), [])
    yield* equal("nothing is in the manual queue", yield* w.manualItems, [])
  })
}

for (const state of statesOf("Cancelling")) {
  test(`closeSession, ${nameOf(state)}: waits, and does not list it`, optionsOf(state), function*(w) {
    const { call } = yield* reach(w, state)
    const closing = yield* w.fork(w.manager.closeSession(call.turn.sessionId))
    yield* w.waits("closeSession waits", closing)
    yield* call.letGo
    const receipt = yield* w.soon("closeSession returns", Fiber.join(closing))
    yield* equal("the receipt", receipt, { cancelled: [], kept: [] })
    yield* equal("nothing is in the loop queue", yield* w.loopUpdates(call.turn.sessionId), [])
  })
}

export const operations = cases

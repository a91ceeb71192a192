/** Looks at a conversation once it has come to rest: whether it is whole, and whether it is true. */
import * as Effect from "effect/Effect"
import type { AgentEvent } from "../../../src/ai/loop/AgentEvent.js"
import { isModelFailure } from "../../../src/ai/loop/errors.js"
import * as texts from "../../../src/ai/transcript/internal/texts.js"
import { Transcript } from "../../../src/ai/transcript/Transcript.js"
import type { TranscriptEntry } from "../../../src/ai/transcript/TranscriptEntry.js"
import type { ToolOutput } from "../../../src/model/ToolCall.js"
import { type AgentWorld, marksOf, type Opening, type SessionLog, type TaskLog } from "./AgentWorld.js"

type Answer = TranscriptEntry.ToolResult | TranscriptEntry.LateResult

// also where it was cut, and has a word about that before it
const cancelledPattern = /^(?:\[cut: [^\]]*\]\n)?The tool call was cancelled/

const textOf = (output: ToolOutput): string => output._tag === "Text" ? output.text : JSON.stringify(output)

/** Who reports to the loop by itself and asks for a turn. */
const asksForTurn = ({ kinds, snapshot, terminal }: TaskLog): boolean =>
  terminal !== undefined && kinds.has("Background") && terminal.snapshot.kind === "Background" &&
  snapshot.continuePolicy === "RequestContinue" && snapshot.deliveryMode === "ToLoop"

const wakesInARow = (events: ReadonlyArray<AgentEvent>): number => {
  let row = 0
  for (const event of events) {
    if (event._tag === "TurnStarted" && event.cause._tag === "Wake") row++
    if (event._tag === "MessageTaken") row = 0
  }
  return row
}

const hasFailed = (events: ReadonlyArray<AgentEvent>): boolean => {
  let isFailed = false
  for (const event of events) if (event._tag === "TurnEnded") isFailed = event.reason._tag === "Failed"
  return isFailed
}

/** Before anybody says another word: what asked for a turn has had it. */
export const checkAtRest = (world: AgentWorld, session: SessionLog, opening: Opening): Effect.Effect<void> =>
  Effect.map(opening.session.transcript, ({ entries }) => {
    const { plan } = world
    const { events } = opening
    const row = wakesInARow(events)
    if (row > plan.wakeBudget) world.violate("wake", `${session.sessionId} woke ${row} times in a row`)
    const isForgetful = plan.eventBuffer < 1_000 && plan.historyLimit < 1_000
    if (plan.wake === "WithNextMessage" || row >= plan.wakeBudget || hasFailed(events) || isForgetful) return
    const arrived = new Set(
      [...entries, ...session.log].flatMap((entry) => entry._tag === "LateResult" ? [entry.callId] : [])
    )
    for (const task of world.tasks.values()) {
      if (task.sessionId !== session.sessionId || task.generation !== world.generation || !asksForTurn(task)) continue
      if (!arrived.has(task.callId) && !session.taken.has(task.callId)) {
        world.violate("wake", `${task.taskId} of ${session.sessionId} asked for a turn and none came`)
      }
    }
  })

/** The answer says of its task what the manager knows of it. */
const isTrue = (world: AgentWorld, answer: Answer, task: TaskLog, isChanged: boolean): string | undefined => {
  const { terminal } = task
  const text = textOf(answer.output)
  if (terminal === undefined) return "answers for a task that has not ended"
  if (terminal._tag !== "Cancelled") {
    if (!isChanged && JSON.stringify(terminal.result.output) !== JSON.stringify(answer.output)) {
      return "is not what the task gave"
    }
    if (terminal.result.isError !== answer.isError) return "mistakes a failure for a success, or the reverse"
    return cancelledPattern.test(text) ? "says that a task was cancelled which was not" : undefined
  }
  if (!cancelledPattern.test(text) || !answer.isError) return "does not say that its task was cancelled"
  const hasRun = world.ran.has(`${task.generation} ${task.sessionId} ${task.callId}`)
  return text.includes("before it started") && hasRun ? "says that a call did not start which ran" : undefined
}

const checkAnswer = (world: AgentWorld, session: SessionLog, answer: Answer, isOld: boolean): void => {
  const text = textOf(answer.output)
  const lie = (why: string): void =>
    world.violate("true", `${session.sessionId}, ${answer.callId} (${answer._tag}): ${why}: ${text}`)
  const tasks = world.tasksOf(session.sessionId, answer.callId)
  const own = tasks.filter(({ generation }) => generation === world.generation)
  if (answer._tag === "ToolResult" && answer.outcome === "Interrupted") {
    if (text === texts.outcomeUnknown) {
      if (isOld) world.meet("a call that was open when the process died")
      else lie("nobody died, and its outcome is known")
    } else if (
      (own.length > 0 || world.ran.has(`${world.generation} ${session.sessionId} ${answer.callId}`)) &&
      !session.isReused(answer.callId)
    ) {
      lie("it ran")
    } else if (text.startsWith(texts.notAccepted(""))) {
      world.meet("a start that is refused for a limit")
    }
    return
  }
  const its = tasks.filter(({ taskId }) => taskId === answer.taskId)
  if (answer._tag === "ToolResult" && answer.outcome === "Placeholder") {
    if (!its.some(({ kinds }) => kinds.has("Background"))) lie("it was never in the background")
    const detached = its.some(({ kinds }) => kinds.has("Foreground"))
    world.meet(detached ? "a call that is detached" : "a background placeholder")
    return
  }
  if (text.includes("together with its session")) {
    if (isOld) world.meet("a background task that died with its process")
    else lie("its session lives")
    return
  }
  // the limit of the seed was too small even for the words about a task that died with its process
  if (isOld && text.startsWith(texts.tooLong)) return
  const lies = its.map((task) => isTrue(world, answer, task, session.changed.has(answer.callId)))
  if (!lies.includes(undefined)) lie(lies[0] ?? "there was no such task")
  const [task] = its
  if (task?.terminal?._tag === "Cancelled") {
    world.meet("a cancelled call")
    if (task.asked > 0) world.meet("an approval that the interrupt withdraws")
  }
  if (task?.terminal?._tag === "Failed") {
    world.meet(task.terminal.error.reason === "TimedOut" ? "a timeout" : "a call that failed")
    if (task.terminal.error.reason === "ApprovalRejected" && text.includes("Please [m:")) {
      world.meet("an approval that a message rejects")
      if (world.plan.whileAwaitingApproval === "queue") lie("a message rejected it, and messages are to be queued")
    }
  }
  world.meet(answer._tag === "LateResult" ? "a late result" : "a foreground result")
  if (answer._tag === "LateResult" && task !== undefined && task.asked > 0) world.meet("a background approval")
  if (answer._tag === "LateResult" && text.length > world.plan.maxNoteBytes) {
    world.meet("a late result in the note's limits")
  }
}

/** The results stand right after their reply, in the order of its calls. */
const checkOrder = (world: AgentWorld, session: SessionLog, entries: ReadonlyArray<TranscriptEntry>): void => {
  for (const [index, entry] of entries.entries()) {
    if (entry._tag !== "AssistantMessage") continue
    const calls = Transcript.calls(entry).map(({ callId }) => callId)
    const answers = entries.slice(index + 1, index + 1 + calls.length)
      .map((answer) => answer._tag === "ToolResult" ? answer.callId : answer._tag)
    if (calls.join() !== answers.join()) {
      world.violate("order", `${session.sessionId}: the calls ${calls} are followed by ${answers}`)
    }
    const arrived = session.log.flatMap((one) =>
      one._tag === "ToolResult" && one.outcome === "Result" && calls.includes(one.callId) ? [one.callId] : []
    )
    if (arrived.join() !== calls.filter((callId) => arrived.includes(callId)).join()) {
      world.meet("results that come in another order than their calls")
    }
    if (entry.end === "interrupted") world.meet("a reply that is cut short and kept")
  }
}

/** Turns follow each other, and each fails for a reason. */
const checkEvents = (world: AgentWorld, session: SessionLog, opening: Opening): void => {
  const { events } = opening
  const late = new Set<string>()
  let turn: string | undefined
  let lateInTurn = 0
  let phase: "Model" | "Tools" = "Model"
  let failures = { Model: 0, Store: 0 }
  for (const event of events) {
    switch (event._tag) {
      case "TurnStarted":
        if (turn !== undefined) world.violate("turns", `${event.turnId} begins in ${turn}`)
        turn = event.turnId
        phase = "Model"
        if (event.cause._tag === "Wake") {
          world.meet("a turn that wakes by itself")
          if (event.cause.taskIds.length > 1) world.meet("several late results in one turn")
        }
        if (event.cause._tag === "Resume") world.meet("a turn that resumes")
        lateInTurn = 0
        break
      case "ToolCall":
        phase = "Tools"
        break
      case "TextDelta":
        phase = "Model"
        break
      case "TurnEnded": {
        if (turn !== event.turnId) world.violate("turns", `${event.turnId} ends in ${turn}`)
        turn = undefined
        if (event.reason._tag === "Interrupted") {
          world.meet(phase === "Model" ? "an interrupt of the model" : "an interrupt of tools")
        }
        if (event.reason._tag !== "Failed") break
        const { message, reason } = event.reason.error
        const kind = isModelFailure(event.reason.error) ? "Model" : reason
        if (kind === "Model" || kind === "Store") failures = { ...failures, [kind]: failures[kind] + 1 }
        else if (reason !== "Internal" || session.modelFaults === 0) world.violate("turns", `${reason}: ${message}`)
        if (reason === "Store") world.meet("a turn that fails for the store")
        if (kind === "Model") world.meet("a turn that fails for the model")
        break
      }
      case "LateResult":
        if (late.has(`${event.callId} ${event.taskId}`)) world.violate("once", `${event.callId} arrives twice`)
        late.add(`${event.callId} ${event.taskId}`)
        lateInTurn++
        if (lateInTurn > 1) world.meet("several late results in one turn")
        break
      case "MessageTaken":
        if (turn !== event.turnId) world.violate("turns", `a message is taken by ${event.turnId} in ${turn}`)
        if (phase === "Tools") world.meet("a message during a turn")
        break
      case "Retrying":
        world.meet("a request that is made again")
        break
      case "WakeHeld":
        world.meet("a wake-up that is held by its budget")
        break
      default:
        break
    }
  }
  const last = events.filter(({ _tag }) => _tag !== "Task").at(-1)
  if (opening.isClosed && last?._tag === "TurnEnded" && last.reason._tag === "Interrupted") {
    world.meet("a session that is closed in a turn")
  }
  if (failures.Model > session.modelFaults) world.violate("turns", `${session.sessionId}: the model failed for nothing`)
  if (failures.Store > session.storeFaults) world.violate("turns", `${session.sessionId}: the store failed for nothing`)
}

const callNumber = (params: unknown): unknown =>
  typeof params === "object" && params !== null && "call" in params ? params.call : undefined

/** After the last word. */
export const checkSession = (world: AgentWorld, session: SessionLog): Effect.Effect<void> =>
  Effect.gen(function*() {
    const opening = session.current
    if (opening === undefined) return
    const { sessionId } = session
    const transcript = yield* opening.session.transcript
    const { entries } = transcript
    const rebuilt = Transcript.fromEntries(sessionId, session.log)
    if (JSON.stringify(rebuilt) !== JSON.stringify(transcript)) {
      world.violate("log", `${sessionId}: the log does not make the transcript again`)
    }
    checkOrder(world, session, entries)
    for (const opened of session.openings) checkEvents(world, session, opened)

    const old = new Set(
      session.log.slice(0, opening.from).flatMap((entry) =>
        entry._tag === "AssistantMessage" ? Transcript.calls(entry).map(({ callId }) => callId) : []
      )
    )
    const calls = entries.flatMap((entry) => entry._tag === "AssistantMessage" ? Transcript.calls(entry) : [])
    const late = new Set(entries.flatMap((entry) => entry._tag === "LateResult" ? [entry.callId] : []))
    for (const { callId } of calls) {
      const answers = entries.filter((entry) => entry._tag === "ToolResult" && entry.callId === callId)
      if (answers.length !== 1) world.violate("answered", `${sessionId}: ${callId} has ${answers.length} results`)
    }
    const numbers = calls.flatMap(({ params }) => callNumber(params) ?? [])
    if (new Set(numbers).size !== numbers.length) world.violate("once", `${sessionId}: a reply stands twice`)
    for (const entry of entries) {
      if (entry._tag !== "ToolResult" && entry._tag !== "LateResult") continue
      checkAnswer(world, session, entry, old.has(entry.callId))
      if (
        entry._tag === "ToolResult" && entry.outcome === "Placeholder" && !late.has(entry.callId) &&
        !session.taken.has(entry.callId)
      ) {
        world.violate("once", `${sessionId}: the result of ${entry.callId}, ${entry.taskId}, never came`)
      }
    }

    // what was told is in a prompt; that it is in none twice was looked at there
    for (const task of world.tasks.values()) {
      const { callId, generation, terminal } = task
      if (task.sessionId !== sessionId || generation !== world.generation || old.has(callId)) continue
      if (terminal === undefined || terminal._tag === "Cancelled") continue
      const output = JSON.stringify(terminal.result.output)
      // a message that rejects a call is in its result, and may be taken back: it is looked at below
      const marks = marksOf(output).filter((mark) => !mark.startsWith("[m:"))
      // of one that is cut, the mark at its beginning is seen
      for (const mark of output.length > world.plan.maxNoteBytes ? marks.slice(0, 1) : marks) {
        if (session.seen.has(mark) || session.dropped.has(mark) || session.taken.has(callId)) continue
        world.violate("once", `${sessionId}: ${mark}, the result of ${task.taskId}, was never seen by the model`)
      }
    }
    for (const entry of session.log) {
      if (entry._tag !== "UserMessage" || !session.withdrawn.has(entry.messageId)) continue
      world.violate("once", `${sessionId}: ${entry.messageId} was taken back, and said all the same`)
    }
    for (const { mark, opening: taker } of session.submitted) {
      if (taker === opening && !session.seen.has(mark) && !session.dropped.has(mark)) {
        world.violate("once", `${sessionId}: ${mark} was never said`)
      }
    }
    const spoken = entries.flatMap((entry) => entry._tag === "UserMessage" ? marksOf(JSON.stringify(entry)) : [])
      .map((mark) => Number(mark.slice(3, -1)))
    if (spoken.some((mark, index) => index > 0 && mark < (spoken[index - 1] ?? 0))) {
      world.violate("order", `${sessionId}: the messages are out of order: ${spoken}`)
    }
  })

/** Of the whole run. */
export const checkRuns = (world: AgentWorld): void => {
  for (const [call, times] of world.runs) {
    if (times > 1) world.violate("once", `the tool of call ${call} was run ${times} times`)
  }
}

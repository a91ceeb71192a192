/** One conversation with the agent: what the user says and does, told as it happens. */
import { type CommandExecutor, FileSystem } from "@effect/platform"
import { Chunk, Clock, Effect, Option, Ref, Schedule, type Scope, Stream } from "effect"
import { type InterruptReceipt, SessionId, type TaskApproval, TaskManager } from "effect-task-manager"
import { type AgentEvent, AgentLoop, type AgentSession, ShellPolicy, type Transcript } from "effect-task-manager/ai"
import { Journal } from "../journal.js"
import { leftProcesses, livingProcesses, type ProcessRow } from "../processTable.js"
import { askAnswer } from "../prompt.js"
import { Screen } from "../screen.js"
import { fit, plain, plural } from "../text.js"
import { Keyboard } from "./keyboard.js"
import { endlessCommand, testCommand } from "./script.js"
import type { Workshop } from "./tools.js"

const sessionId = SessionId.make("demo")

const request =
  "Run the tests of this repository and find out why one fails: README.md says how, and while they run you can read the " +
  "sources. Mend the fault, and prove it with another run of the tests. If the README names something to delete, delete it."

/** What Esc did, and what the operating system said right after it. */
interface EscReport {
  /** When it was pressed, in epoch milliseconds. */
  readonly at: number
  readonly receipt: InterruptReceipt
  /** Processes of the command in the foreground before it, and those of them that were left. */
  readonly killed: ReadonlyArray<ProcessRow>
  readonly left: ReadonlyArray<ProcessRow>
  /** Processes of the test run in the background that lived on. */
  readonly kept: ReadonlyArray<ProcessRow>
}

export interface Conversation {
  readonly events: ReadonlyArray<AgentEvent>
  readonly transcript: Transcript
  readonly escapes: ReadonlyArray<EscReport>
  readonly answers: ReadonlyArray<{ readonly asked: TaskApproval; readonly isApproved: boolean }>
}

/** The commands that were started, with their process groups. */
export const startedCommands = ({ processes }: Pick<Workshop, "processes">) =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const text = yield* Effect.orElseSucceed(fileSystem.readFileString(processes), () => "")
    return text.split("\n").flatMap((line) => {
      const [, group, command = ""] = /^(\d+) (.*)$/.exec(line) ?? []
      return group === undefined ? [] : [{ group: Number(group), command }]
    })
  })

const groupsOf = (workshop: Workshop, command: string) =>
  Effect.map(
    startedCommands(workshop),
    (started) => started.filter((one) => one.command === command).map(({ group }) => group)
  )

/** Presses Esc for the user, and looks at what is left. */
const pressEsc = (session: AgentSession, workshop: Workshop) =>
  Effect.gen(function*() {
    const journal = yield* Journal
    const groups = yield* groupsOf(workshop, endlessCommand)
    const killed = yield* livingProcesses(groups)
    yield* journal.say("user", "presses Esc: that command never ends (the demo does it for you)")
    const at = yield* Clock.currentTimeMillis
    const receipt = yield* session.interrupt
    // first, while the tests still run
    const kept = yield* livingProcesses(yield* groupsOf(workshop, testCommand))
    const left = yield* leftProcesses(groups)
    yield* journal.say(
      "check",
      `Esc ended ${plural(receipt.cancelled.length, "task")}, ${
        plural(killed.length, "process", "processes")
      } killed, ` +
        `${left.length} left; in the background ${plural(receipt.kept.length, "task")} with ` +
        `${plural(kept.length, "process", "processes")} ${receipt.kept.length === 1 ? "goes" : "go"} on`
    )
    return { at, receipt, killed, left, kept }
  })

/** Answers for the user, or asks the user. What is always allowed is kept for the rest of the conversation. */
const decide = (asked: TaskApproval, given: Option.Option<boolean>, workshop: Workshop) =>
  Effect.gen(function*() {
    const journal = yield* Journal
    const screen = yield* Screen
    const { keys } = yield* Keyboard
    // all of it: what is approved is what was shown
    const question = `May it run?  ${plain(asked.approval.summary)}  (${plain(asked.approval.reason)})`
    if (Option.isSome(given) || !screen.canAsk) {
      const isApproved = Option.getOrElse(given, () => true)
      yield* journal.say("user", `${question}  ${isApproved ? "Yes" : "No"}, says the demo for you.`)
      return isApproved
    }
    yield* journal.say("user", question)
    const permission = ShellPolicy.permissionOf(asked.approval)
    const answer = yield* Effect.scoped(Effect.flatMap(Stream.toPull(keys), (pull) =>
      askAnswer({
        question: screen.paint(
          "yellow",
          `          ${Option.isSome(permission) ? "Yes, no, or always?" : "Yes or no?"}`
        ),
        offered: Option.isSome(permission) ? ["yes", "no", "always"] : ["yes", "no"],
        screen,
        next: Effect.option(Effect.flatMap(pull, Chunk.head))
      })))
    if (Option.contains(answer, "always") && Option.isSome(permission)) workshop.permissions.push(permission.value)
    const isApproved = Option.exists(answer, (one) => one !== "no")
    yield* journal.say("user", isApproved ? "Yes." : "No.")
    return isApproved
  })

/** Tells what an event says; the events of tasks are told by the journal. */
const makeNarrator = Effect.map(Journal, (journal) => {
  let text = ""
  const flush = Effect.suspend(() => {
    const said = text.trim()
    text = ""
    return said === "" ? Effect.void : journal.say("model", said)
  })
  return (event: AgentEvent): Effect.Effect<void> => {
    switch (event._tag) {
      case "TextDelta":
        text += event.delta
        return Effect.void
      case "TurnStarted":
        return journal.heading(
          event.cause._tag === "Wake" ? `${event.turnId}: woken by ${event.cause.taskIds.join(", ")}` : event.turnId
        )
      case "ToolCall":
        return Effect.zipRight(
          flush,
          journal.say("model", `calls ${plain(event.toolName)} ${fit(JSON.stringify(event.params), 160)}`)
        )
      case "LateResult":
        return journal.say("loop", `the result of ${event.taskId} is now part of the conversation`)
      case "Retrying":
        return journal.say("loop", `asks the model again: ${event.error.message}`)
      case "TurnEnded":
        return Effect.zipRight(
          flush,
          journal.say(
            "loop",
            event.reason._tag === "Failed"
              ? `the turn failed: ${event.reason.error.message}`
              : `the turn ended: ${event.reason._tag}`
          )
        )
      default:
        return Effect.void
    }
  }
})

type ReactionNeeds =
  | CommandExecutor.CommandExecutor
  | FileSystem.FileSystem
  | Journal
  | Keyboard
  | Screen
  | Scope.Scope

const isEnd = (event: AgentEvent): boolean => event._tag === "TurnEnded" && event.reason._tag === "Failed"

/** Returns when nothing runs, and nothing waits that would start a turn. */
const waitUntilOver = (session: AgentSession, events: ReadonlyArray<AgentEvent>) =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    yield* session.waitForIdle
    const live = yield* manager.handle.list({ sessionId, status: ["Queued", "Running", "Suspended", "Cancelling"] })
    const isUndelivered = yield* Effect.isSuccess(manager.waitForLoopUpdate(sessionId, { timeout: 0 }))
    const isHeld = events.some((event) => event._tag === "WakeHeld" || isEnd(event))
    return live.length === 0 && (!isUndelivered || isHeld)
  }).pipe(Effect.repeat({ until: (isOver) => isOver, schedule: Schedule.spaced("100 millis") }))

/** Plays the conversation to its end. */
export const converse = (workshop: Workshop, options: {
  readonly answer: Option.Option<boolean>
  readonly isScripted: boolean
}) =>
  Effect.gen(function*() {
    const journal = yield* Journal
    const screen = yield* Screen
    const { keys } = yield* Keyboard
    const session = yield* Effect.flatMap(AgentLoop, (loop) => loop.open({ sessionId }))
    const narrate = yield* makeNarrator
    const events: Array<AgentEvent> = []
    const escapes = yield* Ref.make<Conversation["escapes"]>([])
    const answers = yield* Ref.make<Conversation["answers"]>([])

    const answer = (asked: TaskApproval) =>
      Effect.gen(function*() {
        const isApproved = yield* decide(asked, options.answer, workshop)
        yield* Ref.update(answers, (all) => [...all, { asked, isApproved }])
        yield* isApproved ? session.approve(asked) : session.reject(asked, "The user said no.")
      }).pipe(
        // Esc came first: it is withdrawn
        Effect.ignore
      )

    let isPressed = false
    const react = (event: AgentEvent): Effect.Effect<void, never, ReactionNeeds> => {
      if (event._tag === "ApprovalRequested") {
        return Effect.asVoid(Effect.forkScoped(answer(event.approval)))
      }
      // the first output of a command in the foreground, while the tests run in the background
      if (
        options.isScripted && !isPressed && event._tag === "Task" && event.event._tag === "Progress" &&
        event.event.snapshot.kind === "Foreground" && events.some((one) =>
          one._tag === "Task" && one.event._tag === "Detached"
        )
      ) {
        isPressed = true
        return pressEsc(session, workshop).pipe(
          Effect.flatMap((report) => Ref.update(escapes, (all) => [...all, report])),
          Effect.forkScoped,
          Effect.asVoid
        )
      }
      return Effect.void
    }

    yield* Stream.fromQueue(yield* session.subscribe).pipe(
      Stream.runForEach((event) => {
        events.push(event)
        return Effect.zipRight(narrate(event), react(event))
      }),
      Effect.forkScoped
    )
    if (screen.canAsk && !options.isScripted) {
      yield* keys.pipe(
        Stream.filter(({ key }) => key.name === "escape"),
        Stream.runForEach(() => Effect.zipRight(journal.say("user", "presses Esc"), session.interrupt)),
        Effect.forkScoped
      )
    }
    // they have subscribed when they have run once
    yield* Effect.yieldNow()
    yield* Effect.yieldNow()
    yield* journal.say("user", request)
    yield* session.submit(request)
    yield* waitUntilOver(session, events)
    yield* journal.events
    return {
      events,
      transcript: yield* session.transcript,
      escapes: yield* Ref.get(escapes),
      answers: yield* Ref.get(answers)
    } satisfies Conversation
  })

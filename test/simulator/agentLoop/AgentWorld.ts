/** One simulated program: what takes part in it, and what is written down of it. */
import type * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Prompt from "@effect/ai/Prompt"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { AgentEvent } from "../../../src/ai/loop/AgentEvent.js"
import type { AgentLoop } from "../../../src/ai/loop/AgentLoop.js"
import type { AgentSession } from "../../../src/ai/loop/AgentSession.js"
import type { TranscriptEntry } from "../../../src/ai/transcript/TranscriptEntry.js"
import type { SessionId, TaskId, ToolCallId } from "../../../src/model/ids.js"
import type { TaskKind, TaskSnapshot } from "../../../src/model/Task.js"
import type { TaskEvent } from "../../../src/model/TaskEvent.js"
import type { TaskManager } from "../../../src/services/TaskManager.js"
import type { Simulation } from "../../../src/testing/simulator/runSimulated.js"
import type { SimRandom } from "../../../src/testing/simulator/SimRandom.js"
import type { VirtualClock } from "../../../src/testing/simulator/VirtualClock.js"
import type { Feature } from "./features.js"
import { type AgentPlan, type Asked, scriptOf, type ToolScript } from "./plan.js"

/** A rule that was broken, and how. */
export interface Violation {
  readonly rule: string
  readonly message: string
}

/** What the manager did with one task of one process. */
export interface TaskLog {
  readonly generation: number
  readonly sessionId: SessionId
  readonly callId: ToolCallId
  readonly taskId: TaskId
  readonly kinds: Set<TaskKind>
  snapshot: TaskSnapshot
  terminal: Extract<TaskEvent, { readonly _tag: "Completed" | "Failed" | "Cancelled" }> | undefined
  asked: number
}

/** One opening of a session, in one process. */
export interface Opening {
  readonly generation: number
  readonly session: AgentSession
  readonly events: Array<AgentEvent>
  /** How many events of the session the manager had published when it was opened. */
  readonly since: number
  /** Reads the events until the session is over. */
  readonly reader: Fiber.RuntimeFiber<void>
  /** How many entries the log had when it was opened. */
  readonly from: number
  isClosed: boolean
}

/** What becomes of one conversation, over all processes. */
export class SessionLog {
  /** What the store has kept. */
  readonly log: Array<TranscriptEntry> = []
  readonly openings: Array<Opening> = []
  /** The latest prompt, message by message. */
  lastPrompt: ReadonlyArray<string> = []
  lastContent: ReadonlyArray<Prompt.Message> = []
  /** How many entries the log had at the latest request. */
  lastLength = 0
  requests = 0
  /** Marks of messages that were accepted, by the opening that took them. */
  readonly submitted: Array<{ readonly mark: string; readonly opening: Opening }> = []
  /** Ids of messages that were taken back. */
  readonly withdrawn = new Set<string>()
  /** Marks that a tool of the session took out of the queue of results. */
  readonly taken = new Set<string>()
  callsLeft: number
  /** Of every prompt from the last change on: they are in each that follows. */
  readonly expected = new Set<string>()
  /** Marks that a change of the conversation took out of it. */
  readonly dropped = new Set<string>()
  /** Marks that the last change took out, which the store has written and refused. */
  pending: ReadonlySet<string> = new Set()
  /** What the last change was to make of the conversation. */
  wanted: ReadonlyArray<TranscriptEntry> = []
  /** Calls whose results were replaced by others. */
  readonly changed = new Set<string>()
  /** How many changes the store has got. */
  rewrites = 0
  /** The changes and the provider of the latest prompt. */
  lastShape = ""
  /** Requests that are under way. */
  asking = 0
  /** Who is to be asked. */
  provider: Asked
  /** Nothing is under way, and the host does nothing more. */
  isSettled = false
  /** How often somebody has begun to interrupt it. */
  interrupts = 0
  /** How often a thing was sent and refused, and by which providers that are known by name; by opening. */
  readonly refusals = new Map<string, { readonly refusers: Set<Asked>; readonly times: number }>()
  /** What a provider has refused last. */
  lastRefused: { readonly key: string; readonly by: Asked } | undefined
  /** Who has made replies, and who the last one, which a provider without a name is taken for. */
  lastMaker = ""
  readonly makers = new Set<string>()
  /** Items that the provider knows, and does not know any more. */
  readonly items = new Set<string>()
  readonly forgotten = new Set<string>()
  modelFaults = 0
  storeFaults = 0
  /** The store said no although it had written. */
  writtenAndRefused = 0
  /** Of every prompt that the model has seen. */
  readonly seen = new Set<string>()
  readonly sessionId: SessionId

  constructor(sessionId: SessionId, { calls, provider }: AgentPlan) {
    this.sessionId = sessionId
    this.callsLeft = calls
    this.provider = provider
  }

  /** Whether the id stands for several calls: a model may use that of a call again which a change has taken out. */
  isReused(callId: ToolCallId): boolean {
    const replies = new Set<string>()
    for (const entry of this.log) {
      if (entry._tag !== "AssistantMessage") continue
      if (entry.parts.some((part) => part._tag === "ToolCall" && part.callId === callId)) replies.add(entry.replyId)
    }
    return replies.size > 1
  }

  get current(): Opening | undefined {
    return this.openings.at(-1)
  }
}

const markPattern = /\[[a-z]:\d+\]/g

/** The words of a conversation: a message may be the reason of a rejection as well, and stands once. */
const onlyOnce = (text: string): string => text.replaceAll(/did not go on: Please \[m:\d+\]/g, "did not go on")

/** Each mark that something says, as often as it is said. */
export const saidIn = (said: unknown): ReadonlyArray<string> => marksOf(onlyOnce(JSON.stringify(said)))

/** Each mark that something says. */
export const wordsIn = (said: unknown): ReadonlySet<string> => new Set(saidIn(said))

/** The marks in a text: each stands for one result, one message, one reply. */
export const marksOf = (text: string): ReadonlyArray<string> => text.match(markPattern) ?? []

export class AgentWorld {
  readonly plan: AgentPlan
  readonly random: SimRandom
  readonly clock: VirtualClock
  readonly trace: Array<string> | undefined
  readonly violations: Array<Violation> = []
  readonly met = new Map<Feature, number>()
  readonly sessions = new Map<SessionId, SessionLog>()
  readonly tasks = new Map<string, TaskLog>()
  readonly scripts: Array<ToolScript> = []
  /** What the manager has published of a session, by process and session. */
  readonly published = new Map<string, Array<TaskEvent>>()
  /** Tasks whose tools have interrupted themselves, by process and id. */
  readonly interruptedThemselves = new Set<string>()
  /** What was said to tasks: the process, the task and the words. */
  readonly said = new Set<string>()
  /** How often the tool of a call took its first step in its first launch. */
  readonly runs = new Map<number, number>()
  /** Scripts of calls that came cut off or cannot be read: they must not run. */
  readonly mustNotRun = new Set<number>()
  /** Who has said a text or made a call, by its mark or number. */
  readonly saidBy = new Map<string, Asked>()
  /** Which calls were run, by process, session and id. */
  readonly ran = new Set<string>()
  /** Counts the processes: what an earlier one does has no effect any more. */
  generation = 0
  /** From now on everybody behaves: what is left has to come to its end. */
  isTame = false
  manager: TaskManager["Type"] | undefined
  loop: AgentLoop["Type"] | undefined
  /** The models of the process, by provider. */
  models: ReadonlyMap<Asked, LanguageModel.Service> = new Map()
  private marks = 0

  constructor(plan: AgentPlan, { clock, random }: Simulation, trace: Array<string> | undefined) {
    this.plan = plan
    this.random = random
    this.clock = clock
    this.trace = trace
  }

  violate(rule: string, message: string): void {
    this.say("VIOLATION", () => `${rule}: ${message}`)
    if (this.violations.length < 20) this.violations.push({ rule, message })
  }

  meet(feature: Feature): void {
    this.met.set(feature, (this.met.get(feature) ?? 0) + 1)
  }

  say(who: string, what: () => string): void {
    this.trace?.push(`${String(this.clock.unsafeCurrentTimeMillis()).padStart(6)}ms  ${who.padEnd(12)} ${what()}`)
  }

  mark(kind: "result" | "denial" | "message" | "text" | "word"): string {
    return `[${kind.slice(0, 1)}:${++this.marks}]`
  }

  newScript(): ToolScript {
    const script = scriptOf(this.random, this.plan, this.scripts.length)
    this.scripts.push(script)
    return script
  }

  /** A change of a conversation is in force: nothing says any more what it took out. */
  drop(session: SessionLog, marks: ReadonlySet<string>): void {
    for (const mark of marks) {
      session.expected.delete(mark)
      session.dropped.add(mark)
    }
  }

  /** An event of the manager, at the moment at which it is published. */
  hear(generation: number, event: TaskEvent): void {
    this.publishedOf(generation, event.sessionId).push(event)
    if (!("snapshot" in event)) return
    const { snapshot } = event
    const key = `${generation} ${snapshot.id}`
    const known = this.tasks.get(key)
    const task: TaskLog = known ?? {
      generation,
      sessionId: snapshot.sessionId,
      callId: snapshot.callId,
      taskId: snapshot.id,
      kinds: new Set(),
      snapshot,
      terminal: undefined,
      asked: 0
    }
    if (known === undefined) this.tasks.set(key, task)
    task.snapshot = snapshot
    task.kinds.add(snapshot.kind)
    if (event._tag === "AwaitingApproval") task.asked++
    if (event._tag === "Completed" || event._tag === "Failed" || event._tag === "Cancelled") task.terminal = event
    this.say(`manager ${generation}`, () => `${event._tag} ${snapshot.id} ${snapshot.callId} ${snapshot.kind}`)
  }

  publishedOf(generation: number, sessionId: SessionId): Array<TaskEvent> {
    const origin = `${generation} ${sessionId}`
    const known = this.published.get(origin) ?? []
    this.published.set(origin, known)
    return known
  }

  tasksOf(sessionId: SessionId, callId: ToolCallId): ReadonlyArray<TaskLog> {
    return [...this.tasks.values()].filter((task) => task.sessionId === sessionId && task.callId === callId)
  }
}

/** Lets the others go first, some times. */
export const steps = (times: number): Effect.Effect<void> => Effect.repeatN(Effect.yieldNow(), times)

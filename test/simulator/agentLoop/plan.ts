/** What a seed is about: the loop's settings, how many take part, and which features it uses. */
import type { RoutingDecision } from "../../../src/model/RoutingDecision.js"
import { SimRandom } from "../../../src/testing/simulator/SimRandom.js"

/** The grid on which everything happens: few values, so that much happens at the same instant. */
export const tick = 10

/** Who is asked: `undefined` where the loop is not told; `other` is a client whose rules it does not know. */
export type Asked = "openai" | "anthropic" | "other" | undefined

/** How a tool ends once it has every approval it wants. */
type ToolEnd = "Succeed" | "Fail" | "Die" | "Interrupt"

/** What one call is going to do. Times are milliseconds. */
export interface ToolScript {
  readonly id: number
  readonly sleeps: ReadonlyArray<number>
  /** Whether its sleeps cannot be interrupted. */
  readonly isStubborn: boolean
  readonly detachesItself: boolean
  readonly takesResults: boolean
  readonly approvals: number
  /** How long its text is, in characters. */
  readonly length: number
  readonly end: ToolEnd
  /** Whether it reads what is said to it. */
  readonly listens: boolean
  readonly route: RoutingDecision
}

/** Which features a seed uses: a few at a time go deeper than all of them always. */
interface Features {
  readonly approvals: boolean
  readonly background: boolean
  readonly cancels: boolean
  readonly closing: boolean
  readonly compacting: boolean
  readonly detaching: boolean
  readonly hanging: boolean
  readonly instant: boolean
  readonly interrupts: boolean
  readonly modelFailures: boolean
  readonly providerCalls: boolean
  readonly refusing: boolean
  readonly rewriting: boolean
  readonly slowModel: boolean
  readonly slowStore: boolean
  readonly storeFailures: boolean
  readonly strangeCalls: boolean
  readonly steering: boolean
  readonly stubborn: boolean
  readonly switching: boolean
  readonly takingTools: boolean
  readonly timeouts: boolean
  readonly toolFailures: boolean
  readonly storeAway: boolean
  readonly withdrawing: boolean
}

export interface AgentPlan {
  readonly seed: number
  readonly manager: "Live" | "Simple"
  readonly sessions: number
  readonly messages: number
  readonly hostActions: number
  /** How often the process dies and is started again. */
  readonly crashes: number
  /** The most calls that the model makes in a session. */
  readonly calls: number
  readonly isStreaming: boolean
  readonly codec: "UserNote" | "SyntheticPair" | "ReplacePlaceholder"
  readonly wake: "AtOnce" | "Coalesced" | "WithNextMessage"
  readonly wakeBudget: number
  readonly windowMillis: number
  readonly retries: number
  readonly maxNoteBytes: number
  readonly concurrency: number
  readonly maxLive: number
  readonly maxUndelivered: number
  readonly historyLimit: number
  readonly eventBuffer: number
  readonly graceMillis: number
  readonly jitterMillis: number
  readonly preemption: number
  /** Whether a tool takes its first steps within the step that starts it. */
  readonly startsImmediately: boolean
  readonly whileAwaitingApproval: "queue" | "reject"
  /** Whom a session asks that was just opened. */
  readonly provider: Asked
  /** From how many tokens on a conversation is compacted. */
  readonly compactAt: number | undefined
  /** How many characters of a prompt the model takes. */
  readonly window: number
  /** How often a model uses the id of a call again, and how often a provider pauses, where a seed has strange calls. */
  readonly repeatedIds: number
  readonly pauses: number
  readonly features: Features
}

/** What is drawn behind all that was drawn before, or not at all. */
type Later = "whileAwaitingApproval" | "provider" | "compactAt" | "window" | "repeatedIds" | "pauses"

export const planOf = (seed: number): AgentPlan => {
  // dice of its own: the plan does not depend on how it is carried out
  const random = new SimRandom(seed ^ 0x2545f491)
  const some = () => random.chance(0.55)
  const rarely = () => random.chance(0.3)
  const plan: Omit<AgentPlan, Later | "features"> & {
    readonly features: Omit<
      Features,
      "steering" | "compacting" | "instant" | "refusing" | "rewriting" | "storeAway" | "switching" | "withdrawing"
    >
  } = {
    seed,
    manager: random.chance(0.15) ? "Simple" : "Live",
    sessions: random.pick([1, 1, 1, 1, 2, 2, 3]),
    messages: random.pick([1, 1, 1, 2, 2, 3]),
    hostActions: random.int(7),
    crashes: random.chance(0.25) ? random.pick([1, 1, 2]) : 0,
    calls: random.pick([2, 4, 6, 8]),
    isStreaming: random.chance(0.75),
    codec: random.pick(["UserNote", "UserNote", "SyntheticPair", "ReplacePlaceholder"]),
    wake: random.pick(["AtOnce", "AtOnce", "Coalesced", "WithNextMessage"]),
    wakeBudget: random.pick([8, 8, 1, 2, 0]),
    windowMillis: tick * random.int(5),
    retries: random.chance(0.4) ? 1 + random.int(2) : 0,
    maxNoteBytes: random.pick([16_384, 16_384, 120]),
    concurrency: random.chance(0.25) ? random.pick([1, 1, 2, 3]) : Infinity,
    maxLive: random.chance(0.15) ? 1 + random.int(4) : Infinity,
    maxUndelivered: random.chance(0.1) ? 1 + random.int(3) : Infinity,
    historyLimit: random.chance(0.15) ? random.int(3) : 1_000,
    // a few that overflow, the others larger than all events of a simulation
    eventBuffer: random.chance(0.2) ? random.pick([1, 2, 4]) : 4_096,
    graceMillis: random.pick([4 * tick, 4 * tick, 0]),
    jitterMillis: random.chance(0.25) ? 5 : 0,
    preemption: random.pick([0.005, 0.02, 0.06]),
    startsImmediately: random.chance(0.7),
    features: {
      approvals: some(),
      background: some(),
      cancels: rarely(),
      closing: random.chance(0.2),
      detaching: some(),
      hanging: rarely(),
      interrupts: some(),
      modelFailures: random.chance(0.4),
      providerCalls: rarely(),
      slowModel: some(),
      slowStore: rarely(),
      storeFailures: random.chance(0.4),
      strangeCalls: some(),
      stubborn: rarely(),
      takingTools: rarely(),
      timeouts: rarely(),
      toolFailures: some()
    }
  }
  const whileAwaitingApproval = random.pick(["queue", "reject"] as const)
  const features: Omit<Features, "storeAway" | "withdrawing"> = {
    ...plan.features,
    steering: rarely(),
    compacting: random.chance(0.2),
    instant: random.chance(0.2),
    refusing: random.chance(0.25),
    rewriting: random.chance(0.25),
    switching: random.chance(0.3)
  }
  const drawn: Omit<AgentPlan, "features"> = {
    ...plan,
    whileAwaitingApproval,
    provider: features.switching ? random.pickFrom(providers) : undefined,
    compactAt: features.compacting ? random.pick([undefined, 80, 200]) : undefined,
    window: features.compacting ? random.pick([Infinity, 2_500, 5_000]) : Infinity,
    // what is too long is to be short enough for many runs
    maxNoteBytes: features.refusing ? random.pick([512, 2_048]) : plan.maxNoteBytes,
    repeatedIds: 0.05,
    pauses: 0.1
  }
  return { ...drawn, features: { ...features, withdrawing: random.chance(0.25), storeAway: random.chance(0.15) } }
}

/** Whom a session can ask. */
export const providers: ReadonlyArray<Asked> = [undefined, "openai", "anthropic", "other"]

/** How long a text may be before a provider that refuses things refuses it. */
export const longestText = ({ maxNoteBytes }: AgentPlan): number => maxNoteBytes + 1_500

const millis = (random: SimRandom): number => tick * (1 + random.int(5))

const routeOf = (random: SimRandom, { features }: AgentPlan, length: number): RoutingDecision => {
  const time = (): number => length > 0 && random.chance(0.5) ? length : millis(random)
  const continuePolicy = random.chance(0.75) ? "RequestContinue" : "NotifyOnly"
  const timeout = features.timeouts && random.chance(0.5) ? time() : undefined
  if (features.background && random.chance(0.45)) return { _tag: "Background", continuePolicy, timeout }
  if (features.detaching && random.chance(0.5)) {
    return { _tag: "ForegroundThenDetachAfter", duration: time(), continuePolicy, timeout }
  }
  return { _tag: "Foreground", continuePolicy, timeout }
}

/** Throws the dice for what a call does. */
export const scriptOf = (random: SimRandom, plan: AgentPlan, id: number): ToolScript => {
  const { features } = plan
  const sleeps = Array.from({ length: random.int(3) }, () => millis(random))
  const script: ToolScript = {
    id,
    sleeps,
    isStubborn: features.stubborn && random.chance(0.3),
    detachesItself: features.detaching && random.chance(0.15),
    takesResults: features.takingTools && random.chance(0.4),
    approvals: features.approvals && random.chance(0.4) ? random.pick([1, 1, 2]) : 0,
    length: random.chance(0.2) ? 400 : 0,
    end: features.toolFailures ? random.pick(["Succeed", "Succeed", "Succeed", "Fail", "Die", "Interrupt"]) : "Succeed",
    listens: features.steering && random.chance(0.7),
    route: routeOf(random, plan, sleeps.reduce((sum, one) => sum + one, 0))
  }
  const isTooLong = features.refusing && random.chance(0.2)
  return {
    ...script,
    length: isTooLong ? longestText(plan) + 100 : script.length,
    sleeps: features.instant ? [] : sleeps
  }
}

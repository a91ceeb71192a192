/** What a seed is about: the manager's settings, how many take part, and which features it uses. */
import { Schedule } from "effect"
import type { RoutingDecision } from "../../../src/model/RoutingDecision.js"
import type { ContinuePolicy, DeliveryMode } from "../../../src/model/Task.js"
import { SimRandom } from "../../../src/testing/simulator/SimRandom.js"

/** One thing a tool does before it ends. Times are milliseconds. */
export type ToolStep =
  | { readonly _tag: "Yield"; readonly times: number }
  | { readonly _tag: "Sleep"; readonly millis: number }
  | { readonly _tag: "Uninterruptible"; readonly millis: number }
  | { readonly _tag: "Acquire"; readonly release: "Plain" | "Slow" | "CancelSelf" | "CancelOther" | "Die" }
  | { readonly _tag: "Child" }
  | {
    readonly _tag:
      | "Progress"
      | "CancelSelf"
      | "CancelOther"
      | "DetachSelf"
      | "Write"
      | "TakeResult"
      | "WaitForIdle"
      | "WaitForTask"
      | "WaitForTurn"
      | "WaitForOtherTurn"
      | "SubTurn"
      | "InterruptTurn"
      | "Listen"
      | "Steer"
      | "Fork"
  }

/** How a tool ends once it has every approval it wants. */
export type ToolEnd = "Succeed" | "Fail" | "Die" | "Throw" | "ThrowAtOnce" | "Garbage" | "Interrupt"

/** What one call is going to do, on each of its launches. */
export interface ToolScript {
  readonly steps: ReadonlyArray<ToolStep>
  readonly end: ToolEnd
  readonly approvals: number
  /** How many questions each of them has. */
  readonly questions: number
}

/** Which features a seed uses: a few at a time go deeper than all of them always. */
interface Features {
  readonly approvals: boolean
  readonly background: boolean
  readonly cancels: boolean
  readonly children: boolean
  readonly closings: boolean
  readonly detaching: boolean
  readonly failures: boolean
  readonly interruptedReaders: boolean
  readonly interruptedTurns: boolean
  /** Tools that read what the host says to them. */
  readonly messages: boolean
  readonly output: boolean
  /** Approvals with questions, and those who watch them. */
  readonly questions: boolean
  readonly singleResults: boolean
  /** Routing that takes time, does not answer, or cannot be interrupted. */
  readonly slowRouting: boolean
  readonly stubborn: boolean
  readonly timeouts: boolean
  /** Limits of time beside a timeout, and timeouts that send to the background. */
  readonly budgets: boolean
  readonly retries: boolean
  readonly waitingTools: boolean
}

export interface Plan {
  readonly seed: number
  readonly manager: "Live" | "Simple"
  readonly sessions: number
  readonly turns: number
  readonly calls: number
  readonly hostActions: number
  readonly watchers: number
  readonly concurrency: number
  readonly perSession: number
  readonly lanes: Readonly<Record<string, number>>
  readonly maxLive: number
  readonly maxUndelivered: number
  readonly duplicateCallIds: "run" | "join" | "reject"
  readonly historyLimit: number
  readonly historyBytes: number
  readonly eventBuffer: number
  readonly eventReplay: number
  readonly eventBytes: number
  /** Readers of events that go away and come back. */
  readonly readers: number
  readonly graceMillis: number
  readonly outputBuffer: number
  readonly outputHistory: number
  readonly jitterMillis: number
  readonly preemption: number
  /** Whether a tool takes its first steps within the step that starts it. */
  readonly startsImmediately: boolean
  /** When the layer is closed: at this time, or when everybody is done. */
  readonly shutdownAt: number | undefined
  /** Whether suspended tasks are answered before an orderly shutdown, or cancelled by it. */
  readonly tidy: boolean
  readonly features: Features
}

/** Whether a settled task may be forgotten before the simulation ends. */
export const forgets = ({ historyBytes, historyLimit }: Plan): boolean =>
  historyLimit < 1_000 || historyBytes < 67_108_864

/** The grid on which everything happens: few values, so that much happens at the same instant. */
export const tick = 10

export const planOf = (seed: number): Plan => {
  // dice of its own: the plan does not depend on how it is carried out
  const random = new SimRandom(seed ^ 0x5bd1e995)
  const some = () => random.chance(0.6)
  const plan: Omit<Plan, "maxLive" | "maxUndelivered" | "duplicateCallIds" | "features" | "perSession" | "lanes"> & {
    readonly features: Omit<Features, "slowRouting" | "messages" | "budgets" | "retries" | "questions">
  } = {
    seed,
    manager: random.chance(0.3) ? "Simple" : "Live",
    sessions: random.pick([1, 1, 2, 2, 3]),
    turns: random.pick([1, 1, 2]),
    calls: random.pick([1, 2, 3, 4]),
    hostActions: random.int(10),
    watchers: random.int(3),
    concurrency: random.chance(0.3) ? random.pick([1, 1, 2, 3]) : Infinity,
    historyLimit: random.chance(0.2) ? random.int(3) : 1_000,
    // a few that overflow, the others larger than all events of a simulation
    eventBuffer: random.chance(0.15) ? random.pick([1, 2, 4]) : 4_096,
    eventReplay: random.chance(0.3) ? 0 : 16,
    graceMillis: random.pick([4 * tick, 4 * tick, 0]),
    jitterMillis: random.chance(0.25) ? 5 : 0,
    preemption: random.pick([0.02, 0.1, 0.25]),
    shutdownAt: random.chance(0.25) ? tick * random.int(8) : undefined,
    startsImmediately: seed % 3 !== 0,
    tidy: random.chance(0.7),
    features: {
      approvals: some(),
      background: some(),
      cancels: some(),
      children: random.chance(0.3),
      closings: random.chance(0.3),
      detaching: some(),
      failures: some(),
      interruptedReaders: some(),
      interruptedTurns: random.chance(0.4),
      stubborn: random.chance(0.4),
      timeouts: random.chance(0.4),
      waitingTools: random.chance(0.3),
      output: random.chance(0.3),
      singleResults: random.chance(0.3)
    },
    eventBytes: random.pick([33_554_432, 33_554_432, 4_000, 0]),
    readers: random.chance(0.5) ? 1 + random.int(2) : 0,
    outputBuffer: random.pick([65_536, 20, 0]),
    outputHistory: random.pick([16_777_216, 30]),
    // nothing at all, one task or a few
    historyBytes: random.chance(0.15) ? random.pick([0, 800, 2_500]) : 67_108_864
  }
  const drawn: Omit<Plan, "features"> & { readonly features: Omit<Features, "questions"> } = {
    ...plan,
    eventReplay: Math.min(plan.eventReplay, plan.eventBuffer),
    maxLive: random.chance(0.2) ? 1 + random.int(4) : Infinity,
    maxUndelivered: random.chance(0.2) ? 1 + random.int(3) : Infinity,
    duplicateCallIds: random.chance(0.3) ? random.pick(["join", "reject"]) : "run",
    features: {
      ...plan.features,
      slowRouting: random.chance(0.4),
      messages: random.chance(0.3),
      budgets: random.chance(0.3),
      retries: random.chance(0.3)
    },
    perSession: random.chance(0.2) ? random.pick([1, 1, 2]) : Infinity,
    lanes: random.chance(0.3) ? random.pick([{ one: 1 }, { one: 1, two: 2 }]) : {}
  }
  return { ...drawn, features: { ...drawn.features, questions: drawn.features.approvals && random.chance(0.4) } }
}

const millis = (random: SimRandom): number => tick * (1 + random.int(4))

const stepOf = (random: SimRandom, { features, graceMillis }: Plan): ToolStep => {
  const steps: Array<() => ToolStep> = [
    () => ({ _tag: "Yield", times: 1 + random.int(4) }),
    () => ({ _tag: "Sleep", millis: millis(random) }),
    () => ({ _tag: "Sleep", millis: millis(random) }),
    () => ({ _tag: "Progress" })
  ]
  if (features.output) steps.push(() => ({ _tag: "Write" }), () => ({ _tag: "Write" }))
  if (features.messages) {
    const listen = () => ({ _tag: "Listen" }) as const
    steps.push(listen, listen, listen, () => ({ _tag: "Steer" }), () => ({ _tag: "Steer" }))
  }
  if (features.singleResults) steps.push(() => ({ _tag: "TakeResult" }))
  if (features.singleResults && features.waitingTools) steps.push(() => ({ _tag: "WaitForTask" }))
  if (features.cancels) {
    steps.push(
      () => ({ _tag: "CancelSelf" }),
      () => ({ _tag: "CancelOther" }),
      () => ({ _tag: "Acquire", release: random.pick(["Plain", "Slow", "CancelSelf", "CancelOther"]) })
    )
  }
  if (features.failures) steps.push(() => ({ _tag: "Acquire", release: random.pick(["Plain", "Die"]) }))
  if (features.detaching) steps.push(() => ({ _tag: "DetachSelf" }))
  if (features.children) steps.push(() => ({ _tag: "Child" }), () => ({ _tag: "Fork" }))
  if (features.waitingTools) {
    steps.push(
      () => ({ _tag: "WaitForIdle" }),
      () => ({ _tag: "WaitForTurn" }),
      () => ({ _tag: "WaitForOtherTurn" })
    )
  }
  if (features.waitingTools && features.children) steps.push(() => ({ _tag: "SubTurn" }))
  if (features.interruptedTurns && random.chance(0.3)) steps.push(() => ({ _tag: "InterruptTurn" }))
  if (features.stubborn) {
    steps.push(() => ({ _tag: "Uninterruptible", millis: random.pick([tick, graceMillis, graceMillis + 3 * tick]) }))
  }
  return random.pickFrom(steps)?.() ?? { _tag: "Progress" }
}

/** Throws the dice for what a call does. */
export const scriptOf = (random: SimRandom, plan: Plan): ToolScript => {
  const script = withoutQuestions(random, plan)
  return plan.features.questions && script.approvals > 0 ? { ...script, questions: random.int(4) } : script
}

const withoutQuestions = (random: SimRandom, plan: Plan): ToolScript => ({
  steps: Array.from({ length: random.int(4) }, () => stepOf(random, plan)),
  end: plan.features.failures
    ? random.pick(["Succeed", "Succeed", "Succeed", "Fail", "Die", "Throw", "ThrowAtOnce", "Garbage", "Interrupt"])
    : "Succeed",
  approvals: plan.features.approvals && random.chance(0.5) ? 1 + random.int(2) : 0,
  questions: 0
})

/** How long the script sleeps. */
export const lengthOf = ({ steps }: ToolScript): number => {
  let length = 0
  for (const step of steps) if (step._tag === "Sleep" || step._tag === "Uninterruptible") length += step.millis
  return length
}

/** Throws the dice for where a call runs; often a timer runs out at the very moment in which the tool comes to its end. */
export const routeOf = (random: SimRandom, { features, lanes }: Plan, script: ToolScript): RoutingDecision => {
  const length = lengthOf(script)
  const time = (): number => length > 0 && random.chance(0.5) ? length : millis(random)
  const deliveryMode: DeliveryMode = random.pick(["ToLoop", "Manual"])
  const continuePolicy: ContinuePolicy = random.pick(["NotifyOnly", "RequestContinue"])
  const timeout = features.timeouts && random.chance(0.5) ? time() : undefined
  const budgets = features.budgets
    ? {
      ...(random.chance(0.4) ? { onTimeout: random.pick(["detach", "ask"]) } : undefined),
      ...(random.chance(0.4) ? { backgroundTimeout: time() } : undefined),
      ...(random.chance(0.3) ? { idleTimeout: time() } : undefined),
      ...(random.chance(0.4) ? { approvalTimeout: time() } : undefined)
    }
    : undefined
  const retry = features.retries && random.chance(0.5)
    ? {
      retry: { schedule: Schedule.intersect(Schedule.recurs(1 + random.int(2)), Schedule.spaced(tick * random.int(3))) }
    }
    : undefined
  const children = features.children && random.chance(0.4)
    ? { children: random.pick(["cancel", "keep"] as const) }
    : undefined
  const delivery = random.chance(0.3) ? { timeout } : { deliveryMode, continuePolicy, timeout }
  const names = Object.keys(lanes)
  const lane = names.length > 0 && random.chance(0.7) ? random.pickFrom(names) : undefined
  const options = {
    ...delivery,
    ...budgets,
    ...retry,
    ...children,
    lane,
    ...(names.length > 0 ? { priority: random.int(3) - 1 } : undefined)
  }
  if (features.background && random.chance(0.5)) return { _tag: "Background", ...options }
  if (features.detaching && random.chance(0.5)) {
    return { _tag: "ForegroundThenDetachAfter", duration: time(), ...options }
  }
  return { _tag: "Foreground", ...options }
}

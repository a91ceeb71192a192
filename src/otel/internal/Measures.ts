/** What is measured. Times are seconds. Labels take few values: what a model makes up is not among them. */
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricLabel from "effect/MetricLabel"
import { liveStatuses } from "../../model/settled.js"
import type { TaskSnapshot } from "../../model/Task.js"
import type { ObservedManager } from "../../services/internal/observer.js"
import { ours } from "./making.js"

/** A metric with two labels, those that are empty left out. Its hook is found by the identity of the labels, so they are made once. */
const labelled = <Type, Out>(metric: Metric.Metric<Type, number, Out>, first: string, second: string) => {
  const known = new Map<string, ReadonlyArray<MetricLabel.MetricLabel>>()
  const make = (one: string, other: string) =>
    [MetricLabel.make(first, one), MetricLabel.make(second, other)].filter(({ value }) => value !== "")
  return (value: number, one = "", other = ""): void => {
    const key = `${one}\n${other}`
    let labels = known.get(key)
    if (labels === undefined) known.set(key, labels = make(one, other))
    metric.unsafeUpdate(value, labels)
  }
}

// 10 ms to 87 minutes
const seconds = MetricBoundaries.exponential({ start: 0.01, factor: 2, count: 20 })
const few = MetricBoundaries.exponential({ start: 1, factor: 2, count: 8 })
const timer = (name: string, description: string) =>
  Metric.tagged(Metric.histogram(name, seconds, description), "unit", "s")
const counter = (name: string, description: string) =>
  Metric.counter(`${ours}_${name}`, { description, incremental: true })
const gauge = (name: string, description: string) => Metric.gauge(`${ours}_${name}`, { description })

const executeTool = labelled(
  timer("gen_ai.execute_tool.duration", "How long tools ran, from the launch to its end"),
  "gen_ai.tool.name",
  "error.type"
)
const ofTurn = <Type, Out>(metric: Metric.Metric<Type, number, Out>) =>
  labelled(metric, "gen_ai.agent.name", "error.type")
const invokeAgent = ofTurn(timer("gen_ai.invoke_agent.duration", "How long turns took"))
const inferenceCalls = ofTurn(
  Metric.histogram("gen_ai.invoke_agent.inference_calls", few, "Requests to the model per turn")
)
const toolCalls = ofTurn(Metric.histogram("gen_ai.invoke_agent.tool_calls", few, "Launches of tools per turn"))
const queueTime = labelled(timer(`${ours}_queue_time`, "How long launches waited for a place"), "lane", "")
const runTime = labelled(timer(`${ours}_run_time`, "How long launches ran, by how they ended"), "lane", "status")
const approvalWait = labelled(
  timer(`${ours}_approval_wait`, "How long tasks waited for an answer"),
  "lane",
  "answer"
)
const detached = labelled(counter("detached", "Tasks that went from the foreground to the background"), "lane", "")
const wakeUps = counter("wake_ups", "Turns that background results began")
const live = labelled(gauge("live_tasks", "Tasks that are not settled"), "lane", "status")
const undelivered = gauge("undelivered", "Results, approvals and notices that wait to be taken")

/** As many labels as there are tools, and a bound for executors that take any name. */
const mostTools = 200
const tools = new Set<string>()

const toolOf = (name: string, errorType: string | undefined): string => {
  // a model can make up any number of names
  if (errorType === "NotFound" || tools.size >= mostTools && !tools.has(name)) return "_OTHER"
  tools.add(name)
  return name
}

export class Measures {
  private readonly managers = new Set<ObservedManager>()
  /** Lanes and statuses that were not empty when they were looked at last. */
  private shown: ReadonlyArray<readonly [lane: string, status: string]> = []

  launchBegan({ lane }: TaskSnapshot, queuedMillis: number): void {
    queueTime(queuedMillis / 1e3, lane)
  }

  launchEnded({ lane, status, toolName }: TaskSnapshot, nanos: bigint, errorType: string | undefined): void {
    const took = Number(nanos) / 1e9
    executeTool(took, toolOf(toolName, errorType), errorType)
    runTime(took, lane, status)
  }

  approvalAnswered({ lane }: TaskSnapshot, millis: number, answer: string): void {
    approvalWait(millis / 1e3, lane, answer)
  }

  detached({ lane }: TaskSnapshot): void {
    detached(1, lane)
  }

  turnEnded(nanos: bigint, { agentName, errorType, launches, requests }: {
    readonly agentName: string | undefined
    readonly errorType: string | undefined
    readonly requests: number
    readonly launches: number
  }): void {
    invokeAgent(Number(nanos) / 1e9, agentName, errorType)
    inferenceCalls(requests, agentName, errorType)
    toolCalls(launches, agentName, errorType)
  }

  wokeUp(): void {
    wakeUps.unsafeUpdate(1, [])
  }

  add(manager: ObservedManager): void {
    this.managers.add(manager)
  }

  remove(manager: ObservedManager): void {
    this.managers.delete(manager)
    this.sample()
  }

  /** Looks at the managers: a task changes in more ways than events tell of. */
  sample(): void {
    const counts = new Map<string, { readonly at: readonly [lane: string, status: string]; count: number }>()
    const countOf = (lane: string, status: string) => {
      const key = `${lane}\n${status}`
      const known = counts.get(key)
      if (known !== undefined) return known
      const made = { at: [lane, status] as const, count: 0 }
      counts.set(key, made)
      return made
    }
    // also what there is nothing of, and what was there and is not any more
    for (const status of liveStatuses) countOf("", status)
    for (const [lane, status] of this.shown) countOf(lane, status)
    let waiting = 0
    for (const manager of this.managers) {
      waiting += manager.undelivered()
      for (const { lane = "", status } of manager.live()) countOf(lane, status).count++
    }
    for (const { at: [lane, status], count } of counts.values()) live(count, lane, status)
    this.shown = Array.from(counts.values()).flatMap(({ at, count }) => count === 0 ? [] : [at])
    undelivered.unsafeUpdate(waiting, [])
  }
}

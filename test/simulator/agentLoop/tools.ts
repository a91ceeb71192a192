/** The tools that the model calls: they do what the script of their call says. */
import * as Tool from "@effect/ai/Tool"
import * as Toolkit from "@effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ToolkitExecutor from "../../../src/ai/tools/ToolkitExecutor.js"
import { ApprovalRequired, ToolError } from "../../../src/errors.js"
import { ApprovalId } from "../../../src/model/ids.js"
import { RoutingDecision } from "../../../src/model/RoutingDecision.js"
import type { ToolRequest } from "../../../src/model/ToolCall.js"
import { CurrentTask } from "../../../src/services/CurrentTask.js"
import type { RouteToolCall } from "../../../src/services/RoutingPolicy.js"
import type { ToolExecutor } from "../../../src/services/ToolExecutor.js"
import { type AgentWorld, steps } from "./AgentWorld.js"

const parameters = { call: Schema.Number }

const search = <const Name extends string>(name: Name) =>
  Tool.make(name, { success: Schema.Unknown, failure: Schema.Unknown }).setParameters(
    Schema.Struct({}, Schema.Record({ key: Schema.String, value: Schema.Unknown }))
  )

/** The searches are run by the providers. */
export const toolkit = Toolkit.make(
  Tool.make("work", { parameters, success: Schema.String, failure: Schema.Unknown, dependencies: [CurrentTask] }),
  search("search"),
  search("OpenAiWebSearch"),
  search("AnthropicWebSearch")
)

const providerRuns = () => Effect.dieMessage("The provider runs it")

/** Reads what is said to the task, beside what it does. */
const listen = (world: AgentWorld, generation: number): Effect.Effect<void, never, CurrentTask> =>
  Effect.flatMap(
    CurrentTask,
    ({ messages, taskId }) =>
      Effect.asVoid(Effect.fork(Stream.runForEach(messages, (message) =>
        Effect.sync(() => {
          world.meet("a tool that is steered")
          if (!world.said.has(`${generation} ${taskId} ${message}`)) {
            world.violate("steer", `${taskId} heard ${message}, which nobody said to it`)
          }
        }))))
  )

const work = (world: AgentWorld, generation: number) => ({ call }: { readonly call: number }) =>
  Effect.gen(function*() {
    const task = yield* CurrentTask
    const script = world.scripts[call]
    const { random } = world
    if (world.mustNotRun.has(call)) world.violate("cut", `call ${call} ran, and it was cut off`)
    if (script === undefined) return yield* Effect.dieMessage("Nobody made this call up")
    const { callId, sessionId, toolName } = task.request
    world.ran.add(`${generation} ${sessionId} ${callId}`)
    if (task.launch === 1) world.runs.set(call, (world.runs.get(call) ?? 0) + 1)
    if (task.launch <= script.approvals) {
      yield* steps(random.int(2))
      return yield* new ApprovalRequired({
        approval: {
          id: ApprovalId.make(`approval-${generation}-${task.taskId}-${task.launch}`),
          requestKind: "tool",
          reason: "It is dangerous",
          summary: "work",
          metadata: {}
        }
      })
    }
    if (script.listens) yield* listen(world, generation)
    const manager = world.manager
    for (const millis of script.sleeps) {
      yield* script.isStubborn ? Effect.uninterruptible(Effect.sleep(millis)) : Effect.sleep(millis)
      yield* steps(random.int(3))
    }
    if (script.detachesItself && manager !== undefined) yield* Effect.ignore(manager.handle.detach(task.taskId))
    const taken: Array<string> = []
    if (script.takesResults && manager !== undefined && generation === world.generation) {
      const others = yield* manager.handle.list({ sessionId, kind: "Background" })
      for (const other of others) {
        if (other.id === task.taskId) continue
        yield* Effect.option(manager.takeResult(other.id)).pipe(
          Effect.map((item) => {
            for (const { item: { parts } } of Option.toArray(Option.flatten(item))) {
              world.meet("a result that a tool takes")
              world.sessions.get(sessionId)?.taken.add(other.callId)
              taken.push(`${other.callId} gave ${JSON.stringify(parts)}`)
            }
          }),
          Effect.uninterruptible
        )
      }
    }
    const answer = `${world.mark("result")} ${"x".repeat(script.length)}`
    if (script.end === "Fail") return yield* new ToolError({ reason: "ExecutionFailed", toolName, message: answer })
    if (script.end === "Die") return yield* Effect.dieMessage("The tool has a bug")
    if (script.end === "Interrupt") {
      world.interruptedThemselves.add(`${generation} ${task.taskId}`)
      return yield* Effect.interrupt
    }
    return taken.length === 0 ? answer : `${answer}\n${taken.join("\n")}`
  })

/** The tools of one process. */
export const makeTools = (world: AgentWorld): Layer.Layer<ToolExecutor> => {
  const run = work(world, world.generation)
  return ToolkitExecutor.layer(toolkit).pipe(
    Layer.provide(toolkit.toLayer({
      work: run,
      search: providerRuns,
      OpenAiWebSearch: providerRuns,
      AnthropicWebSearch: providerRuns
    }))
  )
}

/** Routes a call as its script says; what has no script, anyhow. */
export const route = (world: AgentWorld): RouteToolCall => ({ input }: ToolRequest) => {
  const call = Predicate.hasProperty(input, "call") ? Number(input.call) : Number.NaN
  const decision = world.scripts[call]?.route ??
    (world.random.chance(0.2)
      ? RoutingDecision.Background({ continuePolicy: "RequestContinue" })
      : RoutingDecision.Foreground())
  return world.random.chance(0.15) ? Effect.as(steps(world.random.int(3)), decision) : decision
}

/** The tools of the simulated processes. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ApprovalRequired, ToolError } from "../../../src/errors.js"
import { ApprovalId } from "../../../src/model/ids.js"
import { CurrentTask } from "../../../src/services/CurrentTask.js"
import type { ToolExecutor } from "../../../src/services/ToolExecutor.js"
import { noting, step } from "../manager/World.js"
import type { DurableWorld, Teller } from "./DurableWorld.js"
import { tick } from "./plan.js"

/** `quick` and `slow` may not run twice, `repeat` may; `ask` asks first; `fail` fails. */
export const toolNames = ["quick", "slow", "repeat", "ask", "fail"] as const

const pieceSizes = [1, 7, 20, 20, 500, 5_000, 9_000, 70_000] as const

/** Writes some pieces, of which each byte says which one it is. */
const writePieces = (
  world: DurableWorld,
  teller: Teller,
  { launch, taskId, write }: Pick<CurrentTask["Type"], "launch" | "taskId" | "write">
): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { plan, random } = world
    for (let piece = random.int(4); piece > 0; piece--) {
      const size = Math.min(random.pick(pieceSizes), 2 * plan.keeping.outputBuffer)
      const text = `${taskId}:${launch}:${piece};`.repeat(1 + Math.floor(size / 20)).slice(0, size)
      yield* noting(write(text), () => world.kept.wrote(teller, taskId, launch, text))
      yield* random.chance(0.3) ? Effect.sleep(tick) : step(random.int(3))
    }
  })

export const toolsOf = (world: DurableWorld, teller: Teller): ToolExecutor["Type"] => ({
  specs: Effect.succeed([]),
  execute: (request) =>
    Effect.flatMap(CurrentTask, (task) =>
      Effect.gen(function*() {
        const { callId, toolName } = request
        const { approval, launch, taskId } = task
        const isApproved = Option.isSome(approval)
        const { random } = world
        world.begin(teller, taskId, { launch, tool: toolName, isApproved })
        if (world.plan.features.writing) yield* writePieces(world, teller, task)
        if (toolName === "slow" || toolName === "repeat") yield* Effect.sleep(tick * (1 + random.int(6)))
        else yield* step(random.int(3))
        if (toolName === "fail") {
          return yield* new ToolError({ reason: "ExecutionFailed", toolName, message: "The tool says no." })
        }
        if (toolName === "ask" && !isApproved) {
          return yield* new ApprovalRequired({
            approval: {
              id: ApprovalId.make(`a-${taskId}`),
              requestKind: "simulated",
              reason: "Because",
              summary: "May it?",
              metadata: {}
            }
          })
        }
        return {
          result: {
            _tag: "ToolResult" as const,
            callId,
            output: { _tag: "Text" as const, text: `answer to ${taskId} of launch ${launch}` },
            isError: false,
            metadata: {}
          },
          metadata: {}
        }
      }))
})

/**
 * `npm run bench:shell`: what a call of the shell tool costs next to a bare spawn of the same shell, with 400 processes on the
 * machine, and how long 64 calls at once stop the event loop. Only ratios mean anything.
 */
import { NodeContext } from "@effect/platform-node"
import { Effect, Layer, Option } from "effect"
import { SessionId, TaskLaunchRequest, TaskManager, TaskManagerLive, ToolCallId, TurnId } from "effect-task-manager"
import { ShellPolicy, ShellTool, ToolkitExecutor } from "effect-task-manager/ai"
import { spawn } from "node:child_process"
import { tmpdir } from "node:os"
import { parseArgs } from "node:util"
import { longestStall } from "./measuring.js"
import { spread } from "./stats.js"

const { values } = parseArgs({
  options: {
    processes: { type: "string", default: "400" },
    calls: { type: "string", default: "50" },
    "at-once": { type: "string", default: "64" }
  }
})

const Shell = Layer.merge(
  TaskManagerLive,
  ToolkitExecutor.layer(ShellTool.toolkit).pipe(
    Layer.provide(ShellTool.layer({ root: tmpdir(), policy: ShellPolicy.allowAll })),
    Layer.provide(NodeContext.layer)
  )
)

// what an executor of @effect/platform does, without anything around it
const bare = () =>
  new Promise<void>((done) => {
    const child = spawn("/bin/sh", ["-c", "true"], { detached: true })
    child.stdout.resume()
    child.stderr.resume()
    child.on("close", () => done())
  })

let calls = 0
const call = Effect.gen(function*() {
  const manager = yield* TaskManager
  const id = `call-${++calls}`
  const turn = { sessionId: SessionId.make("bench"), turnId: TurnId.make(id) }
  const request = { ...turn, callId: ToolCallId.make(id), toolName: "shell", input: { command: "true" }, metadata: {} }
  yield* manager.startTask(TaskLaunchRequest.plain({ request }))
  while (Option.isSome(yield* manager.waitForTurn(turn)));
})

const took = async (work: () => Promise<unknown>): Promise<number> => {
  const began = performance.now()
  await work()
  return performance.now() - began
}

const median = (values: ReadonlyArray<number>): number => spread(values).median
const shown = (millis: number): string => `${millis.toFixed(1)} ms`

const measure = async (one: () => Promise<unknown>) => {
  const spawns: Array<number> = []
  const tools: Array<number> = []
  await Promise.all([bare(), one()])
  // in turns, so that what else the machine does is in both
  for (let at = 0; at < Number(values.calls); at++) {
    spawns.push(await took(bare))
    tools.push(await took(one))
  }
  const ratio = median(tools) / median(spawns)
  console.log(`one call: ${shown(median(tools))}, a bare spawn: ${shown(median(spawns))}, ratio ${ratio.toFixed(2)}`)
  const stalled = (work: () => Promise<unknown>) =>
    Effect.runPromise(
      longestStall(Effect.promise(() => Promise.all(Array.from({ length: Number(values["at-once"]) }, work))))
    )
  const [ofSpawns, ofTools] = [await stalled(bare), await stalled(one)]
  console.log(
    `${values["at-once"]} at once: longest stall of the event loop ${shown(ofTools)}, with bare spawns ${
      shown(ofSpawns)
    }`
  )
}

const sleepers = Array.from(
  { length: Number(values.processes) },
  () => spawn("sleep", ["600"], { stdio: "ignore" })
)
try {
  await Effect.runPromise(
    Effect.scoped(
      Effect.flatMap(
        Layer.build(Shell),
        (context) => Effect.promise(() => measure(() => Effect.runPromise(Effect.provide(call, context))))
      )
    )
  )
} finally {
  for (const sleeper of sleepers) sleeper.kill()
}

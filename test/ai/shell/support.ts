/** A shell in a program of its own, for tests that look at its results and at its processes. */
import { NodeContext } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { type TaskId, TaskManager, TaskManagerConfig, TaskManagerLive } from "effect-task-manager"
import { type ShellOptions, ShellPolicy, ShellTool, ToolkitExecutor } from "effect-task-manager/ai"
import { tmpdir } from "node:os"
import { call, callOf } from "../../support/toolkit.js"

export type Options = Partial<ShellOptions> & { readonly manager?: Parameters<typeof TaskManagerConfig.layer>[0] }

export const shell = (options: Options = {}, platform: Layer.Layer<NodeContext.NodeContext> = NodeContext.layer) =>
  Layer.mergeAll(
    TaskManagerLive.pipe(Layer.provide(TaskManagerConfig.layer(options.manager ?? {}))),
    ToolkitExecutor.layer(ShellTool.toolkit).pipe(
      Layer.provide(
        ShellTool.layer({ root: tmpdir(), policy: ShellPolicy.allowAll, gracePeriod: "300 millis", ...options })
      ),
      Layer.provide(platform)
    )
  ).pipe(Layer.merge(NodeContext.layer))

export const run = (command: string, more: object = {}) => call(callOf("shell", { command, ...more }))

/** In real time, for processes: to look without a pause takes the processor time that they need. */
export const nextLook = () => new Promise<void>((done) => setTimeout(done, 5))

/** Waits until the running task has printed so much, and gives it. */
export const printed = (taskId: TaskId, enough: RegExp) =>
  Effect.gen(function*() {
    const { handle } = yield* TaskManager
    while (true) {
      const { text } = yield* handle.output(taskId)
      const match = enough.exec(text)
      if (match !== null) return match
      yield* Effect.promise(nextLook)
    }
  })

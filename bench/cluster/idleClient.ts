/** The client of the benchmark of sessions that rest: it uses each of so many sessions once, and ends. */
import { Effect, Option, Redacted } from "effect"
import { SessionId, TaskLaunchRequest, TaskManager, ToolCallId, ToolExecutor, TurnId } from "effect-task-manager"
import { clientOf } from "../../test/cluster/processes/clientOf.js"

export interface IdleClientJob {
  readonly url: string
  readonly groups: number
  /** What its sessions begin with, and how many they are. */
  readonly round: string
  readonly sessions: number
}

// given by the program that starts it
const { groups, round, sessions, url } = JSON.parse(process.argv[2] ?? "") as IdleClientJob

const use = (index: number) =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    const turn = { sessionId: SessionId.make(`${round}-${index}`), turnId: TurnId.make("turn") }
    yield* manager.startTask(TaskLaunchRequest.plain({
      request: { ...turn, callId: ToolCallId.make("call"), toolName: "echo", input: "x", metadata: {} }
    }))
    if (Option.isNone(yield* manager.waitForTurn(turn))) return yield* Effect.dieMessage("no result")
  })

await Effect.runPromise(
  Effect.forEach(Array.from({ length: sessions }, (_, index) => index), use, { concurrency: 64, discard: true }).pipe(
    Effect.provide([clientOf(Redacted.make(url), { groups, patience: "10 minutes" }), ToolExecutor.fromHandlers({})]),
    Effect.scoped
  )
)
// the engine may leave a connection open
process.exit(0)

/** The work that every contender does: the same calls, the same two bodies, in the same batches. */
import { Effect } from "effect"
import { SessionId, ToolCallId, ToolOutput, type ToolRequest, type ToolResult, TurnId } from "effect-task-manager"

export type Body = "sync" | "yield"

export interface Cell {
  readonly body: Body
  /** How many calls are started before the first result is taken. */
  readonly inFlight: 1 | 16 | "all"
}

export const cells: ReadonlyArray<Cell> = [
  { body: "sync", inFlight: 1 },
  { body: "sync", inFlight: 16 },
  { body: "sync", inFlight: "all" },
  { body: "yield", inFlight: 1 },
  { body: "yield", inFlight: 16 },
  { body: "yield", inFlight: "all" }
]

export const cellName = ({ body, inFlight }: Cell): string => `${body}, ${inFlight === "all" ? "all N" : inFlight}`

/** The calls of one turn: what is in flight together. */
export type Batch = ReadonlyArray<ToolRequest>

const metadata = {}
const input = { path: "README.md" }

/** The calls exist before the clock starts: a model makes them, not the manager. */
export const makeBatches = (calls: number, inFlight: number): ReadonlyArray<Batch> => {
  const sessionId = SessionId.make("session")
  const batches: Array<Batch> = []
  for (let first = 0; first < calls; first += inFlight) {
    const turnId = TurnId.make(`turn-${batches.length}`)
    batches.push(
      Array.from({ length: Math.min(inFlight, calls - first) }, (_, index) => ({
        sessionId,
        turnId,
        callId: ToolCallId.make(`call-${first + index}`),
        toolName: "work",
        input,
        metadata
      }))
    )
  }
  return batches
}

export const resultOf = (request: ToolRequest): ToolResult => ({
  result: {
    _tag: "ToolResult",
    callId: request.callId,
    output: ToolOutput.Text({ text: "done" }),
    isError: false,
    metadata
  },
  metadata
})

/** The bodies as effects: one that returns at once, one that yields to the scheduler once. */
export const effectBody: Record<Body, (request: ToolRequest) => Effect.Effect<ToolResult>> = {
  sync: (request) => Effect.sync(() => resultOf(request)),
  yield: (request) => Effect.flatMap(Effect.yieldNow(), () => Effect.sync(() => resultOf(request)))
}

/** The same as promises; a promise yields by awaiting. */
export const promiseBody: Record<Body, (request: ToolRequest) => Promise<ToolResult>> = {
  sync: async (request) => resultOf(request),
  yield: async (request) => {
    await undefined
    return resultOf(request)
  }
}

/** What the tests of the promise manager share: calls, signals between a test and its tools. */
import type { TaskOperations } from "effect-task-manager/promise"

export const turn = { sessionId: "s", turnId: "t" }

export const call = (toolName: string, input: unknown = null, callId = `call of ${toolName}`) => ({
  request: { ...turn, callId, toolName, input }
})

export interface Signal<A> {
  readonly promise: Promise<A>
  readonly resolve: (value: A) => void
}

export const makeSignal = <A = void>(): Signal<A> => {
  let resolve: (value: A) => void = () => undefined
  const promise = new Promise<A>((done) => {
    resolve = done
  })
  return { promise, resolve }
}

/** Resolves when the signal is aborted. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener("abort", () => resolve(), { once: true })
  })

/** What a promise rejects with. */
export const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then((value) => {
    throw new Error(`It did not reject, but answered ${JSON.stringify(value)}`)
  }, (error: unknown) => error)

/** The tool result of the next update of the turn. */
export const nextResult = async (manager: TaskOperations, ofTurn = turn) => {
  const update = await manager.waitForTurn(ofTurn)
  if (update?._tag !== "Resolution" || update.resolution._tag !== "Item") {
    throw new Error(`No result but ${JSON.stringify(update)}`)
  }
  return update.resolution.result
}

export const pendingId = async (manager: TaskOperations, launch: Parameters<TaskOperations["startTask"]>[0]) => {
  const outcome = await manager.startTask(launch)
  if (outcome._tag !== "Pending") throw new Error("startTask did not answer Pending")
  return outcome.taskId
}

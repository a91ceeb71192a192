/** Brings a call into every state of the table of operations. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { TaskNotFound } from "../../../errors.js"
import { isSettled } from "../../../model/settled.js"
import type { TaskKind, TaskStatus } from "../../../model/Task.js"
import type { ConformanceCapabilities } from "../capabilities.js"
import { equal } from "./check.js"
import { type Call, type CaseError, turnOf, type World } from "./World.js"

export interface State {
  readonly status: TaskStatus
  readonly kind: TaskKind
}

const states: ReadonlyArray<State> = [
  { status: "Queued", kind: "Foreground" },
  { status: "Queued", kind: "Background" },
  { status: "Running", kind: "Foreground" },
  { status: "Running", kind: "Background" },
  { status: "Suspended", kind: "Foreground" },
  { status: "Suspended", kind: "Background" },
  { status: "Cancelling", kind: "Foreground" },
  { status: "Cancelling", kind: "Background" },
  { status: "Completed", kind: "Foreground" },
  { status: "Completed", kind: "Background" },
  { status: "Failed", kind: "Foreground" },
  { status: "Cancelled", kind: "Foreground" }
]

/** The states in which the task is one of `statuses`. */
export const statesOf = (...statuses: ReadonlyArray<TaskStatus>): ReadonlyArray<State> =>
  states.filter(({ status }) => statuses.includes(status))

export const nameOf = ({ kind, status }: State): string => `${status} ${kind === "Foreground" ? "fg" : "bg"}`

export const needsOf = ({ kind, status }: State): ReadonlyArray<keyof ConformanceCapabilities> => [
  ...(kind === "Background" ? ["detach"] as const : []),
  ...(status === "Queued" ? ["concurrency"] as const : []),
  ...(status === "Suspended" ? ["approvals"] as const : [])
]

/** A call in a state, and the fiber of a cancel that began to bring it there. Its settings are in `settingsOf`. */
export interface Reached {
  readonly call: Call
  readonly cancelling: Fiber.RuntimeFiber<void, TaskNotFound> | undefined
}

export const settingsOf = ({ status }: State) => status === "Queued" ? { concurrency: 1 } : {}

/** Starts call "a" and brings it into the state. What was delivered on the way is taken, but for the last approval. */
export const reach = (world: World, { kind, status }: State): Effect.Effect<Reached, CaseError> =>
  Effect.gen(function*() {
    if (status === "Queued") yield* world.start("blocker", { turn: turnOf("other", "t") })
    const call = yield* world.start("a", {
      kind,
      stubborn: status === "Cancelling",
      begins: status !== "Queued"
    })
    let cancelling: Reached["cancelling"] = undefined
    switch (status) {
      case "Suspended":
        yield* call.ask
        // an inline manager has answered its caller; a queued approval stays where it is
        if (!world.capabilities.startsConcurrently && kind === "Foreground") yield* world.foreground(call)
        break
      case "Cancelling":
        cancelling = yield* world.fork(world.handle.cancel(call.id))
        yield* world.settle
        break
      case "Completed":
        yield* call.succeed()
        break
      case "Failed":
        yield* call.end(Effect.die("broken"))
        break
      case "Cancelled":
        yield* world.handle.cancel(call.id)
        break
    }
    if (isSettled({ status })) {
      yield* world.foreground(call)
      yield* world.loopUpdates(call.turn.sessionId)
    }
    yield* world.hasStatus(call, status)
    yield* equal(`the kind of ${call.id}`, (yield* world.handle.get(call.id)).kind, kind)
    return { call, cancelling }
  })

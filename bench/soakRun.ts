import { Effect } from "effect"
export const soak = (tasks: number): Effect.Effect<unknown> => Effect.succeed(tasks)

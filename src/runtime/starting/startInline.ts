/** `startTask` of the inline manager: it answers with what the call comes to. */
import * as Effect from "effect/Effect"
import { cancelInline } from "../../machine/control.js"
import { redirectToTurn } from "../../machine/delivery.js"
import type { InlineCaller } from "../../machine/state/TaskRecord.js"
import type { TaskLaunchRequest } from "../../model/Task.js"
import type { TaskStartOutcome } from "../../model/TaskResolution.js"
import type { ToolExecutor } from "../../services/ToolExecutor.js"
import type { Engine } from "../Engine.js"
import { ancestryOf } from "../launch/RunningIn.js"
import { waitUntilSettled } from "../waiting/untilSettled.js"
import { answerRepeated, callerOf, repeated, type StartError, startNow } from "./accepting.js"
import { readLaunch } from "./readLaunch.js"
import { inlineRoute } from "./routing.js"

/** The inline manager: runs the call in the foreground and answers with its resolution. */
export const startInline = (
  engine: Engine,
  given: TaskLaunchRequest
): Effect.Effect<TaskStartOutcome, StartError, ToolExecutor> =>
  Effect.withFiberRuntime((fiber) => {
    const launch = readLaunch(given)
    const earlier = repeated(engine.state.table, launch)
    // nothing is routed here, so no call waits to be accepted
    if (earlier !== undefined && !("caller" in earlier)) return answerRepeated(earlier)
    let resumeCaller: (() => void) | undefined = undefined
    const caller: InlineCaller = { wake: () => resumeCaller?.(), outcome: undefined }
    const outcome = startNow(engine, launch, inlineRoute, callerOf(fiber), caller)
    if ("_tag" in outcome) return Effect.fail(outcome)
    const { pending, task } = outcome
    // it was in the background before
    if (task.inlineCaller !== caller && caller.outcome === undefined) return Effect.succeed(pending)

    const giveUp = () =>
      engine.state.unsafeModify((table, now) => {
        if (caller.outcome !== undefined) redirectToTurn(table, task, caller)
        else cancelInline(table, task, now)
      })
    // the caller may be interrupted between the reply and its next step, where no finalizer of ours is in place
    fiber.addObserver(giveUp)
    const taken = () => fiber.removeObserver(giveUp)

    const reply = caller.outcome !== undefined ? Effect.void : Effect.async<void>((resume) => {
      resumeCaller = () => resume(Effect.void)
      if (caller.outcome !== undefined) resumeCaller()
      return Effect.suspend(() => {
        taken()
        // suspended or detached by now, it may stay so for long, and is not cancelled
        const isReplied = caller.outcome !== undefined
        giveUp()
        return isReplied ? Effect.void : waitUntilSettled(engine, [task], ancestryOf(fiber))
      })
    })
    return Effect.flatMap(reply, () =>
      Effect.sync(() => {
        taken()
        return caller.outcome ?? pending
      }))
  })

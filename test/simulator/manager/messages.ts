/** What is said to running tools, and what they hear. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { TaskId } from "../../../src/model/ids.js"
import { CurrentTask } from "../../../src/services/CurrentTask.js"
import { someTask } from "./actions.js"
import { tick } from "./plan.js"
import type { Actor, World } from "./World.js"
import { noting } from "./World.js"

/** Says something to some task, whether it listens or not. */
export const steer = (world: World, actor: Actor): Effect.Effect<void> =>
  Effect.suspend(() => {
    const listening = [...world.subject.engine.state.table.live].filter(({ inbox }) => inbox !== undefined)
    const taskId = world.random.chance(0.9)
      ? world.random.pickFrom(listening)?.snapshot.id ?? someTask(world)
      : someTask(world)
    const message = `to ${taskId}: ${world.nextKey()}`
    // before the call: its tool may hear it before the one who says it goes on, who may also be interrupted then
    world.offered.push({ taskId, message })
    return Effect.ignore(
      noting(world.manager.handle.steer(taskId, message), () => {
        world.said.push({ taskId, message })
        world.say(actor.name, () => `says ${message}`)
      })
    )
  })

const hear = (world: World, taskId: TaskId, message: string): void => {
  world.heard.push({ taskId, message })
  if (!world.offered.some((offered) => offered.taskId === taskId && offered.message === message)) {
    world.violate(2, `${taskId} heard ${message}, which nobody said to it`)
  }
}

/** Reads on beside what the tool does, or the next few; a reader may be interrupted while it has a message. */
export const listen = (world: World): Effect.Effect<void, never, CurrentTask> =>
  Effect.flatMap(CurrentTask, ({ messages, taskId }) => {
    const { random } = world
    const reading = Stream.runForEach(
      random.chance(0.5) ? messages : Stream.take(messages, 1 + random.int(2)),
      (message) =>
        Effect.zipRight(
          random.chance(0.5) ? Effect.sleep(tick) : Effect.void,
          Effect.sync(() => hear(world, taskId, message))
        )
    )
    return random.chance(0.6)
      ? Effect.zipRight(Effect.fork(reading), Effect.sleep(tick * random.int(4)))
      : Effect.asVoid(Effect.timeoutOption(reading, tick * (1 + random.int(3))))
  })

/** To be called when nobody is ready. */
export const checkMessages = (world: World): void => {
  for (const { inbox, snapshot: { id, status } } of world.subject.engine.state.table.live) {
    if (inbox === undefined) continue
    if (status === "Running" && !inbox.readers.isEmpty && !inbox.waiting.isEmpty) {
      world.violate(5, `${id} waits for a message that is there`)
    }
    const heard = new Set(world.heard.filter(({ taskId }) => taskId === id).map(({ message }) => message))
    const said = world.said.filter(({ taskId }) => taskId === id).length
    if (said > heard.size + inbox.count) {
      world.violate(2, `${said} messages were said to ${id}: it heard ${heard.size}, and ${inbox.count} wait`)
    }
    const waiting = inbox.waiting.toArray().reduce((bytes, message) => bytes + message.bytes, 0)
    if (inbox.count < inbox.waiting.size || inbox.bytes < waiting) {
      world.violate(10, `the inbox of ${id} counts ${inbox.count} messages where ${inbox.waiting.size} wait`)
    }
  }
}

/** How a simulation waits for single tasks, takes single results, and writes output. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { TaskId } from "../../../src/model/ids.js"
import type { TaskResolution } from "../../../src/model/TaskResolution.js"
import { CurrentTask } from "../../../src/services/CurrentTask.js"
import { someTask } from "./actions.js"
import { tick } from "./plan.js"
import { isRefused, keyOf, pause, unsettled, use } from "./reading.js"
import { type Actor, noting, step, type World } from "./World.js"

const note = (
  world: World,
  actor: Actor,
  taskId: TaskId,
  item: TaskResolution.Item,
  isDirect: boolean
): void => {
  const planned = world.planned.get(keyOf(item) ?? "")
  if (planned === undefined || item.taskId !== taskId) {
    world.violate(8, `${actor.name} asked for the result of ${taskId} and got that of ${item.taskId}`)
    return
  }
  const { sessionId, turnId } = planned.request
  const batch = world.nextBatch()
  world.deliver({ to: "Result", reader: actor.name, sessionId, turnId, resolution: item, isDirect, batch })
}

const take = (world: World, actor: Actor, taskId: TaskId): Effect.Effect<void> =>
  Effect.ignore(
    world.call(actor, "takeResult", { taskId }, () =>
      // the note is made in the step that takes: nothing can come between
      noting(world.manager.takeResult(taskId), (taken) => {
        if (Option.isSome(taken)) note(world, actor, taskId, taken.value, true)
      }))
  )

const consume = (world: World, actor: Actor, taskId: TaskId): Effect.Effect<void> =>
  Effect.ignore(isRefused(
    world.call(actor, "consumeResult", { taskId }, (record) =>
      world.manager.consumeResult(taskId, (item) => {
        const planned = world.planned.get(keyOf(item) ?? "")
        if (planned === undefined) return Effect.die("nobody made this call up")
        record.inHand.push(item)
        record.sessionId = planned.request.sessionId
        return use(world, record, planned.request.sessionId, () => note(world, actor, taskId, item, false))
      }).pipe(Effect.catchTag("TaskNotFound", () => Effect.succeedNone)))
  ))

/** Takes the result of some task before its turn, its loop or the host comes to it. */
export const takeResult = (world: World, actor: Actor): Effect.Effect<void> =>
  Effect.suspend(() => {
    const taskId = someTask(world)
    return unsettled(world, world.random.chance(0.5) ? take(world, actor, taskId) : consume(world, actor, taskId))
  })

const hasStopped = (world: World, taskId: TaskId): boolean => {
  const task = world.subject.engine.state.table.tasks.get(taskId)
  return task?.isLive !== true || task.snapshot.status === "Suspended"
}

const wait = (world: World, actor: Actor, taskIds: ReadonlyArray<TaskId>): Effect.Effect<void> => {
  const isDue = () => taskIds.some((taskId) => hasStopped(world, taskId))
  return Effect.ignore(
    world.call(actor, "waitForTask", { taskId: taskIds[0] }, (record) => {
      record.isLimited = !world.random.chance(0.5)
      return record.isLimited
        ? world.manager.waitForTask(taskIds, { timeout: tick * world.random.int(4) })
        : world.manager.waitForTask(taskIds)
    }, isDue)
  )
}

/** Waits for some tasks, for as long as there is patience, or a timeout. */
export const waitForTask = (world: World, actor: Actor): Effect.Effect<void> =>
  Effect.gen(function*() {
    const taskIds = Array.from({ length: world.random.int(4) }, () => someTask(world))
    const waiting = yield* Effect.fork(wait(world, actor, taskIds))
    let patience = world.random.chance(0.5) ? Infinity : world.random.int(6)
    while (waiting.unsafePoll() === null && patience-- > 0) yield* Effect.sleep(tick)
    yield* Fiber.interrupt(waiting)
  })

/** Waits for a task and takes its result, and is interrupted at about that time. */
const waitAndTake = (world: World, actor: Actor, taskId: TaskId): Effect.Effect<void> =>
  Effect.gen(function*() {
    const read = world.random.chance(0.7) ? take(world, actor, taskId) : consume(world, actor, taskId)
    const reading = yield* Effect.fork(Effect.zipRight(wait(world, actor, [taskId]), read))
    // somebody else who waits for the same strikes when the reader is about to take
    const striking = yield* Effect.fork(
      Effect.ignore(world.manager.waitForTask([taskId])).pipe(
        Effect.zipRight(Effect.suspend(() => step(world.random.int(8)))),
        Effect.zipRight(Fiber.interruptFork(reading))
      )
    )
    yield* pause(world)
    yield* Fiber.interrupt(reading)
    yield* Fiber.interrupt(striking)
  })

/** Waits for some task, takes its result, or both. */
export const readResult = (world: World, actor: Actor): Effect.Effect<void> =>
  Effect.suspend(() => {
    const dice = world.random.next()
    if (dice < 0.3) return takeResult(world, actor)
    return dice < 0.5 ? waitForTask(world, actor) : waitAndTake(world, actor, someTask(world))
  })

/** The running tool writes; the note says when the write had returned. */
export const write = (world: World): Effect.Effect<void, never, CurrentTask> =>
  Effect.flatMap(CurrentTask, ({ launch, taskId, write }) => {
    const chunk = world.random.pick(["a", "\u00e9\u00df", "\u20ac and more", "\ud83d\ude80", "0123456789abcdef"])
    const written = { taskId, launch, chunk, order: Infinity }
    world.written.push(written)
    return noting(write(chunk), () => {
      written.order = world.moment().order
    })
  })

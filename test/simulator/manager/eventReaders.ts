/** Readers of the events of a session, of a task or of all, that go away, come back and go on where they were. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { FilteredTaskEvent, TaskEvent, TaskEventFilter } from "../../../src/model/TaskEvent.js"
import { isTerminal } from "../../../src/testing/eventOrder.js"
import * as actions from "./actions.js"
import { tick } from "./plan.js"
import { pause } from "./reading.js"
import { type Actor, workingFor, type World } from "./World.js"

type Target = Pick<TaskEventFilter, "sessionId" | "taskId">

/** How far a reader has come: everything of its filter up to here it has seen, or was told that it was missed. */
interface Progress {
  seq: number
}

const isMeant = ({ sessionId, taskId }: Target) => (event: TaskEvent): boolean =>
  (sessionId === undefined || event.sessionId === sessionId) && (taskId === undefined || event.taskId === taskId)

/** What was live at an event, by the events alone. */
const liveAt = (events: ReadonlyArray<TaskEvent>, seq: number): ReadonlyArray<string> => {
  const live = new Set<string>()
  for (const event of events) {
    if (event.seq > seq || event.taskId === undefined) continue
    if (isTerminal(event)) live.delete(event.taskId)
    else if (event._tag === "Queued" || event._tag === "Started") live.add(event.taskId)
  }
  return [...live].sort()
}

/** Compares what a reader is given with everything that was published. */
const note = (world: World, actor: Actor, target: Target, progress: Progress, given: FilteredTaskEvent): void => {
  const meant = world.events.map(({ event }) => event).filter(isMeant(target))
  if (given._tag === "Reset") {
    world.resets++
    if (given.seq < progress.seq) world.violate(3, `${actor.name} was reset to ${given.seq} after ${progress.seq}`)
    const live = given.live.map(({ id }) => String(id)).sort()
    const wanted = liveAt(meant, given.seq)
    if (live.join() !== wanted.join()) {
      world.violate(
        3,
        `${actor.name} was told that ${live.join()} was live at ${given.seq}, and it was ${wanted.join()}`
      )
    }
  } else {
    if (given.seq <= progress.seq) world.violate(3, `${actor.name} saw event ${given.seq} after event ${progress.seq}`)
    if (!isMeant(target)(given)) world.violate(8, `${actor.name} saw event ${given.seq}, which is of others`)
    const missed = meant.find(({ seq }) => seq > progress.seq && seq < given.seq)
    if (missed !== undefined) {
      world.violate(3, `${actor.name} saw event ${given.seq} and did not see event ${missed.seq}`)
    }
  }
  progress.seq = given.seq
}

const lag = (world: World): Effect.Effect<void> => world.random.chance(0.2) ? Effect.sleep(3 * tick) : Effect.void

const read = (world: World, actor: Actor, target: Target, progress: Progress): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { handle } = world.manager
    const filter = { ...target, after: progress.seq }
    const take = (given: FilteredTaskEvent) =>
      Effect.suspend(() => {
        note(world, actor, target, progress, given)
        return lag(world)
      })
    const dice = world.random.next()
    if (dice < 0.5) return Stream.runForEach(handle.eventsOf(filter), take)
    const subscription = dice < 0.8
      ? handle.subscribeTo(filter)
      : Effect.map(handle.watchOf(filter), ({ events }) => events)
    return Effect.scoped(Effect.flatMap(subscription, (events) => Stream.runForEach(Stream.fromQueue(events), take)))
  })

const readOn = (world: World, actor: Actor, target: Target, progress: Progress): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (;;) {
      const fiber = yield* Effect.fork(read(world, actor, target, progress))
      if (world.random.chance(0.6)) return yield* Effect.flatten(Fiber.await(fiber))
      yield* pause(world)
      yield* Fiber.interrupt(fiber)
      yield* pause(world)
    }
  })

/** Reads until the manager ends, and must have come to the last event by then. */
export const eventReader = (world: World, index: number): Effect.Effect<Fiber.RuntimeFiber<void>, never, Scope.Scope> =>
  Effect.suspend(() => {
    const { random } = world
    const actor: Actor = { name: `reader ${index + 1}` }
    const reading = Effect.gen(function*() {
      yield* pause(world)
      const sessionId = actions.sessionOf(random.int(world.plan.sessions))
      const dice = random.next()
      const target: Target = dice < 0.6 ? { sessionId } : dice < 0.8 ? { taskId: actions.someTask(world) } : {}
      const progress: Progress = { seq: 0 }
      world.say(actor.name, () => `reads the events of ${target.sessionId ?? target.taskId ?? "all"}`)
      yield* readOn(world, actor, target, progress)
      const last = world.events.map(({ event }) => event).filter(isMeant(target)).at(-1)?.seq ?? 0
      if (progress.seq < last) world.violate(3, `${actor.name} did not see event ${last}`)
    })
    return Effect.forkScoped(Effect.interruptible(reading).pipe(Effect.locally(workingFor, "watcher")))
  })

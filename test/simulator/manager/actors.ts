/** Those who take part in a simulated run: agent loops, the host, and those who watch. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { SessionId, TurnRef } from "../../../src/model/ids.js"
import type { TaskSnapshot } from "../../../src/model/Task.js"
import type { TaskEvent } from "../../../src/model/TaskEvent.js"
import { ToolExecutor } from "../../../src/services/ToolExecutor.js"
import * as actions from "./actions.js"
import { steer } from "./messages.js"
import { forgets, tick } from "./plan.js"
import { drainManual, pause, readLoop, readTurn } from "./reading.js"
import { readResult } from "./results.js"
import { makeTools } from "./tools.js"
import { type Actor, workingFor, type World } from "./World.js"

/** Reads a turn until it has drained, and answers what it asks. */
const readToEnd = (world: World, actor: Actor, turn: TurnRef): Effect.Effect<void, never, ToolExecutor> =>
  Effect.gen(function*() {
    for (;;) {
      const update = yield* readTurn(world, actor, turn)
      // given up, not drained
      if (update === undefined) continue
      if (Option.isNone(update)) return
      if (update.value._tag === "Resolution") {
        yield* actions.followResolution(world, actor, update.value.resolution)
      }
    }
  })

/** Starts a call; an inline manager's caller may be interrupted meanwhile. */
const start = (world: World, actor: Actor, turn: TurnRef): Effect.Effect<void, never, ToolExecutor> =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(
      Effect.flatMap(actions.startCall(world, actor, turn), (outcome) => actions.follow(world, actor, outcome))
    )
    if (world.plan.features.interruptedReaders && world.random.chance(0.2)) {
      yield* pause(world)
      yield* Fiber.interrupt(fiber)
    } else {
      yield* Fiber.await(fiber)
    }
  })

const playTurn = (world: World, actor: Actor, turn: TurnRef): Effect.Effect<void, never, ToolExecutor> =>
  Effect.gen(function*() {
    const { plan, random } = world
    const started = yield* Effect.forkAll(
      Array.from(
        { length: plan.calls },
        () => random.chance(0.3) ? Effect.zipRight(pause(world), start(world, actor, turn)) : start(world, actor, turn)
      )
    )
    if (random.chance(0.5)) yield* Fiber.await(started)
    // beside the readers of the turn
    const beside = plan.features.singleResults
      ? yield* Effect.fork(Effect.repeatN(readResult(world, actor), random.int(4)))
      : undefined
    const readers = 1 + random.int(2)
    yield* Effect.forEach(
      Array.from({ length: readers }, (_, index) => index),
      (index) => readToEnd(world, { ...actor, name: `${actor.name}.${index}` }, turn),
      {
        concurrency: "unbounded",
        discard: true
      }
    )
    if (beside !== undefined) yield* Fiber.await(beside)
    yield* Fiber.await(started)
  })

/** Reads what comes late, some times over. */
const readLate = (world: World, actor: Actor, sessionId: SessionId): Effect.Effect<void, never, ToolExecutor> =>
  Effect.gen(function*() {
    const late = world.random.int(5)
    for (let times = 0; times < late; times++) {
      const resolutions = yield* readLoop(world, actor, sessionId)
      for (const resolution of resolutions) yield* actions.followResolution(world, actor, resolution)
      if (world.random.chance(0.5)) yield* pause(world)
    }
  })

/** The agent loop of one session: its turns, one after the other, and what comes late, between the turns or meanwhile. */
export const agentLoop = (world: World, index: number): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { plan, random } = world
    const sessionId = actions.sessionOf(index)
    const actor: Actor = { name: `loop ${sessionId}` }
    for (let turn = 0; turn < plan.turns; turn++) {
      const late = readLate(world, actor, sessionId)
      const meanwhile = random.chance(0.5) ? yield* Effect.fork(late) : undefined
      yield* playTurn(world, actor, { sessionId, turnId: actions.turnOf(turn) })
      if (meanwhile === undefined) yield* late
      else yield* Effect.flatten(Fiber.await(meanwhile))
    }
  }).pipe(
    Effect.provideService(ToolExecutor, makeTools(world)),
    Effect.locally(workingFor, "loop")
  )

const act = (world: World, actor: Actor): Effect.Effect<void, never, ToolExecutor> => {
  const { plan: { features }, random } = world
  const { handle } = world.manager
  const ignored = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<void> => Effect.ignore(effect)
  const possible: Array<() => Effect.Effect<void, never, ToolExecutor>> = [
    () => drainManual(world, actor),
    () => drainManual(world, actor, actions.sessionOf(random.int(world.plan.sessions))),
    () => {
      const taskId = actions.someTask(world)
      const mode = random.pick(["ToLoop", "Manual"])
      return ignored(world.call(actor, "setDeliveryMode", { taskId }, () => handle.setDeliveryMode(taskId, mode)))
    },
    () => {
      const taskId = actions.someTask(world)
      const policy = random.pick(["NotifyOnly", "RequestContinue"])
      return ignored(world.call(actor, "setContinuePolicy", { taskId }, () => handle.setContinuePolicy(taskId, policy)))
    },
    () => {
      const taskId = actions.someTask(world)
      const priority = random.int(5) - 2
      return ignored(world.call(actor, "setPriority", { taskId }, () => handle.setPriority(taskId, priority)))
    },
    () => {
      const limit = 1 + random.int(3)
      return ignored(world.call(actor, "setConcurrency", {}, () => handle.setConcurrency("one", limit)))
    },
    () =>
      Effect.gen(function*() {
        const waiting = yield* Effect.fork(actions.waitForIdle(world, actor))
        yield* pause(world)
        if (random.chance(0.5)) yield* Fiber.interrupt(waiting)
        else yield* Fiber.await(waiting)
      })
  ]
  if (features.cancels) {
    possible.push(
      () => actions.cancel(world, actor, actions.someTask(world)),
      () => actions.cancel(world, actor, actions.someTask(world))
    )
  }
  if (features.singleResults) {
    possible.push(() => readResult(world, actor), () => readResult(world, actor))
  }
  if (features.messages) {
    possible.push(() => steer(world, actor), () => steer(world, actor), () => steer(world, actor))
  }
  if (features.detaching) possible.push(() => actions.detach(world, actor, actions.someTask(world)))
  if (features.interruptedTurns) possible.push(() => actions.interruptTurn(world, actor, actions.someTurn(world)))
  if (features.closings) {
    possible.push(() => actions.closeSession(world, actor, actions.sessionOf(random.int(world.plan.sessions))))
  }
  if (features.approvals) {
    possible.push(() =>
      Effect.flatMap(handle.listSuspended, (suspended) => {
        const asked = random.pickFrom(suspended)
        return asked === undefined ? Effect.void : actions.answer(world, actor, asked)
      })
    )
  }
  return random.pickFrom(possible)?.() ?? Effect.void
}

/** The host: does something, waits a little, does something else. */
export const host = (world: World): Effect.Effect<void> =>
  Effect.gen(function*() {
    const actor: Actor = { name: "host" }
    for (let times = 0; times < world.plan.hostActions; times++) {
      // some of it at once, so that two things happen to one task at the same instant
      const action = Effect.suspend(() => act(world, actor))
      if (world.random.chance(0.4)) yield* Effect.fork(action)
      else yield* action
      yield* pause(world)
    }
  }).pipe(
    Effect.provideService(ToolExecutor, makeTools(world)),
    Effect.locally(workingFor, "host"),
    Effect.scoped
  )

const checkAddressable = (world: World, actor: Actor, event: TaskEvent): Effect.Effect<void> =>
  event.taskId === undefined ? Effect.void : Effect.flatMap(
    Effect.exit(world.manager.handle.get(event.taskId)),
    (exit) =>
      Effect.sync(() => {
        if (Exit.isSuccess(exit) || forgets(world.plan)) return
        world.violate(3, `${actor.name} saw ${event._tag} of ${event.taskId}, which is not known`)
      })
  )

const inOrder = (world: World, actor: Actor, seen: { seq: number }, event: TaskEvent): void => {
  if (event.seq <= seen.seq) world.violate(3, `${actor.name} saw event ${event.seq} after event ${seen.seq}`)
  if (event.seq > seen.seq + 1 && seen.seq > 0) {
    world.lagged++
    if (world.plan.eventBuffer > 4 && world.plan.eventBytes > 1_000_000) {
      world.violate(3, `${actor.name} did not see events ${seen.seq + 1} to ${event.seq - 1}`)
    }
  }
  seen.seq = event.seq
}

const lag = (world: World): Effect.Effect<void> => world.random.chance(0.2) ? Effect.sleep(3 * tick) : Effect.void

/** Reads events one by one from a subscription that begins with the live tasks. */
const watchEvents = (world: World, actor: Actor): Effect.Effect<void> =>
  Effect.scoped(Effect.gen(function*() {
    const { events, seq } = yield* world.manager.handle.watch
    const seen = { seq }
    for (;;) {
      const event = yield* events.take
      inOrder(world, actor, seen, event)
      yield* checkAddressable(world, actor, event)
      yield* lag(world)
    }
  }))

const streamEvents = (world: World, actor: Actor): Effect.Effect<void> => {
  const seen = { seq: 0 }
  return Stream.runForEach(world.manager.handle.events, (event) =>
    Effect.suspend(() => {
      inOrder(world, actor, seen, event)
      return Effect.zipRight(checkAddressable(world, actor, event), lag(world))
    }))
}

const watchChanges = (world: World, actor: Actor): Effect.Effect<void> =>
  Effect.suspend(() => {
    let last: ReadonlyArray<TaskSnapshot> = []
    return Stream.runForEach(world.manager.handle.changes, (live) =>
      Effect.suspend(() => {
        last = live
        return lag(world)
      })).pipe(
        Effect.zipRight(Effect.sync(() => {
          if (last.length > 0) world.violate(3, `${actor.name} was left with a stale set of live tasks`)
        }))
      )
  })

/** Somebody who watches, to the end of the manager or until he is closed. Ends when the manager does. */
export const watcher = (
  world: World,
  index: number
): Effect.Effect<Fiber.RuntimeFiber<void>, never, Scope.Scope> =>
  Effect.suspend(() => {
    const { random } = world
    const actor: Actor = { name: `watcher ${index + 1}` }
    const kind = random.pick(["events one by one", "the stream of events", "the live tasks"])
    const watching = kind === "events one by one"
      ? watchEvents
      : kind === "the live tasks"
      ? watchChanges
      : streamEvents
    world.say(actor.name, () => `watches ${kind}`)
    const watch = world.call(actor, "watch", {}, () => watching(world, actor))
    const closing = random.chance(0.3)
    return Effect.forkScoped(
      Effect.interruptible(
        closing
          ? Effect.flatMap(Effect.fork(watch), (fiber) =>
            Effect.zipRight(
              pause(world),
              Effect.asVoid(Fiber.interrupt(fiber))
            ))
          : Effect.asVoid(Effect.exit(watch))
      ).pipe(Effect.locally(workingFor, "watcher"))
    )
  })

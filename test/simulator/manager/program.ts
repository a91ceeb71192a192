/** A whole simulated run: build the manager, let everybody play, drain, shut down, look at what is left. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as HashSet from "effect/HashSet"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type { RoutingDecision } from "../../../src/model/RoutingDecision.js"
import type { TaskEvent } from "../../../src/model/TaskEvent.js"
import type { ToolRequest } from "../../../src/model/ToolCall.js"
import { AskingTokens, makeEngine, makeManager, StartsImmediately } from "../../../src/runtime/make.js"
import { startInline } from "../../../src/runtime/starting/startInline.js"
import { startConcurrently } from "../../../src/runtime/starting/startTask.js"
import type { State } from "../../../src/runtime/State.js"
import { RoutingPolicy } from "../../../src/services/RoutingPolicy.js"
import { TaskManagerConfig } from "../../../src/services/TaskManagerConfig.js"
import { ToolExecutor } from "../../../src/services/ToolExecutor.js"
import * as actions from "./actions.js"
import { agentLoop, host, watcher } from "./actors.js"
import { checkNothingLeft } from "./checkTable.js"
import { eventReader } from "./eventReaders.js"
import { routeOf, tick } from "./plan.js"
import { inboxReader } from "./questions.js"
import { drainManual, drainTurn, takeLoop } from "./reading.js"
import { keyOf, makeTools } from "./tools.js"
import { type Actor, step, workingFor, type World } from "./World.js"

const root: Actor = { name: "root" }

const route = (world: World) => (request: ToolRequest): RoutingDecision | Effect.Effect<RoutingDecision> => {
  const { plan, random } = world
  const planned = world.planned.get(keyOf(request))
  if (planned === undefined) throw new Error("Nobody made this call up")
  const { key, script } = planned
  const decide = (): RoutingDecision => {
    const decision = routeOf(random, plan, script)
    world.routes.push({ ...world.moment(), key, decision })
    world.say("routing", () => `${key} → ${JSON.stringify(decision)}`)
    return decision
  }
  world.routed.push({ ...world.moment(), key })
  const dice = random.next()
  if (dice < 0.02) throw actions.routingFailure
  if (plan.features.slowRouting && dice > 0.6) {
    const later = Effect.zipRight(Effect.sleep(tick * (1 + random.int(3))), Effect.suspend(() => Effect.sync(decide)))
    if (dice > 0.95) return Effect.never
    if (dice > 0.9) return Effect.uninterruptible(later)
    return dice > 0.88 ? Effect.zipRight(later, Effect.die(actions.routingFailure)) : later
  }
  return dice < 0.2 ? Effect.zipRight(step(random.int(3)), Effect.sync(decide)) : decide()
}

const build = (world: World, scope: Scope.Scope): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { plan } = world
    const engine = yield* makeEngine.pipe(
      Effect.provideService(TaskManagerConfig, {
        ...(yield* TaskManagerConfig),
        concurrency: plan.concurrency,
        perSession: plan.perSession,
        lanes: plan.lanes,
        maxLive: plan.maxLive,
        maxUndelivered: plan.maxUndelivered,
        duplicateCallIds: plan.duplicateCallIds,
        ledger: plan.ledger !== undefined,
        limits: plan.ledger === undefined ? {} : {
          ...(plan.ledger.task === Infinity
            ? undefined
            : { task: { costs: { usd: plan.ledger.task }, onLimit: plan.ledger.onLimit } }),
          ...(plan.ledger.launches === Infinity ? undefined : { session: { launches: plan.ledger.launches } })
        },
        historyLimit: plan.historyLimit,
        historyBytes: plan.historyBytes,
        eventBuffer: plan.eventBuffer,
        eventReplay: Math.min(plan.eventReplay, plan.eventBuffer),
        eventBytes: plan.eventBytes,
        cancelGracePeriod: plan.graceMillis,
        outputBuffer: plan.outputBuffer,
        outputHistory: plan.outputHistory
      }),
      Effect.provideService(RoutingPolicy, route(world)),
      Effect.provideService(StartsImmediately, plan.startsImmediately),
      Effect.provideService(AskingTokens, () => world.nextAsking()),
      Effect.locally(workingFor, "manager")
    )
    // a subscriber would see events later, and one with a small buffer not all of them
    const publish = engine.events.unsafePublish.bind(engine.events)
    Object.assign(engine.events, {
      unsafePublish: (event: TaskEvent) => {
        world.hear(event)
        publish(event)
      }
    })
    const { modify, unsafeModify } = engine.state
    const observed: Pick<State, "modify" | "unsafeModify"> = {
      modify: (transition) => modify(world.observed(transition)),
      unsafeModify: (transition) => unsafeModify(world.observed(transition))
    }
    Object.assign(engine.state, observed)
    world.begin({ engine, manager: makeManager(engine, plan.manager === "Live" ? startConcurrently : startInline) })
  }).pipe(Scope.extend(scope))

const drainEverything = (world: World): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (const turn of world.turns.values()) yield* drainTurn(world, root, turn)
    for (let index = 0; index < world.plan.sessions; index++) {
      yield* takeLoop(world, root, actions.sessionOf(index))
    }
    yield* drainManual(world, root)
  })

/** Answers what nobody has answered, until nothing is left to be asked. */
const answerTheRest = (world: World): Effect.Effect<void, never, ToolExecutor> =>
  Effect.gen(function*() {
    for (;;) {
      yield* actions.waitForIdle(world, root)
      const running = yield* world.manager.handle.listRunning
      if (running.length > 0) {
        // a tool that waited for idle itself was not counted, and goes on
        yield* Effect.sleep(tick)
        continue
      }
      yield* drainEverything(world)
      const suspended = yield* world.manager.handle.listSuspended
      if (suspended.length === 0) return
      for (const { taskId } of suspended) {
        const snapshot = yield* Effect.option(world.manager.handle.get(taskId))
        if (Option.isSome(snapshot)) {
          world.left.push({ ...world.moment(), taskId, launch: snapshot.value.launch })
        }
      }
      for (const asked of suspended) {
        const dice = world.random.next()
        if (dice < 0.2) yield* actions.cancel(world, root, asked.taskId)
        else if (dice < 0.4) yield* actions.reject(world, root, asked)
        else yield* Effect.flatMap(actions.approveFully(world, root, asked), (o) => actions.follow(world, root, o))
      }
    }
  })

/** After the shutdown: what is refused, and what still answers. */
const tryClosed = (world: World): Effect.Effect<void, never, ToolExecutor> =>
  Effect.gen(function*() {
    const { handle, startTask } = world.manager
    const request = actions.planCall(world, actions.someTurn(world))
    const started = yield* Effect.flip(startTask({ _tag: "Plain", request })).pipe(Effect.option)
    if (Option.isNone(started) || started.value._tag !== "TaskManagerShutdown") {
      world.violate(11, "startTask was not refused after the shutdown")
    }
    yield* actions.waitForIdle(world, root)
    const running = yield* handle.listRunning
    if (running.length > 0) world.violate(11, `${running.length} tasks are live after the shutdown`)
  })

const shutDown = (world: World, scope: Scope.CloseableScope): Effect.Effect<void> =>
  world.call({ name: "owner" }, "shutdown", {}, () => Scope.close(scope, Exit.void))

const play = (world: World): Effect.Effect<void, never, ToolExecutor> =>
  Effect.gen(function*() {
    const { plan } = world
    const managerScope = yield* Scope.make()
    const watching = yield* Scope.make()
    yield* build(world, managerScope)
    const watchers = yield* Effect.forEach(Array.from({ length: plan.watchers }, (_, index) => index), (index) =>
      Scope.extend(watcher(world, index), watching))
    const readers = yield* Effect.forEach(
      Array.from({ length: plan.readers }, (_, index) =>
        index),
      (index) => Scope.extend(eventReader(world, index), watching)
    )
    const inboxes = yield* Effect.forEach(
      plan.features.questions ? Array.from({ length: plan.watchers }, (_, index) => index) : [],
      (index) => Scope.extend(inboxReader(world, index), watching)
    )
    const loops = yield* Effect.forEach(
      Array.from({ length: plan.sessions }, (_, index) => index),
      (index) => Effect.fork(agentLoop(world, index))
    )
    const hosting = yield* Effect.fork(host(world))
    const closing = plan.shutdownAt === undefined
      ? undefined
      : yield* Effect.fork(Effect.zipRight(Effect.sleep(plan.shutdownAt), shutDown(world, managerScope)))

    for (const fiber of [...loops, hosting]) {
      yield* Effect.flatten(Fiber.await(fiber))
    }
    if (closing === undefined) {
      if (plan.tidy) {
        yield* answerTheRest(world)
        checkNothingLeft(world, "before the shutdown")
      }
      yield* shutDown(world, managerScope)
    } else {
      yield* Effect.flatten(Fiber.await(closing))
    }
    yield* drainEverything(world)
    yield* tryClosed(world)
    for (const fiber of [...watchers, ...readers, ...inboxes]) yield* Fiber.await(fiber)
    yield* Scope.close(watching, Exit.void)
    checkNothingLeft(world, "after the shutdown")
  })

/** Counts the warnings of the manager instead of printing them. */
const countWarnings = (world: World) =>
  Logger.make(({ message }) => {
    if (String(message) === "A tool died") world.diedWarnings++
  })

export const program = (world: World): Effect.Effect<void> =>
  play(world).pipe(
    Effect.provideService(ToolExecutor, makeTools(world)),
    Effect.locally(workingFor, "root"),
    Effect.locally(FiberRef.currentLoggers, HashSet.make(countWarnings(world)))
  )

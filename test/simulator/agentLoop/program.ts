/** A whole simulated run: processes that live and die, and the last one comes to its end in peace. */
import * as LanguageModel from "@effect/ai/LanguageModel"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as HashSet from "effect/HashSet"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { AgentEvent } from "../../../src/ai/loop/AgentEvent.js"
import { AgentLoop } from "../../../src/ai/loop/AgentLoop.js"
import type { AgentSessionDefaults } from "../../../src/ai/loop/AgentSession.js"
import { TranscriptStoreError } from "../../../src/ai/loop/errors.js"
import { OpeningMarks } from "../../../src/ai/loop/internal/ids.js"
import { TranscriptStore, type TranscriptStoreService } from "../../../src/ai/loop/TranscriptStore.js"
import { WakePolicy } from "../../../src/ai/loop/WakePolicy.js"
import { LateResultCodec } from "../../../src/ai/transcript/LateResultCodec.js"
import { Transcript } from "../../../src/ai/transcript/Transcript.js"
import type { TranscriptEntry } from "../../../src/ai/transcript/TranscriptEntry.js"
import { SessionId } from "../../../src/model/ids.js"
import type { TaskEvent } from "../../../src/model/TaskEvent.js"
import { makeEngine, makeManager, StartsImmediately } from "../../../src/runtime/make.js"
import { startInline } from "../../../src/runtime/starting/startInline.js"
import { startConcurrently } from "../../../src/runtime/starting/startTask.js"
import { RoutingPolicy } from "../../../src/services/RoutingPolicy.js"
import { TaskManager } from "../../../src/services/TaskManager.js"
import { TaskManagerConfig } from "../../../src/services/TaskManagerConfig.js"
import { close, host, settle, user } from "./actors.js"
import { type AgentWorld, type Opening, saidIn, SessionLog, steps } from "./AgentWorld.js"
import { compactionOf } from "./changing.js"
import { checkRewrite } from "./checkRewrite.js"
import { checkAtRest, checkSession } from "./checkSession.js"
import { checkTold, checkWatch } from "./checkTold.js"
import { makeModel } from "./model.js"
import { type Asked, providers, tick } from "./plan.js"
import { makeTools, route, toolkit } from "./tools.js"

const refused = new TranscriptStoreError({ message: "The disk is full" })

/** The store of one process: slow now and then, full or away now and then, and sometimes wrong about what it did. */
const makeStore = (world: AgentWorld): TranscriptStoreService => {
  const { generation, plan: { features }, random } = world
  /** Until then nothing is written. */
  let awayUntil = 0
  return {
    append: (sessionId, entry) =>
      Effect.gen(function*() {
        if (features.slowStore && random.chance(0.3)) yield* Effect.sleep(tick * random.int(3))
        const session = world.sessions.get(sessionId)
        // what a process that is dead writes is written nowhere
        if (session === undefined || generation !== world.generation) return
        const now = yield* Clock.currentTimeMillis
        if (features.storeAway && random.chance(0.05)) awayUntil = now + tick * (1 + random.int(20))
        const isAway = !world.isTame && now < awayUntil
        if (isAway) world.meet("a store that is away")
        const fails = isAway || !world.isTame && features.storeFailures && random.chance(0.15)
        if (fails) session.storeFaults++
        if (isAway || fails && random.chance(0.6)) {
          world.meet("a store that refuses")
          world.say(sessionId, () => `refuses ${JSON.stringify(entry)}`)
          return yield* refused
        }
        if (entry._tag === "AssistantMessage") checkMaker(world, session, entry)
        if (entry._tag === "Rewrite") {
          const dropped = checkRewrite(world, session, entry)
          session.rewrites++
          session.lastMaker = lastMakerOf(entry)
          // one that is written once more drops what it dropped before
          session.pending = new Set([...session.pending, ...dropped])
          if (!fails) {
            world.drop(session, session.pending)
            session.pending = new Set()
          }
        }
        session.log.push(entry)
        world.say(sessionId, () => `${fails ? "writes and refuses" : "writes"} ${JSON.stringify(entry)}`)
        if (!fails) return yield* steps(random.int(2))
        world.meet("a store that refuses what it has written")
        session.writtenAndRefused++
        return yield* refused
      })
  }
}

/** Who made the last reply that a change has left. */
const lastMakerOf = ({ entries }: TranscriptEntry.Rewrite): string =>
  entries.reduce((maker, entry) => entry._tag === "AssistantMessage" ? entry.provider ?? maker : maker, "")

/** A reply says who made it. */
const checkMaker = (world: AgentWorld, session: SessionLog, reply: TranscriptEntry.AssistantMessage): void => {
  if (reply.provider !== undefined) {
    session.makers.add(reply.provider)
    session.lastMaker = reply.provider
  }
  for (const mark of saidIn(reply.parts)) {
    const maker = world.saidBy.get(mark)
    if (maker !== undefined && reply.provider !== maker) {
      world.violate(
        "provider",
        `${session.sessionId}: ${mark} is of ${maker}, and the reply is one of ${reply.provider}`
      )
    }
  }
}

const makeProcessManager = (world: AgentWorld) =>
  Effect.gen(function*() {
    const { generation, plan } = world
    const engine = yield* makeEngine.pipe(
      Effect.provideService(TaskManagerConfig, {
        ...(yield* TaskManagerConfig),
        concurrency: plan.concurrency,
        maxLive: plan.maxLive,
        maxUndelivered: plan.maxUndelivered,
        historyLimit: plan.historyLimit,
        eventBuffer: plan.eventBuffer,
        eventReplay: plan.eventBuffer,
        cancelGracePeriod: plan.graceMillis
      }),
      Effect.provideService(RoutingPolicy, route(world)),
      Effect.provideService(StartsImmediately, plan.startsImmediately)
    )
    // a subscriber would see events later, and one with a small buffer not all of them
    const { events } = engine
    const publish = events.unsafePublish.bind(events)
    Object.assign(events, {
      unsafePublish: (event: TaskEvent) => {
        world.hear(generation, event)
        publish(event)
      }
    })
    return makeManager(engine, plan.manager === "Live" ? startConcurrently : startInline)
  })

const defaultsOf = (world: AgentWorld, { plan } = world): AgentSessionDefaults => ({
  codec: LateResultCodec[plan.codec],
  maxNoteBytes: plan.maxNoteBytes,
  streaming: plan.isStreaming,
  wake: plan.wake === "WithNextMessage"
    ? WakePolicy.WithNextMessage
    : plan.wake === "AtOnce"
    ? WakePolicy.AtOnce({ budget: plan.wakeBudget })
    : WakePolicy.Coalesced({ window: plan.windowMillis, budget: plan.wakeBudget }),
  provider: plan.provider,
  compactAt: plan.compactAt,
  compact: plan.features.compacting
    ? compactionOf(world, ({ sessionId }) => world.sessions.get(sessionId))
    : undefined,
  ...(plan.retries === 0
    ? undefined
    : { retry: Schedule.intersect(Schedule.spaced(tick), Schedule.recurs(plan.retries)) })
})

/** Opens a session on what the store has kept, and listens to it. */
const open = (world: AgentWorld, session: SessionLog, scope: Scope.Scope): Effect.Effect<Opening> =>
  Effect.gen(function*() {
    const { loop } = world
    if (loop === undefined) return yield* Effect.dieMessage("There is no loop")
    const { sessionId } = session
    const rebuilt = Transcript.fromEntries(sessionId, session.log)
    if (session.openings.length > 0) world.meet("a session that is opened again")
    const { features, provider, whileAwaitingApproval } = world.plan
    // what the store has written counts, whatever it said
    world.drop(session, session.pending)
    session.pending = new Set()
    session.provider = provider
    session.lastShape = ""
    if (features.refusing && world.random.chance(0.5)) { for (const item of session.items) session.forgotten.add(item) }
    const live = yield* loop.open({ sessionId, system: sessionId, transcript: rebuilt, whileAwaitingApproval }).pipe(
      // the same run has the same ids
      Effect.provideService(OpeningMarks, () => `o${session.openings.length}`),
      Scope.extend(scope),
      Effect.orDie
    )
    const watch = yield* Scope.extend(live.watch, scope)
    checkWatch(world, session, watch)
    const events: Array<AgentEvent> = []
    const opening: Opening = {
      generation: world.generation,
      session: live,
      events,
      since: world.publishedOf(world.generation, sessionId).length,
      reader: yield* Effect.forkIn(
        Stream.runForEach(Stream.fromQueue(watch.events), (event) => Effect.sync(() => events.push(event))),
        scope
      ),
      from: session.log.length,
      isClosed: false
    }
    session.openings.push(opening)
    return opening
  })

/** Starts a process: a manager, tools, a model, a loop. */
const startProcess = (world: AgentWorld, scope: Scope.Scope): Effect.Effect<void> =>
  Effect.gen(function*() {
    const manager = yield* Scope.extend(makeProcessManager(world), scope)
    const tools = yield* Layer.buildWithScope(makeTools(world), scope)
    const models = new Map<Asked, LanguageModel.Service>()
    for (const provider of world.plan.features.switching ? providers : [undefined]) {
      models.set(provider, makeModel(world, scope, provider))
    }
    world.models = models
    const model = models.get(world.plan.provider)
    if (model === undefined) return yield* Effect.dieMessage("There is no such model")
    const context = Context.merge(
      tools,
      Context.make(TaskManager, manager).pipe(Context.add(LanguageModel.LanguageModel, model))
    )
    const loop = yield* Layer.buildWithScope(AgentLoop.layer(toolkit, defaultsOf(world)), scope).pipe(
      Effect.provide(context),
      Effect.provideService(TranscriptStore, makeStore(world))
    )
    world.manager = manager
    world.loop = Context.get(loop, AgentLoop)
  })

/** The process ends from one moment to the next: nothing that it does afterwards counts. */
const crash = (world: AgentWorld, scope: Scope.CloseableScope): Effect.Effect<void> =>
  Effect.gen(function*() {
    world.meet("a process that dies")
    world.say("world", () => "the process dies")
    world.generation++
    yield* Scope.close(scope, Exit.void)
  })

/** Says something once more, with the model and the store in a good mood, until nothing is left to be told. */
const finish = (
  world: AgentWorld,
  session: SessionLog,
  users: Fiber.Fiber<unknown, unknown>,
  scope: Scope.Scope
): Effect.Effect<void> =>
  Effect.gen(function*() {
    yield* settle(world, session, users)
    session.isSettled = true
    const before = session.current
    if (before === undefined) return
    if (before.isClosed) yield* open(world, session, scope)
    else yield* checkAtRest(world, session, before)
    for (let last = 0; last < 3; last++) {
      const opening = session.current
      if (opening === undefined) return
      const mark = world.mark("message")
      session.submitted.push({ mark, opening })
      const speaking = yield* Effect.fork(Stream.runDrain(opening.session.run(`At last ${mark}.`)))
      yield* settle(world, session, speaking)
      // what the last turn has still begun
      const transcript = yield* opening.session.transcript
      const isWaiting = Transcript.runningTasks(transcript).some(({ callId }) => !session.taken.has(callId))
      if (!isWaiting && !Transcript.awaitsReply(transcript)) break
    }
    yield* checkSession(world, session)
  })

const play = (world: AgentWorld): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { plan } = world
    for (let index = 0; index < plan.sessions; index++) {
      const sessionId = SessionId.make(`session-${index + 1}`)
      world.sessions.set(sessionId, new SessionLog(sessionId, plan))
    }
    const sessions = [...world.sessions.values()]
    for (let crashes = plan.crashes;; crashes--) {
      const scope = yield* Scope.make()
      yield* startProcess(world, scope)
      const actors: Array<readonly [SessionLog, Fiber.Fiber<void>, Fiber.Fiber<void>]> = []
      for (const session of sessions) {
        const opening = yield* open(world, session, scope)
        actors.push([
          session,
          yield* Effect.fork(user(world, session, opening)),
          yield* Effect.fork(host(world, session, opening))
        ])
      }
      if (crashes > 0) {
        yield* Effect.sleep(tick * world.random.int(20))
        yield* steps(world.random.int(100))
        yield* Fiber.interruptAll(actors.flatMap(([, ...fibers]) => fibers))
        yield* crash(world, scope)
        continue
      }
      for (const [, , hosting] of actors) yield* Fiber.join(hosting)
      world.isTame = true
      world.say("world", () => "everybody behaves")
      for (const [session, speaking] of actors) yield* finish(world, session, speaking, scope)
      for (const [session] of actors) {
        const opening = session.current
        if (opening === undefined) continue
        yield* close(world, session, opening)
        checkTold(world, session)
      }
      yield* Scope.close(scope, Exit.void)
      return
    }
  })

export const program = (world: AgentWorld): Effect.Effect<void> =>
  Effect.locally(play(world), FiberRef.currentLoggers, HashSet.empty())

/** A durable manager of a simulated process: the pieces of `TaskManagerDurable`, on the journal in memory. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { withStoredTasks } from "../../../src/durable/internal/hostReads.js"
import { ringOf } from "../../../src/durable/internal/outputRows.js"
import { acceptedBefore } from "../../../src/durable/internal/patientReads.js"
import { sweepAgain } from "../../../src/durable/internal/retention.js"
import type { Tables } from "../../../src/durable/internal/tables.js"
import { deliveriesIn } from "../../../src/durable/internal/updates.js"
import { JournalError } from "../../../src/errors.js"
import type { StoredTask } from "../../../src/machine/restore.js"
import type { RoutingDecision } from "../../../src/model/RoutingDecision.js"
import type { TaskEvent } from "../../../src/model/TaskEvent.js"
import type { PendingLoopUpdates, TaskResolution, TurnTaskUpdate } from "../../../src/model/TaskResolution.js"
import type { ToolRequest } from "../../../src/model/ToolCall.js"
import type { Engine } from "../../../src/runtime/Engine.js"
import { holdReplies } from "../../../src/runtime/journal/holding.js"
import type { JournalWriter } from "../../../src/runtime/journal/JournalWriter.js"
import { restoreTasks } from "../../../src/runtime/journal/restoring.js"
import { storedTask } from "../../../src/runtime/journal/taskRows.js"
import { AskingTokens, makeEngine, makeManager, StartsImmediately } from "../../../src/runtime/make.js"
import { startConcurrently } from "../../../src/runtime/starting/startTask.js"
import { Journal, type JournalGroup, type JournalOverlap, type JournalRow } from "../../../src/services/Journal.js"
import { RoutingPolicy } from "../../../src/services/RoutingPolicy.js"
import type { TaskManager } from "../../../src/services/TaskManager.js"
import { TaskManagerConfig } from "../../../src/services/TaskManagerConfig.js"
import { ToolExecutor } from "../../../src/services/ToolExecutor.js"
import type { OutputRing } from "../../../src/shared/OutputRing.js"
import { step } from "../manager/World.js"
import type { DurableWorld, Teller } from "./DurableWorld.js"
import { memoryRows, openingRows } from "./memoryRows.js"
import { type Faults, leaseMillis, tick } from "./plan.js"
import { forEver, type SimProcess } from "./SimProcess.js"
import { toolsOf } from "./tools.js"

/** A manager, in its process. */
export interface OpenManager extends Teller {
  readonly engine: Engine
  readonly journal: JournalWriter
  readonly manager: TaskManager["Type"]
  readonly tools: ToolExecutor["Type"]
  /** Stores the updates and acknowledges them, in one transaction. */
  readonly storeAndAcknowledge: (
    updates: TurnTaskUpdate | PendingLoopUpdates,
    all: ReadonlyArray<TurnTaskUpdate | TaskResolution>
  ) => Effect.Effect<void, JournalError>
}

export interface OpenOptions {
  readonly faults: Faults | undefined
  readonly keepsTasks: boolean
}

/** How long a write or a transaction takes. */
const pause = ({ random }: DurableWorld, slow: number): Effect.Effect<void> =>
  Effect.suspend(() => random.chance(slow) ? Effect.sleep(tick * (1 + random.int(5))) : step(random.int(4)))

const unavailable = new JournalError({
  journal: "memory",
  reason: "Unavailable",
  detail: "could not be written",
  cause: undefined
})

const writing = (world: DurableWorld, process: SimProcess, epoch: number, faults: Faults | undefined) => {
  const { clock, database, plan: { outage }, random } = world
  let before: JournalGroup | undefined
  const isAway = (): boolean => {
    const now = clock.unsafeCurrentTimeMillis()
    return outage !== undefined && now >= outage.from && now < outage.to
  }
  return (group: JournalGroup): Effect.Effect<void, JournalError> =>
    Effect.gen(function*() {
      if (group === before) world.meet("a write that is made again")
      before = group
      const leaseUntil = clock.unsafeCurrentTimeMillis() + leaseMillis
      yield* pause(world, faults?.slow ?? 0)
      if (faults !== undefined && (isAway() || random.chance(faults.fails))) {
        world.meet("a write that fails")
        return yield* unavailable
      }
      if (faults !== undefined && random.chance(faults.diesBefore)) {
        world.meet("a process that dies before a group is written")
        process.kill()
        return yield* forEver
      }
      if (!database.isOwner(epoch)) {
        world.meet("a journal that is fenced")
        return yield* database.fenced()
      }
      database.commit(epoch, group, leaseUntil)
      world.say(`process ${process.number}`, () => `has written up to event ${group.seq}`)
      if (faults !== undefined && random.chance(faults.diesAfter)) {
        world.meet("a process that dies after a group is written")
        process.kill()
        return yield* forEver
      }
      yield* pause(world, faults?.slow ?? 0)
      if (faults !== undefined && random.chance(faults.failsAfterwards)) {
        world.meet("a write that is made and fails")
        return yield* unavailable
      }
    })
}

/** The next turn of the event loop comes when others have taken some steps, and not at all where the process ends before. */
const overlapping = (world: DurableWorld, process: SimProcess): JournalOverlap => ({
  fewestTasks: 1,
  nextTurn: (run) => {
    world.meet("callers that go on later than others of their group")
    let steps = world.random.int(30)
    const go = (): void => steps-- > 0 ? process.scheduleTask(go) : run()
    process.scheduleTask(go)
  }
})

const routes: Record<string, () => RoutingDecision> = {
  background: () => ({ _tag: "Background", continuePolicy: "RequestContinue" }),
  manual: () => ({ _tag: "Background", deliveryMode: "Manual" }),
  detach: () => ({ _tag: "ForegroundThenDetachAfter", duration: tick }),
  timeout: () => ({ _tag: "Foreground", timeout: 2 * tick }),
  joins: () => ({ _tag: "Foreground", duplicates: "join" }),
  joinsLate: () => ({ _tag: "Background", duplicates: "join", continuePolicy: "RequestContinue" })
}

const routeOf = ({ metadata }: ToolRequest): RoutingDecision =>
  (routes[String(metadata["how"])] ?? (() => ({ _tag: "Foreground" })))()

/** Waits for an owner that lives, takes the journal, and brings back what is in it. */
export const openManager = (
  world: DurableWorld,
  process: SimProcess,
  options: OpenOptions
): Effect.Effect<OpenManager, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { clock, database, plan } = world
    const { faults } = options
    yield* pause(world, faults?.slow ?? 0)
    const epoch = database.take(clock.unsafeCurrentTimeMillis(), leaseMillis)
    const teller: Teller = { process, epoch }
    world.say(`process ${process.number}`, () => `opens the journal, epoch ${epoch}`)
    const store = database.open(epoch, {
      leaseMillis,
      keepsTasks: options.keepsTasks,
      overlap: plan.overlaps ? overlapping(world, process) : undefined,
      write: writing(world, process, epoch, faults),
      unowed: (deliveries) =>
        Effect.gen(function*() {
          yield* pause(world, faults?.slow ?? 0)
          if (faults !== undefined && world.random.chance(0.5)) {
            world.meet("a database that does not say what was acknowledged")
            world.unsure(deliveries)
            return yield* unavailable
          }
          return database.unowed(deliveries)
        })
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => database.leave(epoch)))
    const { keeping } = plan
    const read = (row: JournalRow): Option.Option<StoredTask> =>
      Option.map(
        Either.getRight(
          Either.mapLeft(
            storedTask(row),
            ({ detail }) => world.violate("rows", `the row of ${row.taskId} cannot be read: ${detail}`)
          )
        ),
        (task) => task.settled === undefined && keeping.output ? { ...task, output: outputOf(task.order) } : task
      )
    const outputOf = (number: number): OutputRing | undefined => {
      const ring = ringOf(keeping.outputBuffer, database.output.of(number))
      if (ring !== undefined) world.meet("output that is read after a restart")
      return ring
    }
    const stored = openingRows(database, plan.historyLimit).flatMap((row) => Option.toArray(read(row)))
    const engine = yield* makeEngine.pipe(
      Effect.provideService(TaskManagerConfig, {
        ...(yield* TaskManagerConfig),
        concurrency: plan.concurrency,
        historyLimit: plan.historyLimit,
        outputBuffer: keeping.outputBuffer,
        cancelGracePeriod: 4 * tick
      }),
      Effect.provideService(RoutingPolicy, routeOf),
      Effect.provideService(StartsImmediately, plan.startsImmediately),
      Effect.provideService(AskingTokens, () => world.nextAsking()),
      Effect.provideService(Journal, store)
    )
    // a subscriber would hear of them later
    const publish = engine.events.unsafePublish.bind(engine.events)
    Object.assign(engine.events, {
      unsafePublish: (event: TaskEvent) => {
        world.hear(teller, event)
        publish(event)
      }
    })
    const { journal } = engine.state
    if (journal === undefined) return yield* Effect.dieMessage("the engine has no writer")
    const tools = toolsOf(world, teller)
    const context = yield* Effect.context<never>()
    const fiberRefs = yield* Effect.getFiberRefs
    yield* restoreTasks(engine, journal, stored, {
      mayRepeat: ({ request: { toolName } }) => toolName === "repeat",
      callerOf: () => ({
        context: Context.add(context, ToolExecutor, tools),
        fiberRefs,
        executor: tools,
        ancestry: undefined
      })
    })
    yield* journal.synced
    const rows = memoryRows(database, Effect.suspend(() => step(world.random.int(3))))
    yield* sweepAgain({
      engine,
      journal,
      rows,
      now: Effect.sync(() => clock.unsafeCurrentTimeMillis()),
      retention: keeping,
      pauseMillis: keeping.sweepEvery
    })
    const fail: Tables["fail"] = (reason, detail, cause) =>
      new JournalError({ journal: "memory", reason, detail, cause })
    const known = acceptedBefore(journal, rows, fail)
    const start: typeof startConcurrently = (engine, launch) => startConcurrently(engine, launch, known)
    return {
      ...teller,
      engine,
      journal,
      tools,
      manager: withStoredTasks(
        holdReplies(journal, makeManager(engine, start), { waits: () => {}, consumes: () => {} }),
        {
          journal,
          rows,
          readOrWarn: (row) => Effect.sync(() => read(row)),
          readOutput: (number) => Effect.sync(() => ringOf(keeping.outputBuffer, database.output.of(number))),
          fail,
          check: () => {}
        }
      ),
      storeAndAcknowledge: (updates, all) =>
        Effect.gen(function*() {
          yield* pause(world, faults?.slow ?? 0)
          if (journal.isGone) return yield* journal.farewell
          const sent = journal.beginAcknowledging(deliveriesIn(updates))
          yield* pause(world, faults?.slow ?? 0)
          if (journal.lag > 0) world.meet("an acknowledgement while a group is written")
          if (epoch !== database.epoch) world.meet("an acknowledgement that is fenced")
          yield* database.acknowledge(
            epoch,
            // the process may end right behind the commit
            () => {
              for (const update of all) world.store(teller, update)
            },
            sent.all,
            sent.unsure
          )
        })
    }
  })

/** How results are read in a simulation: every way there is, interrupted anywhere. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { SessionId, TurnRef } from "../../../src/model/ids.js"
import type { TaskResolution, TurnTaskUpdate } from "../../../src/model/TaskResolution.js"
import { CancellationController } from "../../../src/services/TurnCancellation.js"
import { closeSession } from "./actions.js"
import type { CallRecord } from "./history.js"
import { tick } from "./plan.js"
import { type Actor, noting, step, type World } from "./World.js"

/** A moment of idleness: now and then some virtual time, mostly a few steps. */
export const pause = (world: World): Effect.Effect<void> =>
  Effect.suspend(() =>
    world.random.chance(0.4) ? Effect.sleep(tick * (1 + world.random.int(3))) : step(world.random.int(8))
  )

/** What a failed consumer fails with. */
class Refused {
  readonly _tag = "Refused"
}

const note = (
  world: World,
  actor: Actor,
  turn: TurnRef,
  update: TurnTaskUpdate,
  isDirect: boolean
): void => {
  const { sessionId, turnId } = turn
  if (update._tag === "Detached") {
    world.detached.push({ ...world.moment(), taskId: update.snapshot.id, sessionId, turnId })
    world.say(actor.name, () => `was told that ${update.snapshot.id} is detached`)
  } else {
    const { resolution } = update
    const batch = world.nextBatch()
    world.deliver({ to: "Turn", reader: actor.name, sessionId, turnId, resolution, isDirect, batch })
  }
}

const isTurnDue = (world: World, { sessionId, turnId }: TurnRef) => (): boolean => {
  const turn = world.subject.engine.state.table.sessions.get(sessionId)?.turns.get(turnId)
  return turn === undefined || !turn.updates.isEmpty || turn.active === 0
}

const checkDrained = (world: World, actor: Actor, { sessionId, turnId }: TurnRef): void => {
  // a tool leaves out what waits for it: see observedWaits
  if (actor.inTask !== undefined) return
  // not the tasks of a closed session whose id is used again
  for (const { snapshot } of world.subject.engine.state.table.sessions.get(sessionId)?.turns.get(turnId)?.tasks ?? []) {
    if (snapshot.kind === "Foreground" && snapshot.status !== "Suspended") {
      world.violate(5, `waitForTurn gave None while ${snapshot.id} is ${snapshot.status} in the foreground of the turn`)
    }
  }
}

const waitDirectly = (world: World, actor: Actor, turn: TurnRef): Effect.Effect<Option.Option<TurnTaskUpdate>> =>
  world.call(actor, "waitForTurn", turn, () =>
    // the note is made in the step that takes: nothing can come between
    noting(world.manager.waitForTurn(turn), (update) => {
      if (Option.isSome(update)) note(world, actor, turn, update.value, true)
      else checkDrained(world, actor, turn)
    }), isTurnDue(world, turn))

/** Gives the turn up at some moment; `None` may then mean that it was cancelled. */
const waitCancellably = (world: World, actor: Actor, turn: TurnRef): Effect.Effect<Option.Option<TurnTaskUpdate>> =>
  Effect.gen(function*() {
    const controller = yield* CancellationController.make
    const cancellation = yield* controller.checkpoint
    yield* Effect.fork(Effect.zipRight(pause(world), controller.interrupt))
    return yield* world.call(
      actor,
      "waitForTurn",
      turn,
      () =>
        noting(world.manager.waitForTurn(turn, { cancellation }), (update) => {
          if (Option.isSome(update)) note(world, actor, turn, update.value, true)
        }),
      isTurnDue(world, turn)
    )
  })

/** Waits for a time only, which is often over as an update comes; undefined if it is. */
const waitInTime = (
  world: World,
  actor: Actor,
  turn: TurnRef
): Effect.Effect<Option.Option<TurnTaskUpdate> | undefined> =>
  Effect.orElseSucceed(
    world.call(
      actor,
      "waitForTurn",
      turn,
      (record) => {
        record.isLimited = true
        return noting(world.manager.waitForTurn(turn, { timeout: tick * world.random.int(4) }), (update) => {
          if (Option.isSome(update)) note(world, actor, turn, update.value, true)
          else checkDrained(world, actor, turn)
        })
      },
      isTurnDue(world, turn)
    ),
    () => undefined
  )

/** Uses what it was given: at once or slowly, and now and then without success, or while its session is closed. */
export const use = <A>(
  world: World,
  record: CallRecord,
  sessionId: SessionId,
  success: () => A
): Effect.Effect<A, Refused> =>
  Effect.suspend(() => {
    const { plan, random } = world
    record.handed = world.moment()
    const closing = plan.features.closings && random.chance(0.15)
      ? Effect.fork(closeSession(world, { name: record.actor, inTask: record.inTask }, sessionId))
      : Effect.void
    const used = random.chance(0.6) ? Effect.zipRight(closing, pause(world)) : Effect.void
    const refused = random.chance(0.25)
    // the last step is bare: whoever has noted it has taken it
    return Effect.flatMap(used, () => refused ? Effect.fail(new Refused()) : Effect.sync(success))
  })

/** `None` if the use failed. */
export const isRefused = <A>(effect: Effect.Effect<A, Refused>): Effect.Effect<Option.Option<A>> =>
  Effect.catchAll(Effect.asSome(effect), () => Effect.succeedNone)

const consumeTurn = (
  world: World,
  actor: Actor,
  turn: TurnRef
): Effect.Effect<Option.Option<Option.Option<TurnTaskUpdate>>> =>
  isRefused(world.call(actor, "consumeTurnUpdate", turn, (record) =>
    world.manager.consumeTurnUpdate(turn, (update) => {
      if (update._tag === "Resolution") record.inHand.push(update.resolution)
      return use(world, record, turn.sessionId, () => {
        note(world, actor, turn, update, false)
        return update
      })
    }), isTurnDue(world, turn)))

/** Reads the first update of the turn's stream. What was read counts once the stream ends well, in the step in which it does. */
const streamTurn = (
  world: World,
  actor: Actor,
  turn: TurnRef
): Effect.Effect<Option.Option<Option.Option<TurnTaskUpdate>>> =>
  isRefused(world.call(actor, "consumeTurnUpdate", turn, (record) =>
    Effect.suspend(() => {
      let used: TurnTaskUpdate | undefined = undefined
      const noted = Stream.unwrapScoped(Effect.as(
        Effect.addFinalizer((exit) =>
          Effect.sync(() => {
            if (exit._tag === "Success" && used !== undefined) note(world, actor, turn, used, false)
          })
        ),
        world.manager.handle.turnUpdates(turn)
      ))
      return Stream.runHead(Stream.mapEffect(noted, (update) => {
        if (update._tag === "Resolution") record.inHand.push(update.resolution)
        return use(world, record, turn.sessionId, () => {
          used = update
          return update
        })
      }))
    }), isTurnDue(world, turn)))

/** Interrupts a reader at a random moment, once or twice, and then lets it read. */
export const unsettled = <A>(world: World, read: Effect.Effect<A>): Effect.Effect<A> =>
  Effect.suspend(() => {
    if (!world.plan.features.interruptedReaders || world.random.chance(0.5)) return read
    return Effect.gen(function*() {
      const fiber = yield* Effect.fork(read)
      yield* pause(world)
      const exit = yield* Fiber.interrupt(fiber)
      return exit._tag === "Success" ? exit.value : yield* unsettled(world, read)
    })
  })

/** The next update of a turn, in one of the ways to get it; undefined for a wait that was given up. */
export const readTurn = (
  world: World,
  actor: Actor,
  turn: TurnRef
): Effect.Effect<Option.Option<TurnTaskUpdate> | undefined> =>
  Effect.suspend(() => {
    world.touch(turn)
    const dice = world.random.next()
    if (dice < 0.45) return unsettled(world, waitDirectly(world, actor, turn))
    if (dice < 0.6) return unsettled(world, waitInTime(world, actor, turn))
    if (dice < 0.75) {
      return Effect.map(
        unsettled(world, waitCancellably(world, actor, turn)),
        (update) => Option.isNone(update) ? undefined : update
      )
    }
    const consume = dice < 0.9 ? consumeTurn : streamTurn
    return Effect.map(unsettled(world, consume(world, actor, turn)), Option.getOrUndefined)
  })

/** Reads a turn to its end without any tricks. */
export const drainTurn = (world: World, actor: Actor, turn: TurnRef): Effect.Effect<void> =>
  Effect.flatMap(
    waitDirectly(world, actor, turn),
    (update) => Option.isNone(update) ? Effect.void : drainTurn(world, actor, turn)
  )

/** Takes what waits for the loop of a session. */
export const takeLoop = (
  world: World,
  actor: Actor,
  sessionId: SessionId
): Effect.Effect<ReadonlyArray<TaskResolution>> =>
  Effect.map(
    world.call(actor, "takePendingLoopUpdates", { sessionId }, () =>
      noting(world.manager.takePendingLoopUpdates(sessionId), ({ resolutions }) =>
        world.deliverAll(resolutions, {
          to: "Loop",
          reader: actor.name,
          sessionId,
          turnId: undefined,
          isDirect: true
        }))),
    ({ resolutions }) =>
      resolutions
  )

const consumeLoop = (
  world: World,
  actor: Actor,
  sessionId: SessionId
): Effect.Effect<ReadonlyArray<TaskResolution>> =>
  Effect.map(
    isRefused(world.call(actor, "consumePendingLoopUpdates", { sessionId }, (record) =>
      world.manager.consumePendingLoopUpdates(sessionId, ({ resolutions }) => {
        record.inHand.push(...resolutions)
        return use(world, record, sessionId, () => {
          world.deliverAll(resolutions, {
            to: "Loop",
            reader: actor.name,
            sessionId,
            turnId: undefined,
            isDirect: false
          })
          return resolutions
        })
      }))),
    Option.getOrElse(() => [])
  )

/** Waits and then reads, and is interrupted at about the time when results come. */
const waitAndRead = (
  world: World,
  actor: Actor,
  sessionId: SessionId,
  read: Effect.Effect<ReadonlyArray<TaskResolution>>
): Effect.Effect<ReadonlyArray<TaskResolution>> =>
  Effect.gen(function*() {
    const wait = world.call(actor, "waitForLoopUpdate", { sessionId }, () =>
      world.manager.waitForLoopUpdate(sessionId), () => {
      const { table } = world.subject.engine.state
      return table.closed || table.sessions.get(sessionId)?.updates.isEmpty === false
    })
    // not with a timeout: that races two fibers, and a race that is interrupted as it begins never ends
    const reading = yield* Effect.fork(Effect.zipRight(wait, read))
    // somebody else who waits for the same strikes when the reader is about to take
    const striking = world.random.chance(0.7)
      ? yield* Effect.fork(
        world.manager.waitForLoopUpdate(sessionId).pipe(
          Effect.zipRight(Effect.suspend(() =>
            step(world.random.int(8))
          )),
          Effect.zipRight(Fiber.interruptFork(reading))
        )
      )
      : undefined
    while (reading.unsafePoll() === null && world.random.chance(0.7)) {
      yield* Effect.sleep(tick)
    }
    const exit = yield* Fiber.interrupt(reading)
    if (striking !== undefined) {
      yield* Fiber.interrupt(striking)
    }
    return exit._tag === "Success" ? exit.value : []
  })

/** What waits for the loop of a session, in one of the ways to get it. */
export const readLoop = (
  world: World,
  actor: Actor,
  sessionId: SessionId
): Effect.Effect<ReadonlyArray<TaskResolution>> =>
  Effect.suspend(() => {
    const read = world.random.chance(0.6) ? takeLoop(world, actor, sessionId) : consumeLoop(world, actor, sessionId)
    return world.random.chance(0.8) ? waitAndRead(world, actor, sessionId, read) : unsettled(world, read)
  })

/** Takes the manual queue, of one session or of all. */
export const drainManual = (
  world: World,
  actor: Actor,
  sessionId?: SessionId
): Effect.Effect<void> => {
  const { handle } = world.manager
  const operation = sessionId === undefined ? "drainReadyItems" : "drainReadyItemsOf"
  return Effect.asVoid(
    world.call(actor, operation, { sessionId }, () =>
      noting<ReadonlyArray<TaskResolution.Item>, never, never>(
        sessionId === undefined ? handle.drainReadyItems : handle.drainReadyItemsOf(sessionId),
        (items) => {
          const batch = world.nextBatch()
          for (const item of items) {
            const planned = sessionId ?? sessionOf(world, item)
            if (planned === undefined) {
              world.violate(2, `${item.taskId} was in the manual queue and is not known`)
              continue
            }
            world.deliver({
              to: "Manual",
              reader: actor.name,
              sessionId: planned,
              turnId: undefined,
              resolution: item,
              isDirect: true,
              batch
            })
          }
        }
      ))
  )
}

/** The made-up call that an item answers, by the key in its metadata. */
export const keyOf = (item: TaskResolution.Item): string | undefined => {
  for (const part of item.item.parts) {
    if (part._tag === "ToolResult" && typeof part.metadata["key"] === "string") return part.metadata["key"]
  }
  return undefined
}

const sessionOf = (world: World, item: TaskResolution.Item): SessionId | undefined =>
  world.planned.get(keyOf(item) ?? "")?.request.sessionId

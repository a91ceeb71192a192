/** Who takes part: the users that talk to the sessions, and the hosts that interrupt, answer and close. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { AgentSession } from "../../../src/ai/loop/AgentSession.js"
import { renderPrompt } from "../../../src/ai/transcript/renderPrompt.js"
import type { UserPart } from "../../../src/ai/transcript/TranscriptEntry.js"
import { validatePrompt } from "../../../src/ai/transcript/validatePrompt.js"
import { type AgentWorld, type Opening, type SessionLog, steps } from "./AgentWorld.js"
import { changeOf } from "./changing.js"
import { longestText, providers, tick } from "./plan.js"

const pause = (world: AgentWorld): Effect.Effect<void> =>
  Effect.suspend(() => Effect.zipRight(Effect.sleep(tick * world.random.int(6)), steps(world.random.int(3))))

const accepted = (world: AgentWorld, session: SessionLog, opening: Opening, mark: string): void => {
  world.say(session.sessionId, () => `submits ${mark}`)
  session.submitted.push({ mark, opening })
}

/** What a user says; some of it a provider does not take. */
const wordsOf = (world: AgentWorld, mark: string): string | ReadonlyArray<UserPart> => {
  const { plan, random } = world
  const text = `Please ${mark}.`
  if (!plan.features.refusing || !random.chance(0.4)) return text
  if (random.chance(0.3)) return `${text} ${"x".repeat(longestText(plan) + 100)}`
  // who refuses it is in its address
  const refuser = random.pick(plan.features.switching ? ["all", "openai", "anthropic", "none"] : ["all", "none"])
  const data = `https://files.test/${refuser}/${random.int(1_000_000)}.png`
  return [{ _tag: "Text", text }, { _tag: "File", mediaType: "image/png", data }]
}

const takeBack = (world: AgentWorld, session: SessionLog, { session: of }: Opening, mark: string, messageId: string) =>
  // its store drops what it is told to
  Effect.map(Effect.orDie(of.withdraw(messageId)), (isBack) => {
    world.say(session.sessionId, () => `takes back ${mark}: ${isBack}`)
    world.meet(isBack ? "a message that is taken back" : "a message that is taken back too late")
    if (!isBack) return
    session.withdrawn.add(messageId)
    const at = session.submitted.findIndex((one) => one.mark === mark)
    if (at !== -1) session.submitted.splice(at, 1)
  })

/** Hands in a message, and waits for the end of its turn or not. */
const speak = (world: AgentWorld, session: SessionLog, opening: Opening): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { random } = world
    const mark = world.mark("message")
    const dice = random.next()
    if (dice < 0.5) {
      const messageId = yield* opening.session.submit(wordsOf(world, mark)).pipe(
        Effect.tap(() => accepted(world, session, opening, mark)),
        Effect.uninterruptible,
        Effect.option
      )
      if (Option.isSome(messageId) && world.plan.features.withdrawing && random.chance(0.7)) {
        if (random.chance(0.5)) yield* pause(world)
        yield* takeBack(world, session, opening, mark, messageId.value)
      }
      return
    }
    // what is interrupted before it has handed in its message has handed in none: the transcript shows it
    let isTaken = false
    const reading = Stream.runForEach(
      opening.session.run(wordsOf(world, mark)),
      (event) =>
        Effect.sync(() => {
          if (isTaken || event._tag !== "MessageTaken") return
          isTaken = true
        })
    ).pipe(Effect.ignore)
    if (dice < 0.85) {
      accepted(world, session, opening, mark)
      return yield* reading
    }
    const fiber = yield* Effect.fork(reading)
    yield* pause(world)
    yield* Fiber.interrupt(fiber)
  })

/** A user who says some things, at any time. */
export const user = (world: AgentWorld, session: SessionLog, opening: Opening): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (let message = 0; message < world.plan.messages; message++) {
      yield* pause(world)
      yield* speak(world, session, opening)
    }
  })

const answer = (world: AgentWorld, session: AgentSession, chance: number): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { random } = world
    const asked = [...yield* session.approvals]
    if (asked.length > 1) world.meet("several approvals at once")
    // in any order, and not always all of them
    while (asked.length > 0) {
      const [one] = asked.splice(random.int(asked.length), 1)
      if (one === undefined || !random.chance(chance)) continue
      const { taskId } = one
      // the whole approval, or what names it
      const answered = random.chance(0.7) ? one : { taskId, asking: one.approval.asking ?? "" }
      world.say(session.sessionId, () => `answers ${taskId}`)
      if (random.chance(0.6)) {
        yield* session.approve(answered).pipe(
          Effect.map(() => world.meet("an approval that is given")),
          Effect.ignore
        )
      } else {
        yield* session.reject(answered, random.chance(0.8) ? `No ${world.mark("denial")}` : undefined).pipe(
          Effect.map(() => world.meet("an approval that is denied")),
          Effect.ignore
        )
      }
    }
  })

/** The transcript can be shown to a model at any moment, whatever is open in it. */
const look = (world: AgentWorld, { session }: Opening): Effect.Effect<void> =>
  Effect.map(session.transcript, (transcript) => {
    const problems = validatePrompt(renderPrompt(transcript, { system: session.sessionId }))
      .filter((problem) => !problem.startsWith("the last message"))
    for (const problem of problems) world.violate("valid", `${session.sessionId}, between requests: ${problem}`)
  })

/** Closes a session; the receipt names all that this has cancelled. */
export const close = (world: AgentWorld, session: SessionLog, opening: Opening): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { generation } = opening
    world.say(session.sessionId, () => "closes")
    const live = [...world.tasks.values()].filter((task) =>
      task.sessionId === session.sessionId && task.generation === generation && task.terminal === undefined
    )
    const { cancelled } = yield* opening.session.close
    // the events end with the session
    yield* Fiber.await(opening.reader)
    opening.isClosed = true
    const named = new Set(cancelled.map(({ id }) => id))
    for (const { taskId, terminal } of live) {
      if (terminal?._tag !== "Cancelled" || world.interruptedThemselves.has(`${generation} ${taskId}`)) continue
      if (!named.has(taskId)) world.violate("receipt", `${taskId} was cancelled by a close that does not name it`)
    }
    if (named.size > 1) world.meet("a close that cancels several tasks")
  })

/** Says something to the tools of all that runs, whether they listen or not; a few times, so that some of it has to wait. */
const steer = (world: AgentWorld, { sessionId }: SessionLog, { generation, session }: Opening): Effect.Effect<void> =>
  Effect.gen(function*() {
    if (world.manager === undefined) return
    for (const { id } of yield* world.manager.handle.list({ status: ["Queued", "Running", "Suspended"] })) {
      const message = world.mark("word")
      world.said.add(`${generation} ${id} ${message}`)
      const steered = yield* Effect.exit(session.steer(id, message))
      const task = world.tasks.get(`${generation} ${id}`)
      if (Exit.isSuccess(steered) && task !== undefined && task.sessionId !== sessionId) {
        world.violate("steer", `${sessionId} could say something to ${id} of ${task.sessionId}`)
      }
    }
  })

/** Changes the conversation, which is taken between turns. */
const rewrite = (world: AgentWorld, session: SessionLog, opening: Opening): Effect.Effect<void> =>
  Effect.exit(opening.session.rewrite(changeOf(world, session))).pipe(
    Effect.map((changed) => {
      const error = Exit.isFailure(changed) ? Option.getOrUndefined(Cause.failureOption(changed.cause)) : undefined
      if (error?._tag !== "RewriteRefused") return
      world.meet(
        error.reason === "TurnRunning" ? "a change that is refused in a turn" : "a change that cannot be taken"
      )
    })
  )

/** Asks another provider from now on. */
const switchProvider = (world: AgentWorld, session: SessionLog, opening: Opening): Effect.Effect<void> =>
  Effect.suspend(() => {
    const provider = world.random.pickFrom(providers)
    const model = world.models.get(provider)
    if (model === undefined || opening.generation !== world.generation) return Effect.void
    world.meet("a session that asks another provider")
    return opening.session.setModel(model, { provider }).pipe(
      Effect.map(() => {
        session.provider = provider
        // another account of the same provider
        if (world.plan.features.refusing) { for (const item of session.items) session.forgotten.add(item) }
        world.say(session.sessionId, () => `asks ${provider} from now on`)
      }),
      Effect.uninterruptible,
      Effect.ignore
    )
  })

/** A host that does things to a session, at any time. */
export const host = (world: AgentWorld, session: SessionLog, opening: Opening): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { plan: { features, hostActions }, random } = world
    for (let action = 0; action < hostActions; action++) {
      yield* pause(world)
      if (features.switching && random.chance(0.5)) yield* switchProvider(world, session, opening)
      if (features.rewriting && random.chance(0.5)) yield* rewrite(world, session, opening)
      const dice = random.next()
      world.say(session.sessionId, () => `host action ${action} ${dice}`)
      if (dice < 0.3 && features.interrupts) {
        world.say(session.sessionId, () => "interrupts")
        session.interrupts++
        const one = yield* Effect.fork(opening.session.interrupt)
        if (random.chance(0.2)) {
          world.meet("an interrupt while one is under way")
          yield* opening.session.interrupt
        }
        const receipt = yield* Fiber.join(one)
        world.say(
          session.sessionId,
          () => `has interrupted: ${receipt.cancelled.length} cancelled, ${receipt.kept.length} kept`
        )
        if (receipt.kept.length > 0) world.meet("a turn that is interrupted with tasks kept")
        for (const { id, status } of receipt.kept) {
          if (status === "Completed" || status === "Failed" || status === "Cancelled") {
            world.violate("receipt", `${id} is kept and has ended`)
          }
        }
      } else if (dice < 0.6) {
        yield* answer(world, opening.session, 0.6)
      } else if (dice < 0.7) {
        yield* Effect.ignore(opening.session.resume)
      } else if (dice < 0.8 && features.cancels && world.manager !== undefined) {
        const { handle } = world.manager
        const running = yield* handle.list({ sessionId: session.sessionId, status: ["Queued", "Running", "Suspended"] })
        const one = random.pickFrom(running)
        if (one !== undefined) yield* Effect.ignore(random.chance(0.5) ? handle.cancel(one.id) : handle.detach(one.id))
      } else if (dice < 0.85 && features.closing) {
        return yield* close(world, session, opening)
      } else if (dice < 0.97 && features.steering) {
        yield* steer(world, session, opening)
      } else {
        yield* look(world, opening)
      }
    }
  })

/** Answers what is asked until nothing of the session runs or waits, and the fiber has ended. */
export const settle = (
  world: AgentWorld,
  session: SessionLog,
  fiber: Fiber.Fiber<unknown, unknown>
): Effect.Effect<void> =>
  Effect.gen(function*() {
    let quiet = 0
    for (let round = 0; round < 500; round++) {
      const opening = session.current
      const { manager } = world
      if (opening === undefined || manager === undefined) return
      yield* answer(world, opening.session, 1)
      const isIdle = yield* Effect.timeoutTo(opening.session.waitForIdle, {
        duration: 3 * tick,
        onSuccess: () => true,
        onTimeout: () => false
      })
      const live = yield* manager.handle.list({
        sessionId: session.sessionId,
        status: ["Queued", "Running", "Suspended", "Cancelling"]
      })
      const isQuiet = isIdle && live.length === 0 && Option.isSome(yield* Fiber.poll(fiber))
      quiet = isQuiet ? quiet + 1 : 0
      // what has just ended may not have been heard of
      if (quiet > 1) return
      if (isIdle) yield* Effect.sleep(tick)
    }
    world.violate("hang", `${session.sessionId} does not come to rest`)
  })

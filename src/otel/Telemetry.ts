/**
 * Traces, metrics and annotated logs of managers and agent loops, for any tracer and any exporter of Effect's.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import * as Schedule from "effect/Schedule"
import type * as Tracer from "effect/Tracer"
import type { TurnRef } from "../model/ids.js"
import { CurrentObserver, type ObservedEnd, type Observer } from "../services/internal/observer.js"
import { millisOf } from "../shared/durations.js"
import { withCause } from "../shared/logging.js"
import { refuseUnless, refuseUnlessObject } from "../shared/refusals.js"
import { shown } from "../shared/text.js"
import { withParent } from "../shared/withParent.js"
import { chatTracer } from "./internal/chat.js"
import { Launches } from "./internal/Launches.js"
import { errorTypeOf, type Guard } from "./internal/making.js"
import { Measures } from "./internal/Measures.js"
import { Turns } from "./internal/Turns.js"

/**
 * What is told, and how often is counted.
 *
 * @since 0.1.0
 * @category models
 */
export interface TelemetryOptions {
  /** The name of the agent: `gen_ai.agent.name`. Default: none. */
  readonly agentName?: string | undefined
  /**
   * Whether spans show what goes into tools and comes out of them (`gen_ai.tool.call.arguments`, `gen_ai.tool.call.result`), the
   * messages of failures, and what tools say of their progress, up to 32 KiB each. All of that may hold what users said, and secrets.
   * Default `false`.
   */
  readonly content?: boolean | undefined
  /**
   * How often the live tasks and the undelivered results are counted: a duration above 0, of which a number is milliseconds. Default 5 s.
   */
  readonly sampleEvery?: Duration.DurationInput | undefined
}

const fields = ["agentName", "content", "sampleEvery"]

const check = (options: TelemetryOptions): void => {
  refuseUnlessObject("TelemetryOptions", "an object", options)
  for (const field of Object.keys(options)) {
    if (!fields.includes(field)) {
      throw new TypeError(`TelemetryOptions has no field ${shown(field)}, only ${fields.join(", ")}`)
    }
  }
  const { agentName, content } = options
  refuseUnless(
    agentName === undefined || typeof agentName === "string" && agentName !== "",
    "TelemetryOptions.agentName",
    "a non-empty string",
    agentName
  )
  refuseUnless(content === undefined || typeof content === "boolean", "TelemetryOptions.content", "a boolean", content)
}

const sampleMillis = ({ sampleEvery = "5 seconds" }: TelemetryOptions): number => {
  const millis = millisOf("TelemetryOptions.sampleEvery", sampleEvery)
  if (millis > 0) return millis
  throw new RangeError(`TelemetryOptions.sampleEvery takes a duration above 0, not ${shown(sampleEvery)}`)
}

/** A tracer is somebody else's code, and what it throws must not reach the step of a manager. */
const guardWith = (warn: (error: unknown) => void): Guard => (observe, otherwise) => {
  try {
    return observe()
  } catch (error) {
    warn(error)
    return otherwise
  }
}

const makeObserver = (options: TelemetryOptions) =>
  Effect.gen(function*() {
    check(options)
    const every = sampleMillis(options)
    const { agentName, content = false } = options
    const runtime = yield* Effect.runtime<never>()
    const measures = new Measures()
    let isWarned = false
    const guard = guardWith((error) => {
      if (isWarned) return
      isWarned = true
      Runtime.runFork(runtime)(
        Effect.logWarning("A tracer has failed, and spans are missing").pipe(
          Effect.annotateLogs("package", "effect-task-manager"),
          withCause(Cause.die(error))
        )
      )
    })
    const common = { agentName, content, clock: yield* Effect.clock, measures, guard }
    const turns = new Turns(common)
    const observer: Observer = {
      observe: (manager) => {
        const launches = new Launches(common, turns)
        measures.add(manager)
        return {
          launchBegins: (caller, snapshot, request) =>
            guard(() => launches.begin(caller, snapshot, request), {
              span: undefined,
              logAnnotations: FiberRefs.getOrDefault(caller.fiberRefs, FiberRef.currentLogAnnotations)
            }),
          heard: (event) => guard(() => launches.hear(event), undefined),
          end: () => {
            measures.remove(manager)
            guard(() => launches.endAll(), undefined)
          }
        }
      },
      turnBegins: (caller, turn, cause) => {
        if (cause?._tag === "Wake") measures.wokeUp()
        return guard(() => turns.begin(caller, turn, cause), undefined)
      },
      modelRetries: (turn, errorType) => guard(() => turns.modelRetries(turn, errorType), undefined),
      turnEnds: (turn, end) => guard(() => turns.end(turn, end), undefined),
      asking: (ref, ask) => {
        const turn = turns.get(ref)
        return turn === undefined ? ask : Effect.flatMap(Effect.tracer, (tracer) =>
          Effect.withTracer(
            ask,
            chatTracer(tracer, {
              attributes: { "gen_ai.conversation.id": ref.sessionId },
              content,
              onRequest: () => turn.requests++,
              onProvider: (provider) => guard(() => turn.span?.attribute("gen_ai.provider.name", provider), undefined)
            })
          ))
      }
    }
    yield* Effect.addFinalizer(() => Effect.sync(() => guard(() => turns.endAll(), undefined)))
    yield* Effect.sync(() => measures.sample()).pipe(Effect.repeat(Schedule.spaced(every)), Effect.forkScoped)
    return observer
  })

/**
 * Makes spans, metrics and annotated logs of every manager and every agent loop that it is provided to. It needs no exporter of its own:
 * spans go to the tracer of whoever starts a call, metrics into Effect's registry. Kills the construction of the layer with a
 * defect that names the field for a wrong option.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { TaskManagerLive } from "effect-task-manager"
 * import { Telemetry } from "effect-task-manager/otel"
 *
 * const Manager = TaskManagerLive.pipe(Layer.provide(Telemetry.layer({ agentName: "reviewer" })))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: TelemetryOptions = {}): Layer.Layer<never> =>
  Layer.scoped(CurrentObserver, makeObserver(options))

const endOf = (exit: Exit.Exit<unknown, unknown>): ObservedEnd =>
  Exit.isSuccess(exit)
    ? { _tag: "Completed" }
    : Cause.isInterruptedOnly(exit.cause)
    ? { _tag: "Interrupted" }
    : { _tag: "Failed", errorType: errorTypeOf(exit.cause), message: Cause.pretty(exit.cause) }

const inTurn = <A, E, R>(
  observer: Observer,
  turn: TurnRef,
  work: Effect.Effect<A, E, R>,
  span: Tracer.AnySpan | undefined
): Effect.Effect<A, E, R> =>
  observer.asking(
    turn,
    span === undefined ? work : withParent(work, span)
  )

/**
 * Runs a turn of a loop of your own in a span `invoke_agent`, as `AgentLoop` does by itself: what starts in it belongs to its trace, also
 * an approval that is given elsewhere. Without `layer` it does nothing.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { SessionId, TurnId } from "effect-task-manager"
 * import { Telemetry } from "effect-task-manager/otel"
 *
 * const turn = { sessionId: SessionId.make("session-1"), turnId: TurnId.make("turn-1") }
 * const traced = Telemetry.turn(Effect.log("asks the model, runs its calls"), turn)
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const turn = <A, E, R>(work: Effect.Effect<A, E, R>, turn: TurnRef): Effect.Effect<A, E, R> =>
  Effect.flatMap(CurrentObserver, (observer) =>
    observer === undefined ? work : Effect.acquireUseRelease(
      Effect.withFiberRuntime<Tracer.AnySpan | undefined>((fiber) =>
        Effect.succeed(
          observer.turnBegins(
            { context: fiber.currentContext, fiberRefs: fiber.getFiberRefs() },
            { sessionId: turn.sessionId, turnId: turn.turnId }
          )
        )
      ),
      (span) => inTurn(observer, turn, work, span),
      (_, exit) => Effect.sync(() => observer.turnEnds(turn, endOf(exit)))
    ))

/** Loops of one's own, tracers that fail, and random programs. */
import { assert, describe, it } from "@effect/vitest"
import { SpanStatusCode } from "@opentelemetry/api"
import {
  Data,
  Deferred,
  Effect,
  Fiber,
  Layer,
  Logger,
  LogLevel,
  Metric,
  MetricState,
  Option,
  TestClock,
  Tracer
} from "effect"
import {
  ApprovalId,
  ApprovalRequired,
  CurrentTask,
  RoutingDecision,
  RoutingPolicy,
  SessionId,
  TaskManager,
  TaskManagerConfig,
  TaskManagerLive,
  ToolError,
  ToolExecutor,
  TurnId
} from "effect-task-manager"
import { Telemetry } from "effect-task-manager/otel"
import { runSimulated, type SimRandom } from "effect-task-manager/testing"
import { isFull } from "../support/fullMode.js"
import { callOf, next, start } from "../support/toolkit.js"
import {
  call,
  checkNesting,
  idOf,
  linksOf,
  parentOf,
  say,
  sdk,
  secret,
  settle,
  Text,
  traceOf,
  withAgent
} from "./support.js"

const turnRef = (turn = "t", session = "s") => ({ sessionId: SessionId.make(session), turnId: TurnId.make(turn) })

const approval = { id: ApprovalId.make("a"), requestKind: "k", reason: "r", summary: "s", metadata: {} }

const Tools = ToolExecutor.fromHandlers({
  instant: () => Effect.log("from the tool"),
  slow: () => Effect.sleep("1 minute"),
  never: () => Effect.never,
  ask: () =>
    Effect.flatMap(
      CurrentTask,
      (task) => Option.isSome(task.approval) ? Effect.void : new ApprovalRequired({ approval })
    ),
  fails: () => new ToolError({ reason: "Unavailable", toolName: "fails", message: "no" }),
  /** Starts a call of its turn, and ends before it. */
  nests: ({ callId, sessionId: session, turnId: turn }) =>
    // a tool runs in the context of the caller, which has what this needs
    Effect.zipRight(
      start(callOf("slow", {}, { session, turn, callId: `${callId}-nested` })),
      Effect.sleep("1 second")
    ) as unknown as Effect.Effect<void>,
  /** Runs a turn of another session. */
  agent: () => Telemetry.turn(Effect.withSpan(Effect.void, "thinks"), turnRef("inner", "other"))
})

const managerWith = (config: Parameters<typeof TaskManagerConfig.layer>[0] = {}) =>
  Layer.provideMerge(Tools, TaskManagerLive).pipe(
    Layer.provide(TaskManagerConfig.layer(config)),
    Layer.provide(
      RoutingPolicy.layer(({ metadata, toolName }) =>
        metadata["background"] === true
          ? RoutingDecision.Background({ continuePolicy: "RequestContinue" })
          : toolName === "slow"
          ? RoutingDecision.ForegroundThenDetachAfter({ duration: "10 seconds" })
          : RoutingDecision.Foreground()
      )
    ),
    Layer.provideMerge(Telemetry.layer())
  )

const withSdk = <A, E>(program: Effect.Effect<A, E, TaskManager | ToolExecutor>) =>
  Effect.gen(function*() {
    const { exported, layer } = sdk()
    yield* Effect.provide(program, Layer.provideMerge(managerWith(), layer))
    return exported
  })

class Broken extends Data.TaggedError("Broken")<{ readonly message: string }> {}

describe("a turn of a loop of one's own", () => {
  it.effect("has what is started in it in its trace, and what is answered elsewhere", () =>
    Effect.gen(function*() {
      const exported = yield* withSdk(Effect.gen(function*() {
        const manager = yield* TaskManager
        const isAnswered = yield* Deferred.make<void>()
        const running = yield* Effect.fork(
          Telemetry.turn(
            Effect.zipRight(start(callOf("ask", {})), Deferred.await(isAnswered)),
            turnRef()
          )
        )
        yield* settle
        const [asked] = yield* manager.handle.listSuspended
        if (asked === undefined) return assert.fail("nothing is asked")
        yield* Effect.withSpan(manager.answerApproval(asked, "approve"), "elsewhere")
        yield* Deferred.succeed(isAnswered, undefined)
        yield* Fiber.join(running)
      }))
      const turn = exported.one("invoke_agent")
      assert.isUndefined(parentOf(turn))
      assert.deepStrictEqual(exported.named("execute_tool ask").map(parentOf), [idOf(turn), idOf(turn)])
    }))

  it.effect("that fails says how, and not what", () =>
    Effect.gen(function*() {
      const exported = yield* withSdk(
        Effect.exit(Telemetry.turn(Effect.fail(new Broken({ message: secret })), turnRef()))
      )
      const turn = exported.one("invoke_agent")
      assert.strictEqual(turn.attributes["error.type"], "Broken")
      assert.deepInclude(turn.status, { code: SpanStatusCode.ERROR, message: "Broken" })
      assert.notInclude(exported.text, secret)
    }))

  it.effect("is the part of a call, where a tool runs it, and of nothing else", () =>
    Effect.gen(function*() {
      const exported = yield* withSdk(
        Effect.withSpan(
          Telemetry.turn(Effect.zipRight(start(callOf("agent", {})), next(callOf("agent", {}))), turnRef()),
          "host"
        )
      )
      const [inner, outer] = exported.named("invoke_agent")
      if (inner === undefined || outer === undefined) return assert.fail()
      const agent = exported.one("execute_tool agent")
      assert.deepStrictEqual([parentOf(inner), parentOf(agent), parentOf(outer)], [idOf(agent), idOf(outer), undefined])
      assert.deepStrictEqual(linksOf(outer), [idOf(exported.one("host"))])
      assert.strictEqual(parentOf(exported.one("thinks")), idOf(inner))
    }))

  it.effect("that is run twice at a time is one span", () =>
    Effect.gen(function*() {
      const exported = yield* withSdk(
        Effect.all([Telemetry.turn(Effect.sleep("1 second"), turnRef()), Telemetry.turn(Effect.void, turnRef())], {
          concurrency: 2
        }).pipe(Effect.fork, Effect.tap(TestClock.adjust("1 second")), Effect.flatMap(Fiber.join))
      )
      assert.strictEqual(exported.one("invoke_agent").duration[0], 1)
    }))

  it.effect("is just run without the layer", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Telemetry.turn(Effect.succeed(1), turnRef()), 1)
    }))
})

describe("a call that a tool starts", () => {
  it.effect("is in the span of that tool, and goes on in its own where it outlives it", () =>
    Effect.gen(function*() {
      const exported = yield* withSdk(
        Effect.gen(function*() {
          const turn = Effect.zipRight(start(callOf("nests", {})), Effect.sleep("2 seconds"))
          const running = yield* Effect.fork(Telemetry.turn(turn, turnRef()))
          yield* TestClock.adjust("1 second")
          yield* TestClock.adjust("1 second")
          yield* Fiber.join(running)
          yield* TestClock.adjust("1 minute")
        })
      )
      const nests = exported.one("execute_tool nests")
      const [first, second] = exported.named("execute_tool slow")
      if (first === undefined || second === undefined) return assert.fail()
      assert.strictEqual(parentOf(first), idOf(nests))
      assert.deepStrictEqual([parentOf(second), linksOf(second)], [undefined, [idOf(first), idOf(nests)]])
      assert.notStrictEqual(traceOf(second), traceOf(first))
    }))
})

describe("a tracer", () => {
  it.effect("that fails costs spans and one warning, and no task", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => void lines.push(`${logLevel.label} ${String(message)}`))
      const fail = (): never => {
        throw new Error("no spans today")
      }
      const broken = Tracer.make({ span: fail, context: (execution) => execution() })
      yield* Effect.gen(function*() {
        const manager = yield* TaskManager
        const ids = yield* Effect.forEach(["one", "two"], (callId) => start(callOf("fails", {}, { callId })))
        yield* settle
        for (const id of ids) assert.strictEqual((yield* manager.handle.get(id)).status, "Failed")
      }).pipe(
        Effect.provide(
          Layer.provideMerge(
            managerWith(),
            Layer.merge(Layer.setTracer(broken), Logger.replace(Logger.defaultLogger, logger))
          )
        )
      )
      assert.deepStrictEqual(lines, ["WARN A tracer has failed, and spans are missing"])
    }))

  for (const method of ["span", "attribute", "event", "end"]) {
    it.effect(`whose ${method} throws costs no metric, and nothing that stays`, () =>
      Effect.gen(function*() {
        const toolName = `measured where ${method} throws`
        const throws = (name: string) => () => {
          if (name === method) throw new Error("no spans today")
        }
        const tracer = Tracer.make({
          context: (execution) => execution(),
          span: (name, parent, context, links, startTime, kind) => {
            throws("span")()
            return {
              _tag: "Span",
              name,
              spanId: "1",
              traceId: "2",
              parent,
              context,
              links,
              startTime,
              kind,
              sampled: true,
              status: { _tag: "Started", startTime },
              attributes: new Map(),
              attribute: throws("attribute"),
              event: throws("event"),
              end: throws("end"),
              addLinks: () => {}
            }
          }
        })
        yield* Effect.gen(function*() {
          const { handle } = yield* TaskManager
          for (const callId of ["one", "two"]) yield* start(callOf(toolName, {}, { callId }))
          yield* handle.waitForIdle
          for (const asked of yield* handle.listSuspended) yield* handle.answerApproval(asked, { reject: "no" })
        }).pipe(
          Effect.provide(
            Layer.mergeAll(
              TaskManagerLive.pipe(Layer.provide(Telemetry.layer({ content: true }))),
              ToolExecutor.fromHandlers({ [toolName]: () => new ApprovalRequired({ approval }) }),
              Logger.remove(Logger.defaultLogger)
            )
          ),
          Effect.withTracer(tracer)
        )
        const measured = (yield* Metric.snapshot).flatMap(({ metricKey, metricState }) =>
          MetricState.isHistogramState(metricState) && metricKey.name === "gen_ai.execute_tool.duration" &&
            metricKey.tags.some(({ value }) => value === toolName)
            ? [metricState.count]
            : []
        )
        assert.deepStrictEqual(measured, [2])
      }))
  }

  it.effect("that is disabled is not asked", () =>
    Effect.gen(function*() {
      const exported = yield* withSdk(
        Effect.withTracerEnabled(
          Telemetry.turn(Effect.zipRight(start(callOf("instant", {})), settle), turnRef()),
          false
        )
      )
      assert.deepStrictEqual(exported.names, [])
    }))
})

describe("random programs", () => {
  const tools = ["instant", "slow", "never", "ask", "fails", "nests", "agent"]

  /** Turns, one after the other or side by side, whose calls a host detaches, cancels, answers and interrupts. */
  const program = (random: SimRandom) =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      const pick = <A>(all: ReadonlyArray<A>): A | undefined => all[random.int(all.length)]
      const host = Effect.gen(function*() {
        const live = yield* manager.handle.list({ status: ["Queued", "Running", "Suspended", "Cancelling"] })
        const task = pick(live)
        if (task === undefined) return
        const [asked] = yield* manager.handle.listSuspended
        switch (random.int(6)) {
          case 0:
            return yield* Effect.ignore(manager.handle.cancel(task.id))
          case 1:
            return yield* Effect.ignore(manager.handle.detach(task.id))
          case 2:
            return yield* Effect.asVoid(manager.onTurnInterrupted(task))
          default:
            if (asked === undefined) return yield* Effect.sleep("7 seconds")
            return yield* Effect.ignore(
              manager.answerApproval(asked, random.int(2) === 0 ? "approve" : { reject: "no" })
            )
        }
      })
      const oneTurn = (turn: number) =>
        Telemetry.turn(
          Effect.forEach(Array.from({ length: 1 + random.int(4) }), (_, index) =>
            Effect.zipRight(
              start({
                ...callOf(pick(tools) ?? "", {}, { turn: `t${turn}`, callId: `call-${turn}-${index}` }),
                metadata: { background: random.int(4) === 0 }
              }),
              host
            )),
          turnRef(`t${turn}`)
        )
      yield* Effect.forEach(Array.from({ length: 4 }), (_, index) => oneTurn(index), {
        concurrency: 1 + random.int(2)
      })
      yield* Effect.repeatN(host, 10)
      // what still runs then is cancelled with the manager
      yield* Effect.sleep("2 minutes")
    })

  it("end every span once, and none before what it holds", () => {
    const seeds = isFull ? 1_000 : 15
    let spans = 0
    for (let seed = 0; seed < seeds; seed++) {
      const { exported, layer } = sdk()
      const run = runSimulated(
        ({ random }) =>
          Effect.provide(
            program(random),
            Layer.provideMerge(managerWith({ concurrency: 3 }), Layer.merge(layer, Logger.remove(Logger.defaultLogger)))
          ),
        { seed }
      )
      assert.strictEqual(run.end._tag, "Done", `seed ${seed}`)
      try {
        checkNesting(exported.spans)
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error })
      }
      const turns = exported.named("invoke_agent").filter((span) => parentOf(span) === undefined)
      assert.strictEqual(new Set(turns.map(traceOf)).size, turns.length, `seed ${seed}`)
      spans += exported.spans.length
    }
    assert.isAbove(spans, 10 * seeds)
  })
})

describe("logs", () => {
  it.effect("of a tool say whose they are, and a happy path says nothing itself", () =>
    Effect.gen(function*() {
      const lines: Array<readonly [string, Record<string, unknown>]> = []
      const logger = Logger.make(({ annotations, message }) =>
        void lines.push([String(message), Object.fromEntries(annotations)])
      )
      const Logs = Layer.merge(Logger.replace(Logger.defaultLogger, logger), Logger.minimumLogLevel(LogLevel.Info))
      yield* Telemetry.turn(Effect.zipRight(start(callOf("instant", {})), settle), turnRef()).pipe(
        Effect.annotateLogs("host", "mine"),
        Effect.provide(Layer.provideMerge(managerWith(), Logs))
      )
      assert.deepStrictEqual(lines, [["from the tool", {
        host: "mine",
        sessionId: "s",
        turnId: "t",
        taskId: "task-1"
      }]])
      lines.length = 0
      yield* Effect.provide(
        withAgent({ model: [[call("look"), call("later")], [Text("wait")], [Text("done")]] }, (session) =>
          Effect.gen(function*() {
            yield* say(session)
            yield* TestClock.adjust("1 minute")
            yield* session.waitForIdle
          })),
        Logs
      )
      assert.deepStrictEqual(lines, [])
    }))
})

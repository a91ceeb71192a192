/** `npm run demo:board`: agents with a shell at work on a real repository, and a board in the browser that shows and steers them. */
import { Command, Path } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Console, Effect, Layer, Redacted, Stream } from "effect"
import { SessionId, TaskManager } from "effect-task-manager"
import { AgentLoop, type AgentSession } from "effect-task-manager/ai"
import { TestLanguageModel } from "effect-task-manager/ai/testing"
import { TaskManagerHttp } from "effect-task-manager/http"
import { createServer } from "node:http"
import { buildBoard } from "../../scripts/board.js"
import { chooseModel } from "../agent/model.js"
import { agent, type Workshop } from "../agent/tools.js"
import { UsageError, valuesOf } from "../options.js"
import { type Repository, temporaryRepository } from "../repository.js"
import { runDemo } from "../run.js"
import { Screen } from "../screen.js"
import { plain } from "../text.js"
import { type Plan, plans, reply } from "./plans.js"

const usage = `Usage: npm run demo:board -- [--port N] [--yes] [--scripted]

  --port N    where the board listens on 127.0.0.1; default: a port that is free
  --yes       approve what is asked after three seconds, if nobody has answered on the board
  --scripted  use the scripted model even if a key is in the environment
  --help      show this text

Open the printed address once. Ctrl-C ends it; nothing is left behind.`

interface Options {
  readonly port: number
  readonly isApproving: boolean
  readonly isScripted: boolean
  readonly help: boolean
}

const parseOptions = (args: ReadonlyArray<string>): Effect.Effect<Options, UsageError> =>
  valuesOf(args, {
    port: { type: "string" },
    yes: { type: "boolean" },
    scripted: { type: "boolean" },
    help: { type: "boolean", short: "h" }
  }).pipe(
    Effect.filterOrFail(
      ({ port = "0" }) => /^\d{1,5}$/.test(port) && Number(port) < 65_536,
      () => new UsageError({ message: "--port takes the number of a port" })
    ),
    Effect.map(({ help = false, port = "0", scripted = false, yes = false }) => ({
      port: Number(port),
      isApproving: yes,
      isScripted: scripted,
      help
    }))
  )

/** Answers what nobody has answered on the board. */
const answerLater = (session: AgentSession) =>
  Effect.flatMap(
    session.subscribe,
    (events) =>
      Stream.runForEach(Stream.fromQueue(events), (event) =>
        event._tag === "ApprovalRequested"
          // somebody was faster
          ? Effect.forkScoped(Effect.ignore(Effect.delay(session.approve(event.approval), "3 seconds")))
          : Effect.void)
  )

/** Nothing runs, nothing waits for an answer, and no result is on its way to the model. */
const untilDone = (session: AgentSession, sessionId: SessionId) =>
  Effect.gen(function*() {
    const { handle, waitForLoopUpdate } = yield* TaskManager
    yield* session.waitForIdle
    const live = yield* handle.list({ sessionId, status: ["Queued", "Running", "Suspended", "Cancelling"] })
    return live.length === 0 && !(yield* Effect.isSuccess(waitForLoopUpdate(sessionId, { timeout: 0 })))
  }).pipe(Effect.delay("200 millis"), Effect.repeat({ until: (isDone) => isDone }))

/** One conversation of one agent, from its request to its end. */
const converse = ({ name, request }: Plan, number: number, { isApproving }: Options) =>
  Effect.gen(function*() {
    const sessionId = SessionId.make(`${name}-${number}`)
    const session = yield* (yield* AgentLoop).open({ sessionId })
    if (isApproving) yield* Effect.forkScoped(answerLater(session))
    yield* session.submit(request)
    yield* untilDone(session, sessionId)
  }).pipe(Effect.scoped)

/** The repository as it was, so that there is something to mend again. */
const restore = ({ environment, root }: Repository) =>
  Command.make("git", "reset", "--quiet", "--hard", "main").pipe(
    Command.workingDirectory(root),
    Command.env(environment, { extendEnv: false }),
    Command.exitCode
  )

/** Agents at work, each with the same plan again and again. A real model is asked once: it costs tokens. */
const work = (repository: Repository, options: Options, isScripted: boolean) =>
  isScripted
    ? Effect.forEach(plans, (plan, place) =>
      Effect.gen(function*() {
        yield* Effect.sleep(place * 1_500)
        for (let number = 1;; number++) {
          yield* converse(plan, number, options)
          if (plan === plans[0]) yield* restore(repository)
          yield* Effect.sleep("3 seconds")
        }
      }), { concurrency: "unbounded", discard: true })
    : Effect.zipRight(
      Effect.forEach(plans, (plan) => converse(plan, 1, options), { concurrency: "unbounded", discard: true }),
      Effect.never
    )

const demo = (options: Options) =>
  Effect.gen(function*() {
    const screen = yield* Screen
    const path = yield* Path.Path
    yield* Effect.promise(() => buildBoard("src"))
    yield* screen.line(
      screen.paint("bold", "effect-task-manager/http: agents at work, and a board that shows and steers them.")
    )
    const model = yield* chooseModel(options.isScripted)
    yield* screen.line(model.about)
    const repository = yield* temporaryRepository
    yield* screen.line(`The repository: ${plain(repository.root)} (temporary, removed at the end)`)
    const workshop: Workshop = {
      root: repository.root,
      processes: path.join(path.dirname(repository.root), "processes"),
      environment: { LC_ALL: "C", GIT_PAGER: "cat", GIT_TERMINAL_PROMPT: "0", TEST_PAUSE: "1500" },
      permissions: []
    }
    const Board = TaskManagerHttp.layer({
      announce: ({ pageUrl }) =>
        screen.line(
          `\n  The board: ${screen.paint("cyan", Redacted.value(pageUrl))}\n\n` +
            "Open it once: what stands behind # is its login. Some of what the agents want to do waits there for your answer.\n" +
            "Ctrl-C ends it."
        )
    }).pipe(Layer.provide(NodeHttpServer.layer(() => createServer(), { host: "127.0.0.1", port: options.port })))
    const Model = model.isScripted ? TestLanguageModel.layer([], { otherwise: reply }) : model.layer
    const Agents = Board.pipe(Layer.provideMerge(agent(workshop)), Layer.provide(Model))
    yield* Effect.provide(work(repository, options, model.isScripted), Agents)
  }).pipe(Effect.scoped, Effect.onInterrupt(() => Console.log("\nEnded.")))

runDemo(
  Effect.flatMap(
    parseOptions(process.argv.slice(2)),
    (options) => options.help ? Console.log(usage) : demo(options)
  ),
  usage
)

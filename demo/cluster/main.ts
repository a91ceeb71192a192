/** `npm run demo:cluster`: two runners on one Postgres server, and a client; one runner is killed before your eyes. */
import { Effect, Option } from "effect"
import {
  SessionId,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  ToolCallId,
  ToolExecutor,
  TurnId,
  TurnTaskUpdate
} from "effect-task-manager"
import { Cluster, type Line } from "../../test/cluster/processes/Cluster.js"
import { startPostgres } from "../../test/support/postgres.js"
import { UsageError } from "../options.js"
import { runDemo } from "../run.js"
import { type Colour, Screen } from "../screen.js"
import { DemoFailed } from "../verdict.js"

const usage = "Usage: npm run demo:cluster"

const tasks = 12
const millis = 4_000
const killAfter = 1_000
const perColumn = 250

const colours: Readonly<Record<string, Colour>> = { north: "cyan", south: "magenta" }

interface Result {
  readonly at: number
  readonly text: string
  readonly isError: boolean
}

/** One line for each task: who ran it when, and what came of it. */
const timeLine = (
  screen: Screen["Type"],
  begunAt: number,
  lines: ReadonlyArray<Line>,
  task: string,
  result: Result | undefined
): string => {
  const columns = Math.ceil(((result?.at ?? begunAt) - begunAt) / perColumn)
  const own = lines.filter((line) => line.task === task && line.what === "begin")
  let bar = ""
  for (let column = 0; column < columns; column++) {
    const at = begunAt + (column + 1) * perColumn
    const running = own.filter((line) => line.at <= at).at(-1)
    bar += running === undefined ? " " : screen.paint(colours[running.runner] ?? "dim", running.runner.slice(0, 1))
  }
  const end = result === undefined
    ? screen.paint("red", "no result")
    : result.isError
    ? screen.paint("yellow", "interrupted: may not run twice")
    : screen.paint("green", result.text)
  return `${task.padEnd(8)} ${bar} ${end}`
}

const work = (
  cluster: Cluster,
  screen: Screen["Type"],
  results: Map<string, Array<Result>>,
  strike: Effect.Effect<void>
) =>
  Effect.gen(function*() {
    const manager = yield* TaskManager
    const all = Array.from({ length: tasks }, (_, index) => index)
    const turnOf = (index: number) => ({ sessionId: SessionId.make(`session-${index}`), turnId: TurnId.make("turn") })
    yield* Effect.forEach(all, (index) =>
      manager.startTask(TaskLaunchRequest.plain({
        taskId: TaskId.make(`task-${index}`),
        request: {
          ...turnOf(index),
          callId: ToolCallId.make(`call-${index}`),
          toolName: index % 3 === 0 ? "once" : "again",
          input: { millis },
          metadata: {}
        }
      })), { concurrency: "unbounded" })
    yield* screen.line(`${tasks} tasks run, each in a session of its own. Every third may not run twice.`)
    yield* Effect.sleep(killAfter)
    yield* strike
    yield* Effect.forEach(all, (index) =>
      Effect.gen(function*() {
        for (;;) {
          const update = yield* manager.waitForTurn(turnOf(index))
          if (Option.isNone(update)) return
          const { isError, output } = Option.getOrThrow(TurnTaskUpdate.resultOf(update.value))
          const text = output._tag === "Text" ? output.text : ""
          const name = `task-${index}`
          results.set(name, [...results.get(name) ?? [], { at: Date.now(), text, isError }])
        }
      }), { concurrency: "unbounded" })
  }).pipe(Effect.provide([cluster.client(), ToolExecutor.fromHandlers({})]), Effect.scoped)

const demo = Effect.gen(function*() {
  if (process.argv.length > 2) return yield* new UsageError({ message: "It takes no arguments." })
  const screen = yield* Screen
  yield* screen.line(
    screen.paint("bold", "effect-task-manager/cluster: two runners and a client, and one runner dies.")
  )
  const server = yield* Effect.acquireRelease(Effect.promise(startPostgres), ({ stop }) => Effect.promise(stop))
  const cluster = yield* Effect.acquireRelease(
    Effect.promise(() => Cluster.make(server.url())),
    (made) => Effect.promise(() => made.remove())
  )
  const north = yield* Effect.promise(() => cluster.start("north"))
  const south = yield* Effect.promise(() => cluster.start("south"))
  yield* Effect.promise(() => cluster.shared(2))
  yield* screen.line(
    `Runners: ${screen.paint("cyan", `north (pid ${north.process.pid})`)} and ${
      screen.paint("magenta", `south (pid ${south.process.pid})`)
    }. The client is this process.`
  )
  const begunAt = Date.now()
  const results = new Map<string, Array<Result>>()
  const strike = Effect.zipRight(
    Effect.sync(() => void north.process.kill("SIGKILL")),
    screen.line(screen.paint("red", `kill -9 ${north.process.pid}: north is gone.`))
  )
  yield* work(cluster, screen, results, strike)
  const lines = cluster.lines()
  yield* screen.line(`\nWho ran what, in columns of ${perColumn} ms (n: north, s: south):`)
  for (let index = 0; index < tasks; index++) {
    const task = `task-${index}`
    yield* screen.line(timeLine(screen, begunAt, lines, task, results.get(task)?.[0]))
  }
  const killedAt = begunAt + killAfter
  const moved = lines.filter(({ launch, what }) => what === "begin" && launch > 1)
  const twice = [...results.values()].filter((of) => of.length !== 1).length
  const forbidden = lines.filter(({ launch, task, what }) =>
    what === "begin" && launch > 1 && Number(task.replace("task-", "")) % 3 === 0
  ).length
  const first = moved[0]
  yield* screen.line(
    `\n${results.size} of ${tasks} tasks have a result, ${twice} more than one; ${forbidden} ran twice that may not.` +
      (first === undefined ? "" : ` South took over ${((first.at - killedAt) / 1_000).toFixed(1)} s after the kill.`)
  )
  if (results.size !== tasks || twice > 0 || forbidden > 0) {
    return yield* new DemoFailed()
  }
})

runDemo(Effect.scoped(demo), usage)

/**
 * A cluster of two runner processes for each case of the conformance suite, and its client in this process. The tools of a case are
 * functions of this process, and its clock is one of this process: the runners ask for both. A case goes on once nothing is on its way
 * between the three of them and the database: in two looks, one after the other, nobody had anything to do, and nothing was sent.
 */
import { NodeClusterSocket } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import * as SqlClient from "@effect/sql/SqlClient"
import { Context, Duration, Effect, Exit, FiberRef, Layer, LogLevel, Redacted, Scope } from "effect"
import { RoutingPolicy, TaskManager, TaskManagerConfig, ToolExecutor } from "effect-task-manager"
import { clusterShardingConfig, TaskManagerCluster } from "effect-task-manager/cluster"
import { type ChildProcess, fork } from "node:child_process"
import { quietness } from "../../../../src/cluster/internal/quietness.js"
import { type Bundle, bundle } from "../../../support/bundle.js"
import type { PostgresServer } from "../../../support/postgres.js"
import { rested } from "../../support.js"
import { inSchema } from "../chaos.js"
import { freePort } from "../Cluster.js"
import { type Engine, engineOfCase, nameOf, nothingUnderWay, pgOf, shardsPerGroup } from "./engine.js"
import { Link, nowhere } from "./Link.js"
import type { BeginProcess, OpenRunner, RunnerState } from "./runner.js"
import { type SentLaunch, toolsOfCase } from "./tools.js"
import { pack, unpack } from "./values.js"

/** A manager of a case. */
interface OpenManager {
  /** What this process and the runners have done so far, or undefined while something is being done. */
  readonly look: Effect.Effect<string | undefined>
}

/** The managers of the case that the fiber runs. */
const managersOfCase = FiberRef.unsafeMake<Set<OpenManager>>(new Set())

const untilQuiet = (manager: OpenManager, managers: Set<OpenManager>, before?: string): Effect.Effect<void> =>
  Effect.flatMap(manager.look, (now) =>
    !managers.has(manager) || now !== undefined && now === before
      ? Effect.void
      : untilQuiet(manager, managers, now))

/** Waits until nothing is on its way in the case of the fiber. */
const settled: Effect.Effect<void> = Effect.zipRight(
  rested,
  Effect.flatMap(
    FiberRef.get(managersOfCase),
    (managers) => Effect.forEach([...managers], (manager) => untilQuiet(manager, managers), { discard: true })
  )
)

/** Returns once both runners have their shards: none moves after that. */
const shared: Effect.Effect<void, never, SqlClient.SqlClient> = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const counts = sql<{ readonly count: unknown }>`select count(*) as count from cluster_locks group by address`
  const isShared = Effect.map(
    counts,
    (all) => all.length === 2 && all.reduce((sum, { count }) => sum + Number(count), 0) === shardsPerGroup
  )
  yield* isShared.pipe(
    Effect.orElseSucceed(() => false),
    Effect.tap((is) => is ? Effect.void : Effect.sleep("20 millis")),
    Effect.repeat({ until: (is) => is })
  )
})

let places = 0

/** Builds a cluster on two processes, whose tools run here. */
const makeManager = (
  links: ReadonlyArray<Link>,
  engine: Engine,
  groups: number
): Effect.Effect<TaskManager["Type"], never, ToolExecutor | Scope.Scope> =>
  Effect.gen(function*() {
    const managers = yield* FiberRef.get(managersOfCase)
    const clock = yield* Effect.clock
    const route = yield* RoutingPolicy
    const settings = yield* TaskManagerConfig
    const executor = yield* ToolExecutor
    const runtime = yield* Effect.runtime<never>()
    const here = <A, E>(self: Effect.Effect<A, E>) => Effect.provide(self, runtime)
    const place = ++places
    const underWay = nothingUnderWay()
    const client = yield* TaskManagerCluster.layer({ name: nameOf(place), groups }).pipe(
      Layer.provideMerge(engineOfCase(engine, place, underWay)),
      Layer.build,
      Effect.orDie
    )
    const manager = Context.get(client, TaskManager)
    const sql = Context.get(client, SqlClient.SqlClient)
    // a message that would open groups of a case that is over
    yield* Effect.addFinalizer(() =>
      Effect.ignore(sql`delete from cluster_messages where entity_type like ${`%-${nameOf(place)}`}`)
    )

    const heard = Effect.ignore(Effect.sandbox(manager.handle.listSuspended))
    let told = clock.unsafeCurrentTimeMillis()
    /** What a tool says, it says at a time that its runner knows. */
    const askAt = (link: Link) => (what: string, payload: unknown) =>
      Effect.suspend(() => {
        const now = clock.unsafeCurrentTimeMillis()
        const asked = link.ask(place, what, payload)
        return now === told ? asked : Effect.zipRight(link.ask(place, "tell", { now }), asked)
      })
    const toolsOf = links.map((link) => toolsOfCase(askAt(link), executor))
    for (const [index, link] of links.entries()) {
      const unserve = link.serve(place, {
        execute: (launch: SentLaunch) => here(Effect.suspend(() => toolsOf[index]?.execute(launch) ?? Effect.never)),
        route: (request: unknown) =>
          here(Effect.suspend(() => {
            // the request as the runner has packed it
            const decision = route(unpack(request) as never)
            // a runner hears of an interrupt with the next call at the latest: a decision that is made after the interrupt comes after it
            return Effect.isEffect(decision) ? Effect.zipLeft(decision, heard) : Effect.succeed(decision)
          })),
        sleepUntil: ({ deadline }: { readonly deadline: number }) =>
          Effect.map(clock.sleep(Duration.millis(deadline - clock.unsafeCurrentTimeMillis())), () =>
            clock.unsafeCurrentTimeMillis()),
        log: ({ annotations, level, message }: { annotations: unknown; level: LogLevel.Literal; message: string }) =>
          here(
            Effect.annotateLogs(
              Effect.logWithLevel(LogLevel.fromLiteral(level), message),
              // a record, as the runner has packed it
              unpack(annotations) as Record<string, unknown>
            )
          )
      })
      yield* Effect.addFinalizer(() =>
        Effect.sync(unserve)
      )
    }

    // one that has ended for this case has nothing on its way, and nobody answers there
    const open = new Set<Link>()
    const look = Effect.gen(function*() {
      const now = clock.unsafeCurrentTimeMillis()
      if (now !== told) {
        told = now
        yield* Effect.forEach(open, (link) => link.ask(place, "tell", { now }), { discard: true })
      }
      const all = yield* Effect.forEach(
        open,
        (link) =>
          Effect.map(link.look(place), (state) => {
            // what the runners say
            const said = state as RunnerState
            toolsOf[links.indexOf(link)]?.hear(said.chains)
            return said
          }),
        { concurrency: "unbounded" }
      )
      yield* rested
      const processes = [underWay, ...all.map((state) => state.underWay)]
      const asked = processes.reduce((sum, { calls }) => sum + calls.asked, 0)
      const answered = processes.reduce((sum, { calls }) => sum + calls.answered, 0)
      const isQuiet = processes.every(({ statements }) => statements.pending === 0) && asked === answered &&
        quietness.get(manager)?.() !== false && clock.unsafeCurrentTimeMillis() === told
      return isQuiet
        ? JSON.stringify([processes, all.map(({ sent }) => sent), links.map((link) => link.sentOf(place))])
        : undefined
      // one that ends just now tells nothing
    }).pipe(Effect.catchAllCause(() => Exit.succeed(undefined)))
    const watched: OpenManager = { look }
    yield* Effect.acquireRelease(
      Effect.sync(() => managers.add(watched)),
      () => Effect.sync(() => managers.delete(watched))
    )

    const specs = yield* executor.specs
    const runner: OpenRunner = { place, groups, settings: pack(settings), specs: pack(specs), now: told }
    const openOn = (link: Link) => Effect.zipRight(link.ask(nowhere, "open", runner), Effect.sync(() => open.add(link)))
    const closeOn = (link: Link) =>
      Effect.zipRight(
        Effect.ignore(link.ask(nowhere, "close", { place })),
        Effect.sync(() => open.delete(link))
      )
    // at once: the one that closed last would go on with what the other has left
    yield* Effect.addFinalizer(() => Effect.forEach(links, closeOn, { concurrency: "unbounded", discard: true }))
    yield* Effect.orDie(Effect.forEach(links, openOn, { concurrency: "unbounded", discard: true }))

    // from now on every group is open, and every runner known
    yield* manager.handle.listSuspended
    return manager
  })

/** A runner process, once it listens to what it is told. */
const start = async (program: Bundle): Promise<ChildProcess> => {
  const child = fork(program.path, { serialization: "advanced", stdio: ["ignore", "inherit", "inherit", "ipc"] })
  await new Promise<void>((resolve, reject) => {
    child.once("message", () => resolve())
    child.once("exit", (code) => reject(new Error(`A runner has ended with ${code}`)))
  })
  return child
}

export interface TwoRunners {
  /** A cluster of its own for whoever builds it. */
  readonly layer: (groups: number) => Layer.Layer<TaskManager, never, ToolExecutor>
  /** Runs a case. */
  readonly inCase: <A, E>(self: Effect.Effect<A, E>) => Effect.Effect<A, E>
  readonly settle: Effect.Effect<void>
  readonly stop: () => Promise<void>
}

export const startTwoRunners = async (server: PostgresServer): Promise<TwoRunners> => {
  const url = await inSchema(server)
  const program = await bundle("test/cluster/processes/conformance/runner.ts")
  const children = await Promise.all([start(program), start(program)])
  const links = children.map((child) => new Link(child))
  const scope = Effect.runSync(Scope.make())
  const Cluster = NodeClusterSocket.layer({
    clientOnly: true,
    storage: "sql",
    shardingConfig: { ...clusterShardingConfig(), shardsPerGroup }
  }).pipe(Layer.provide(PgClient.layer({ url, maxConnections: 2 })))
  const beginning = Effect.gen(function*() {
    for (const link of links) {
      const begin: BeginProcess = { url: Redacted.value(url), port: yield* Effect.promise(freePort) }
      yield* link.ask(nowhere, "begin", begin)
    }
    yield* Effect.provide(shared, PgClient.layer({ url }))
    return yield* Layer.buildWithScope(Layer.merge(Cluster, pgOf(Redacted.value(url))), scope)
  })
  const engine = await Effect.runPromise(Effect.orDie(beginning))
  return {
    layer: (groups) => Layer.scoped(TaskManager, makeManager(links, engine, groups)),
    inCase: (self) => Effect.suspend(() => Effect.locally(self, managersOfCase, new Set())),
    settle: settled,
    stop: async () => {
      await Effect.runPromise(Scope.close(scope, Exit.void))
      const ended = children.map((child) => new Promise((resolve) => child.once("exit", resolve)))
      await Promise.all(links.map((link) => Effect.runPromise(Effect.exit(link.ask(nowhere, "end", null)))))
      for (const child of children) child.disconnect()
      await Promise.all(ended)
      await program.remove()
    }
  }
}

/**
 * A cluster of two runner processes for each case of the conformance suite, and its client in this process. The tools of a case are
 * functions of this process, and its clock is one of this process: the runners ask for both. A case goes on once nothing is on its way
 * between the three of them and the database: in two looks, one after the other, nobody had anything to do, and nothing was sent.
 */
import { NodeClusterSocket } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import * as SqlClient from "@effect/sql/SqlClient"
import { Context, Effect, FiberRef, Layer, LogLevel, Redacted, type Scope } from "effect"
import { RoutingPolicy, TaskManager, TaskManagerConfig, ToolExecutor } from "effect-task-manager"
import { clusterShardingConfig, TaskManagerCluster } from "effect-task-manager/cluster"
import { type ChildProcess, fork } from "node:child_process"
import { quietness } from "../../../../src/cluster/internal/quietness.js"
import { onWire } from "../../../../src/cluster/internal/wire.js"
import { type Bundle, bundle } from "../../../support/bundle.js"
import { type PostgresServer, watchedPgLayer } from "../../../support/postgres.js"
import { onRealClock, rested } from "../../support.js"
import { inSchema } from "../chaos.js"
import { freePort } from "../Cluster.js"
import { Link, nowhere } from "./Link.js"
import type { OpenRunner, RunnerState } from "./runner.js"
import { nothingOnTheWire, socketEnds, watchPort, watchSockets } from "./sockets.js"
import { type SentLaunch, toolsOfCase } from "./tools.js"
import { pack, unpack } from "./values.js"

const shardsPerGroup = 32

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
  Effect.flatMap(FiberRef.get(managersOfCase), (managers) =>
    Effect.forEach([...managers], (manager) => untilQuiet(manager, managers), { discard: true }))
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

const spreadPorts = new Set<number>()

/** A free port that no other case has. */
const newPort = async (): Promise<number> => {
  for (;;) {
    const port = await freePort()
    if (spreadPorts.has(port)) continue
    spreadPorts.add(port)
    return port
  }
}

let places = 0

/** Builds a cluster on two processes, whose tools run here. */
const makeManager = (
  links: ReadonlyArray<Link>,
  server: PostgresServer,
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
    const [url, ...ports] = yield* Effect.promise(() => Promise.all([inSchema(server), newPort(), newPort()]))
    for (const port of ports) {
      yield* Effect.acquireRelease(Effect.sync(() => watchPort(port)), (end) => Effect.sync(end))
    }
    const statements = { pending: 0 }
    const database = onRealClock(watchedPgLayer(url, { statements, maxConnections: 3 }))
    const engine = onRealClock(
      NodeClusterSocket.layer({
        clientOnly: true,
        storage: "sql",
        shardingConfig: { ...clusterShardingConfig(), shardsPerGroup, refreshAssignmentsInterval: "100 millis" }
      }).pipe(Layer.provide(PgClient.layer({ url, maxConnections: 2 })))
    )
    const layer = Layer.provideMerge(TaskManagerCluster.layer({ groups }), Layer.merge(engine, database))
    const client = yield* Effect.orDie(Layer.build(layer))
    const manager = Context.get(client, TaskManager)

    const toolsOf = links.map((link) => toolsOfCase((what, payload) => link.ask(place, what, payload), executor))
    for (const [index, link] of links.entries()) {
      const unserve = link.serve(place, {
        execute: (launch: SentLaunch) => here(Effect.suspend(() => toolsOf[index]?.execute(launch) ?? Effect.never)),
        route: (request: unknown) =>
          here(Effect.suspend(() => {
            // the request as the runner has packed it
            const decision = route(unpack(request) as never)
            return Effect.isEffect(decision) ? decision : Effect.succeed(decision)
          })),
        sleepUntil: ({ deadline }: { readonly deadline: number }) =>
          Effect.map(clock.sleep(deadline - clock.unsafeCurrentTimeMillis()), () => clock.unsafeCurrentTimeMillis()),
        log: ({ annotations, level, message }: { annotations: unknown; level: LogLevel.Literal; message: string }) =>
          here(
            Effect.annotateLogs(
              Effect.logWithLevel(LogLevel.fromLiteral(level), message),
              // a record, as the runner has packed it
              unpack(annotations) as Record<string, unknown>
            )
          )
      })
      yield* Effect.addFinalizer(() => Effect.sync(unserve))
    }

    let told = clock.unsafeCurrentTimeMillis()
    const look = Effect.gen(function*() {
      const now = clock.unsafeCurrentTimeMillis()
      if (now !== told) {
        told = now
        yield* Effect.forEach(links, (link) => link.ask(place, "tell", { now }), { discard: true })
      }
      const states = yield* Effect.forEach(links, (link) => link.look(place), { concurrency: "unbounded" })
      // what the runners say
      const all = states as ReadonlyArray<RunnerState>
      for (const [index, { chains }] of all.entries()) toolsOf[index]?.hear(chains)
      yield* rested
      const sockets = [...all.flatMap((state) => state.sockets), ...socketEnds(ports)]
      const isQuiet = all.every((state) => state.isQuiet) && statements.pending === 0 &&
        quietness.get(manager)?.() !== false && clock.unsafeCurrentTimeMillis() === told && nothingOnTheWire(sockets)
      return isQuiet
        ? JSON.stringify([sockets, all.map(({ sent }) => sent), links.map((link) => link.sentOf(place))])
        : undefined
      // a runner that is gone tells nothing
    }).pipe(Effect.catchAllCause(() => Effect.succeed(undefined)))
    const open: OpenManager = { look }
    yield* Effect.acquireRelease(Effect.sync(() => managers.add(open)), () => Effect.sync(() => managers.delete(open)))

    const specs = yield* executor.specs
    const begin = (link: Link, port: number) => {
      const runner: OpenRunner = {
        place,
        url: Redacted.value(url),
        port,
        ports,
        groups,
        shardsPerGroup,
        settings: pack(settings),
        specs: pack(specs),
        now: told
      }
      return Effect.acquireRelease(link.ask(nowhere, "open", runner), () =>
        Effect.ignore(link.ask(nowhere, "close", { place })))
    }
    yield* Effect.orDie(
      Effect.forEach(links, (link, index) => begin(link, ports[index] ?? NaN), {
        concurrency: "unbounded",
        discard: true
      })
    )
    yield* Effect.provide(onWire(shared), client)
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
  watchSockets()
  const program = await bundle("test/cluster/processes/conformance/runner.ts")
  const children = await Promise.all([start(program), start(program)])
  const links = children.map((child) => new Link(child))
  return {
    layer: (groups) => Layer.scoped(TaskManager, makeManager(links, server, groups)),
    inCase: (self) => Effect.suspend(() => Effect.locally(self, managersOfCase, new Set())),
    settle: settled,
    stop: async () => {
      const ended = children.map((child) => new Promise((resolve) => child.once("exit", resolve)))
      for (const child of children) child.disconnect()
      await Promise.all(ended)
      await program.remove()
    }
  }
}

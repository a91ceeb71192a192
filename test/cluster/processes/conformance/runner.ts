/** A runner process of the conformance suite. It is a runner of each case, whose tools and clock are those of the case. */
import { NodeClusterSocket } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import {
  Deferred,
  Effect,
  Exit,
  FiberId,
  FiberRef,
  HashSet,
  Layer,
  Logger,
  LogLevel,
  Redacted,
  Runtime,
  Scope
} from "effect"
import { RoutingPolicy, TaskManagerConfig, ToolExecutor } from "effect-task-manager"
import { clusterShardingConfig, clusterSqlClient, TaskManagerCluster } from "effect-task-manager/cluster"
import { rested } from "../../support.js"
import { toldClock } from "./clock.js"
import { type Engine, engineOfCase, nameOf, nothingUnderWay, pgOf, shardsPerGroup, type UnderWay } from "./engine.js"
import { Link, nowhere } from "./Link.js"
import { type SentChain, toolsOnRunner } from "./tools.js"
import { pack, unpack } from "./values.js"

export interface BeginProcess {
  readonly url: string
  readonly port: number
}

export interface OpenRunner {
  readonly place: number
  readonly groups: number
  readonly settings: unknown
  readonly specs: unknown
  readonly now: number
}

/** What a runner does and has done, once it has nothing to do by itself. */
export interface RunnerState {
  readonly underWay: UnderWay
  readonly sent: number
  readonly chains: ReadonlyArray<SentChain>
}

const link = new Link(process)
const runners = new Map<number, Scope.CloseableScope>()
const engine = Deferred.unsafeMake<Engine>(FiberId.none)
const scopeOfProcess = Effect.runSync(Scope.make())

const begin = ({ port, url }: BeginProcess) => {
  const Cluster = NodeClusterSocket.layer({
    storage: "sql",
    shardingConfig: {
      ...clusterShardingConfig({ host: "127.0.0.1", port }),
      // the end of a case is not that of the runner
      preemptiveShutdown: false,
      shardsPerGroup,
      refreshAssignmentsInterval: "1 second",
      entityMessagePollInterval: "1 minute",
      // nothing happens to a runner of these cases, and the machine may be slow
      shardLockRefreshInterval: "5 seconds",
      shardLockExpiration: "2 minutes",
      runnerHealthCheckInterval: "1 minute"
    }
  }).pipe(
    Layer.provide(clusterSqlClient),
    Layer.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 3 }))
  )
  return Effect.flatMap(
    Layer.buildWithScope(Layer.merge(Cluster, pgOf(url)), scopeOfProcess),
    (context) => Deferred.succeed(engine, context)
  )
}

const open = ({ groups, now, place, settings, specs }: OpenRunner) =>
  Effect.gen(function*() {
    const ask = (what: string, payload: unknown) => link.ask(place, what, payload)
    const clock = toldClock(now, (deadline) => Effect.orDie(ask("sleepUntil", { deadline })))
    const tools = toolsOnRunner(ask, { specs })
    const underWay = nothingUnderWay()
    const scope = yield* Scope.make()
    runners.set(place, scope)
    const unserve = link.serve(place, {
      ...tools.handlers,
      tell: ({ now }: { readonly now: number }) => Effect.sync(() => clock.tell(now)),
      state: () =>
        Effect.map(rested, (): RunnerState => ({ underWay, sent: link.sentOf(place), chains: tools.chains() }))
    })
    yield* Scope.addFinalizer(scope, Effect.sync(unserve))
    const runtime = yield* Effect.runtime<never>()
    const telling = Logger.make<unknown, void>(({ annotations, logLevel, message }) => {
      if (LogLevel.lessThan(logLevel, LogLevel.Warning)) return
      const said = {
        level: logLevel._tag,
        message: String(message),
        annotations: pack(Object.fromEntries(annotations))
      }
      Runtime.runFork(runtime)(Effect.ignore(ask("log", said)))
    })
    const Runner = TaskManagerCluster.runner({
      name: nameOf(place),
      groups,
      lease: "1 day",
      shutdown: "cancel",
      maxIdleTime: "1 day"
    }).pipe(
      Layer.provide([
        Layer.succeed(ToolExecutor, tools.executor),
        // settings of a manager, as they were packed
        TaskManagerConfig.layer(unpack(settings) as never),
        RoutingPolicy.layer((request) =>
          // the policy of the case answers
          Effect.orDie(ask("route", pack(request))) as Effect.Effect<never>
        ),
        engineOfCase(yield* Deferred.await(engine), place, underWay)
      ])
    )

    yield* Layer.buildWithScope(Runner, scope).pipe(
      Effect.withClock(clock),
      Effect.locally(FiberRef.currentLoggers, HashSet.make(telling))
    )
  })

link.serve(nowhere, {
  begin: (asked: BeginProcess) => Effect.asVoid(begin(asked)),
  end: () => Scope.close(scopeOfProcess, Exit.void),
  open: (asked: OpenRunner) => Effect.asVoid(open(asked)),
  close: ({ place }: { readonly place: number }) =>
    Effect.suspend(() => {
      const scope = runners.get(place)
      runners.delete(place)
      return scope === undefined ? Effect.void : Scope.close(scope, Exit.void)
    })
})
process.once("disconnect", () => process.exit(0))
process.send?.("ready")

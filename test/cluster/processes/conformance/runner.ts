/** A runner of the conformance suite as a process of its own: for each case it begins a runner, whose tools and clock are those of the case. */
import { NodeClusterSocket } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Effect, Exit, FiberRef, HashSet, Layer, Logger, LogLevel, Redacted, Scope } from "effect"
import { RoutingPolicy, TaskManagerConfig, ToolExecutor } from "effect-task-manager"
import { clusterShardingConfig, TaskManagerCluster } from "effect-task-manager/cluster"
import { watchedPgLayer } from "../../../support/postgres.js"
import { onRealClock, rested } from "../../support.js"
import { toldClock } from "./clock.js"
import { Link, nowhere } from "./Link.js"
import { type SocketEnd, socketEnds, watchPort, watchSockets } from "./sockets.js"
import { type SentChain, toolsOnRunner } from "./tools.js"
import { pack, unpack } from "./values.js"

export interface OpenRunner {
  readonly place: number
  readonly url: string
  /** Where it is, and where all runners are. */
  readonly port: number
  readonly ports: ReadonlyArray<number>
  readonly groups: number
  readonly shardsPerGroup: number
  readonly settings: unknown
  readonly specs: unknown
  readonly now: number
}

/** What a runner has done so far, once it has nothing to do. */
export interface RunnerState {
  readonly isQuiet: boolean
  readonly sent: number
  readonly sockets: ReadonlyArray<SocketEnd>
  readonly chains: ReadonlyArray<SentChain>
}

watchSockets()
const link = new Link(process)
const runners = new Map<number, Scope.CloseableScope>()

const open = (asked: OpenRunner) =>
  Effect.gen(function*() {
    const { groups, now, place, port, ports, settings, shardsPerGroup, specs, url } = asked
    const ask = (what: string, payload: unknown) => link.ask(place, what, payload)
    const clock = toldClock(now, (deadline) => Effect.orDie(ask("sleepUntil", { deadline })))
    const tools = toolsOnRunner(ask, { specs })
    const statements = { pending: 0 }
    const scope = yield* Scope.make()
    runners.set(place, scope)
    for (const one of ports) {
      const unwatch = watchPort(one)
      yield* Scope.addFinalizer(scope, Effect.sync(unwatch))
    }
    const unserve = link.serve(place, {
      ...tools.handlers,
      tell: ({ now }: { readonly now: number }) => Effect.sync(() => clock.tell(now)),
      state: () =>
        Effect.map(rested, (): RunnerState => ({
          isQuiet: statements.pending === 0,
          sent: link.sentOf(place),
          sockets: socketEnds(ports),
          chains: tools.chains()
        }))
    })
    yield* Scope.addFinalizer(scope, Effect.sync(unserve))
    const telling = Logger.make<unknown, void>(({ annotations, logLevel, message }) => {
      if (LogLevel.lessThan(logLevel, LogLevel.Warning)) return
      const said = { level: logLevel._tag, message: String(message), annotations: pack(Object.fromEntries(annotations)) }
      Effect.runFork(Effect.ignore(ask("log", said)))
    })
    const Engine = NodeClusterSocket.layer({
      storage: "sql",
      shardingConfig: {
        ...clusterShardingConfig({ host: "127.0.0.1", port }),
        shardsPerGroup,
        refreshAssignmentsInterval: "100 millis",
        // nothing happens to a runner of these cases, and the machine may be slow
        shardLockExpiration: "2 minutes",
        runnerHealthCheckInterval: "1 minute"
      }
    }).pipe(Layer.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 2 })))
    const Runner = TaskManagerCluster.runner({ groups, lease: "1 day", shutdown: "cancel", maxIdleTime: "1 day" }).pipe(
      Layer.provide([
        Layer.succeed(ToolExecutor, tools.executor),
        // settings of a manager, as they were packed
        TaskManagerConfig.layer(unpack(settings) as never),
        RoutingPolicy.layer((request) =>
          // the policy of the case answers
          Effect.orDie(ask("route", pack(request))) as Effect.Effect<never>
        ),
        onRealClock(Engine),
        onRealClock(watchedPgLayer(Redacted.make(url), { statements, maxConnections: 3 }))
      ])
    )
    yield* Layer.buildWithScope(Runner, scope).pipe(
      Effect.withClock(clock),
      Effect.locally(FiberRef.currentLoggers, HashSet.make(telling))
    )
  })

link.serve(nowhere, {
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

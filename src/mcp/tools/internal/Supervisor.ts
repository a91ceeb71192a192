/** A server that is kept connected: when a connection ends, the next one is made as its schedule says, and calls wait for it. */
import type * as CommandExecutor from "@effect/platform/CommandExecutor"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { monotonicNow } from "../../../shared/monotonic.js"
import { printable } from "../../../shared/text.js"
import { McpServerUnavailable, type McpToolServer } from "../McpToolsOptions.js"
import { connect, type Connection, type Versions } from "./Connection.js"
import { httpTransport } from "./http.js"
import type { ListedTool } from "./listing.js"
import type { Settings } from "./settings.js"
import { stdioTransport } from "./stdio.js"

type State =
  | { readonly _tag: "Connecting" }
  | { readonly _tag: "Ready"; readonly connection: Connection }
  | { readonly _tag: "Down" }

/** A server, and what can be done with it at any time. */
export interface Supervised {
  readonly server: McpToolServer
  /** What it has listed last, also while it is being restarted. */
  readonly tools: () => ReadonlyArray<ListedTool>
  /** The connection, now or when the next one is there. `None` when there is none within the time that calls wait. */
  readonly connection: Effect.Effect<Option.Option<Connection>>
  readonly state: Effect.Effect<State["_tag"]>
}

/** A connection that has lasted so long is not part of a failure that repeats itself. */
const stableMillis = 60_000

const connecting: State = { _tag: "Connecting" }

const transportOf = (
  server: McpToolServer,
  settings: Settings,
  executor: Option.Option<CommandExecutor.CommandExecutor>
) => {
  switch (server._tag) {
    case "Http":
      return Effect.try(() => httpTransport(server, settings.maxMessageBytes))
    case "Transport":
      return Effect.try(() => server.connect())
    case "Stdio":
      return Option.match(executor, {
        onNone: () => Effect.dieMessage("A server that is a program needs a CommandExecutor"),
        onSome: (service) =>
          stdioTransport(server, {
            maxMessageBytes: settings.maxMessageBytes,
            gracePeriod: settings.graceMillis,
            executor: service
          })
      })
  }
}

const warn = (message: string, server: McpToolServer, annotations: Readonly<Record<string, unknown>>) =>
  Effect.annotateLogs(Effect.logWarning(message), {
    package: "effect-task-manager",
    server: printable(server.name),
    ...annotations
  })

/** Keeps a server connected while the scope is open. Fails if the first connection fails and the server is not optional. */
export const supervise = (
  server: McpToolServer,
  settings: Settings,
  executor: Option.Option<CommandExecutor.CommandExecutor>
): Effect.Effect<Supervised, McpServerUnavailable, Scope.Scope> =>
  Effect.gen(function*() {
    const state = yield* SubscriptionRef.make<State>(connecting)
    const first = yield* Deferred.make<void, McpServerUnavailable>()
    let tools: () => ReadonlyArray<ListedTool> = () => []

    const once = (versions: Versions) =>
      Effect.gen(function*() {
        const transport = yield* transportOf(server, settings, executor)
        const say = Runtime.runSync(yield* Effect.runtime<never>())
        return yield* connect({ name: server.name, isStdio: server._tag !== "Http" }, transport, {
          versions,
          timeoutMillis: settings.connectMillis,
          onListed: (leftOut) => {
            if (leftOut.length === 0) return
            say(warn("Tools of an MCP server are left out", server, { tools: leftOut.slice(0, 10).join("; ") }))
          }
        })
      })

    /** In a scope of its own: when it fails, nothing of it is left. */
    const opened = (versions: Versions) =>
      Effect.flatMap(Scope.make(), (scope) =>
        Effect.map(
          Scope.extend(once(versions), scope).pipe(
            Effect.onExit((exit) => Exit.isSuccess(exit) ? Effect.void : Scope.close(scope, exit))
          ),
          (connection) => ({ connection, scope })
        ))

    // some old servers end when they are asked for a version that they do not know
    const attempt = server._tag === "Stdio"
      ? Effect.catchAll(opened("auto"), () => opened("legacy"))
      : opened("auto")

    const connected = Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        restore(Effect.timeoutFail(attempt, {
          duration: settings.connectMillis,
          onTimeout: () => new Cause.TimeoutException("The server did not answer in time")
        })),
        ({ connection, scope }) =>
          Effect.gen(function*() {
            tools = connection.tools
            yield* SubscriptionRef.set(state, { _tag: "Ready", connection })
            yield* Deferred.succeed(first, undefined)
            yield* restore(connection.closed)
          }).pipe(
            Effect.ensuring(Effect.zipRight(SubscriptionRef.set(state, connecting), Scope.close(scope, Exit.void)))
          )
      )
    )

    const unavailable = (cause: unknown) =>
      new McpServerUnavailable({
        server: server.name,
        message: `The MCP server "${printable(server.name)}" could not be connected to`,
        cause
      })

    const keep = Effect.gen(function*() {
      const driver = yield* Schedule.driver(settings.restart)
      for (;;) {
        const began = yield* monotonicNow
        const exit = yield* Effect.exit(connected)
        const isFirst = !(yield* Deferred.isDone(first))
        if (Exit.isFailure(exit) && isFirst) {
          if (server.optional !== true) {
            return yield* Effect.asVoid(Deferred.fail(first, unavailable(Cause.squash(exit.cause))))
          }
          yield* Deferred.succeed(first, undefined)
        }
        yield* warn(
          Exit.isSuccess(exit) ? "An MCP server has ended" : "An MCP server could not be connected to",
          server,
          {}
        )
        if ((yield* monotonicNow) - began >= stableMillis) yield* driver.reset
        if (Option.isNone(yield* Effect.option(driver.next(undefined)))) break
      }
      yield* SubscriptionRef.set(state, { _tag: "Down" })
      yield* warn("An MCP server is not restarted any more", server, {})
    })
    yield* Effect.forkScoped(Effect.interruptible(keep))
    yield* Deferred.await(first)

    const isOpen = (now: State) => now._tag === "Ready" && !now.connection.isClosed()
    const settled = Stream.runHead(Stream.filter(state.changes, (now) => now._tag === "Down" || isOpen(now)))
    return {
      server,
      tools: () => tools(),
      state: Effect.map(state.get, ({ _tag }) => _tag),
      connection: Effect.flatMap(state.get, (now) =>
        now._tag === "Ready" && !now.connection.isClosed()
          ? Effect.succeedSome(now.connection)
          : settled.pipe(
            Effect.timeoutOption(settings.callWaitMillis),
            Effect.map((found) =>
              Option.flatMap(
                Option.flatten(found),
                (then) => then._tag === "Ready" ? Option.some(then.connection) : Option.none()
              )
            )
          ))
    }
  })

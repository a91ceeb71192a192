/** The official SDK's server for one client, in the generation that it speaks. */
import { Server } from "@modelcontextprotocol/server"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { makeRun } from "./bridge.js"
import type { Client } from "./calls.js"
import * as ClientTasks from "./ClientTasks.js"
import * as legacy from "./legacy.js"
import * as modern from "./modern.js"
import { tasksExtension } from "./rpc.js"
import type { Settings } from "./settings.js"

/** A client, whose requests and tasks end with the scope. */
export const makeClient = (settings: Settings): Effect.Effect<Client, never, Scope.Scope> =>
  Effect.gen(function*() {
    const tasks = yield* ClientTasks.make(settings)
    // made later, so that no request is answered any more when the tasks end
    const run = yield* makeRun
    return { settings, tasks, run }
  })

export type Era = "modern" | "legacy"

/** A server for requests of the client: the SDK takes a new one for each request, or one for a connection. */
export const serverOf = (client: Client, era: Era): Server => {
  const { info, instructions } = client.settings.options
  const { name, title, version } = info
  const server = new Server({ name, version, ...(title === undefined ? undefined : { title }) }, {
    capabilities: {
      tools: {},
      ...(era === "modern"
        ? { extensions: { [tasksExtension]: {} } }
        : { tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } })
    },
    ...(instructions === undefined ? undefined : { instructions })
  })
  if (era === "modern") modern.install(server, client)
  else legacy.install(server, client)
  return server
}

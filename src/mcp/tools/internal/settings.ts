/** The options, checked and with their defaults. */
import * as Duration from "effect/Duration"
import * as Schedule from "effect/Schedule"
import { millisOf } from "../../../shared/durations.js"
import { integerOf, refuseUnless, refuseUnlessObject, refuseUnlessOneOf } from "../../../shared/refusals.js"
import type { McpApproval, McpToolServer, McpToolsOptions } from "../McpToolsOptions.js"

export interface Settings {
  readonly approval: McpApproval
  readonly route: McpToolsOptions["route"]
  readonly restart: Schedule.Schedule<unknown>
  readonly connectMillis: number
  readonly callWaitMillis: number
  readonly graceMillis: number
  readonly questionMillis: number
  readonly maxMessageBytes: number
}

const restart: Schedule.Schedule<unknown> = Schedule.union(
  Schedule.exponential("250 millis"),
  Schedule.spaced("30 seconds")
)

const checkApproval = (field: string, value: unknown): void => {
  if (typeof value === "function") return
  refuseUnlessOneOf(["always", "destructive", "never"], field, value)
}

const isText = (value: unknown): boolean => typeof value === "string" && value !== ""

const checkServer = (place: string, server: McpToolServer): void => {
  refuseUnlessObject(place, "a server", server)
  refuseUnless(isText(server.name), `${place}.name`, "a non-empty string", server.name)
  if (server.approval !== undefined) checkApproval(`${place}.approval`, server.approval)
  refuseUnlessOneOf(["Stdio", "Http", "Transport"], `${place}._tag`, server._tag)
  switch (server._tag) {
    case "Stdio":
      return refuseUnless(isText(server.command), `${place}.command`, "a non-empty string", server.command)
    case "Http":
      return refuseUnless(
        isText(server.url) && URL.canParse(server.url) && /^https?:$/.test(new URL(server.url).protocol),
        `${place}.url`,
        "the URL of an MCP server, with http or https",
        undefined
      )
    case "Transport":
      return refuseUnless(typeof server.connect === "function", `${place}.connect`, "a function", server.connect)
  }
}

/** Throws for a wrong setting, and names it; values of servers may be secret, and are not shown. */
export const readSettings = (options: McpToolsOptions): Settings => {
  const owner = "McpToolsOptions"
  refuseUnlessObject(owner, "an object", options)
  const { approval = "always", servers } = options
  refuseUnless(Array.isArray(servers), `${owner}.servers`, "a list of servers", servers)
  servers.forEach((server, at) => checkServer(`${owner}.servers[${at}]`, server))
  const names = servers.map(({ name }) => name)
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  refuseUnless(twice === undefined, `${owner}.servers`, "servers with a name of their own each", twice)
  checkApproval(`${owner}.approval`, approval)
  refuseUnless(
    options.restart === undefined || Schedule.isSchedule(options.restart),
    `${owner}.restart`,
    "a Schedule",
    options.restart
  )
  const millis = (field: keyof McpToolsOptions, fallback: Duration.DurationInput) =>
    Math.min(millisOf(`${owner}.${field}`, options[field] ?? Duration.decode(fallback)), 2 ** 31 - 1)
  return {
    approval,
    route: options.route,
    restart: options.restart ?? restart,
    connectMillis: millis("connectTimeout", "30 seconds"),
    callWaitMillis: millis("callWait", "30 seconds"),
    graceMillis: millis("gracePeriod", "2 seconds"),
    questionMillis: millis("questionTimeout", "1 hour"),
    maxMessageBytes: integerOf(`${owner}.maxMessageBytes`, options.maxMessageBytes ?? 16_777_216, 1_024)
  }
}

/** The tools of all servers, by names that providers take. */
import type { ToolSpec } from "../../../model/ToolCall.js"
import type { McpTool } from "../McpToolsOptions.js"
import type { ListedTool } from "./listing.js"
import { safeNames } from "./names.js"
import type { Supervised } from "./Supervisor.js"

/** A tool by its safe name. */
export interface Entry {
  readonly server: string
  readonly tool: string
  readonly listed: ListedTool
  readonly supervised: Supervised
}

/** Every tool, and what is said of it to others. */
export interface Catalog {
  readonly entries: ReadonlyMap<string, Entry>
  readonly specs: ReadonlyArray<ToolSpec>
}

/** What there is now; the names are made anew when a server has listed others. */
export const makeCatalog = (servers: ReadonlyArray<Supervised>) => {
  let lists: ReadonlyArray<ReadonlyArray<ListedTool>> = []
  let index: Catalog = { entries: new Map(), specs: [] }
  return (): Catalog => {
    const now = servers.map(({ tools }) => tools())
    if (now.length === lists.length && now.every((list, at) => list === lists[at])) return index
    lists = now
    const entries = safeNames(servers.flatMap((supervised, at) =>
      (now[at] ?? []).map((listed): Entry => ({
        server: supervised.server.name,
        tool: listed.tool.name,
        listed,
        supervised
      }))
    ))
    index = { entries, specs: [...entries].map(([name, { listed }]) => specOf(name, listed.tool)) }
    return index
  }
}

const specOf = (name: string, { description, hints, inputSchema, name: tool, server, title }: McpTool): ToolSpec => ({
  name,
  description: description === "" ? title : description,
  inputSchema,
  // the names that the protocol gives them
  annotations: {
    ...(title === "" ? undefined : { title }),
    ...(hints.readOnly === undefined ? undefined : { readOnlyHint: hints.readOnly }),
    ...(hints.destructive === undefined ? undefined : { destructiveHint: hints.destructive }),
    ...(hints.idempotent === undefined ? undefined : { idempotentHint: hints.idempotent }),
    ...(hints.openWorld === undefined ? undefined : { openWorldHint: hints.openWorld })
  },
  metadata: { mcp: { server, tool } }
})

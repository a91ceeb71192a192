/** Checks what `createTaskManager` is given: it may come from a program without types. */
import * as Predicate from "effect/Predicate"
import { checkTools, wrongDescription } from "../../services/toolChecks.js"
import { shown } from "../../shared/text.js"
import type { CreateTaskManagerOptions } from "../CreateTaskManagerOptions.js"

const owner = "createTaskManager"

const takes: Readonly<Record<keyof CreateTaskManagerOptions, true>> = { tools: true, routing: true, config: true }

const wrongTool = (place: string, tool: unknown): string | undefined => {
  if (typeof tool === "function") return undefined
  return Predicate.hasProperty(tool, "execute") && typeof tool.execute === "function"
    ? wrongDescription(place, tool)
    : `${place} must be a function or an object with an execute function`
}

/** Throws a `TypeError` that says what is wrong or missing. The values of `config` are checked by the manager. */
export const checkOptions = (options: unknown): void => {
  const refuse = (what: string) => {
    throw new TypeError(`${owner}: ${what}`)
  }
  if (options !== undefined && (!Predicate.isRecord(options) || Array.isArray(options))) {
    return refuse("options must be an object with tools")
  }
  const given = options ?? {}
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(takes, name))
  if (unknown !== undefined) return refuse(`no option ${shown(unknown)}: it takes ${Object.keys(takes).join(", ")}`)
  const { config, routing, tools } = given
  checkTools(owner, "tools", tools, wrongTool)
  if (routing !== undefined && typeof routing !== "function") return refuse("routing must be a function")
  if (config !== undefined && (!Predicate.isRecord(config) || Array.isArray(config))) {
    return refuse("config must be an object")
  }
}

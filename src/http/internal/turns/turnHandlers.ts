/** The handlers of the updates of turns. */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import { TaskManagerApi } from "../../api/TaskManagerApi.js"
import type { Consumers } from "./Consumers.js"

export const turnsGroup = ({ end, keep, next }: Consumers) =>
  HttpApiBuilder.group(TaskManagerApi, "turns", (handlers) =>
    handlers
      .handle("next", ({ payload: { within = 0, ...asked } }) => next({ ...asked, within }))
      .handle("keep", ({ payload: { consumer } }) => keep(consumer))
      .handle("end", ({ payload: { consumer, number } }) => end(consumer, number)))

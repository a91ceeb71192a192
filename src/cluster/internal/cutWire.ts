/** How a cut wire shows where a call is on its way. */
import * as Predicate from "effect/Predicate"

const tags: ReadonlySet<unknown> = new Set([
  "SocketError",
  "RpcClientError",
  "RunnerUnavailable",
  "EntityNotAssignedToRunner"
])

/** Whether a call died because the wire was cut, or its runner left: it may be made again. */
export const isCutWire = (defect: unknown): boolean => Predicate.hasProperty(defect, "_tag") && tags.has(defect._tag)

/** A task in the words of the two generations. Plain functions. */
import type { Task } from "@modelcontextprotocol/server"
import * as DateTime from "effect/DateTime"
import type { TaskRecord } from "./TaskRecord.js"

type Status = "working" | "input_required" | "completed" | "failed" | "cancelled"

/** A call that has failed is completed: `failed` says that the protocol has. */
const statusOf = ({ state }: TaskRecord): Status => {
  switch (state._tag) {
    case "Working":
      return "working"
    case "Asking":
      return "input_required"
    case "Settled":
      return state.error !== undefined ? "failed" : state.status === "Cancelled" ? "cancelled" : "completed"
  }
}

const isoTime = (millis: number): string => DateTime.formatIso(DateTime.unsafeMake(millis))

const common = (record: TaskRecord) => ({
  taskId: record.id,
  createdAt: isoTime(record.createdAt),
  lastUpdatedAt: isoTime(record.updatedAt),
  ...(record.message === undefined ? undefined : { statusMessage: record.message })
})

const timeToLive = ({ ttl }: TaskRecord): number | null => ttl === Infinity ? null : ttl

/** As 2026-07-28 has it. */
export const taskOf = (record: TaskRecord, pollIntervalMs: number) => ({
  ...common(record),
  status: statusOf(record),
  ttlMs: timeToLive(record),
  pollIntervalMs
})

/** As 2025-11-25 has it. */
export const experimentalTaskOf = (record: TaskRecord, pollInterval: number): Task => ({
  ...common(record),
  status: statusOf(record),
  ttl: timeToLive(record),
  pollInterval
})

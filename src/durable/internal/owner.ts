/**
 * Who has a journal open. Where an owner is a process of this machine that has ended, nobody need wait for its lease. That a living
 * one is taken for a dead one does no harm but to it: the epoch keeps it from writing.
 */
import * as Predicate from "effect/Predicate"
import { randomToken } from "../../shared/randomToken.js"

interface Process {
  readonly pid: number
  readonly kill: (pid: number, signal: 0) => void
  readonly getBuiltinModule?: (name: string) => unknown
}

// no import: the package runs where there is no such module
const currentProcess = (): Process | undefined => {
  const { process } = globalThis as { readonly process?: Partial<Process> }
  return typeof process?.pid === "number" && typeof process.kill === "function"
    // both are there, and the third may be missing
    ? process as Process
    : undefined
}

/** The name of the machine: process ids of two machines, or of two containers, say nothing of each other. */
const hostOf = (process: Process): string | undefined => {
  const os = process.getBuiltinModule?.("node:os")
  if (!Predicate.hasProperty(os, "hostname") || typeof os.hostname !== "function") return undefined
  const host: unknown = os.hostname()
  return typeof host === "string" && host !== "" ? host : undefined
}

/** The owners in this process, also of another copy of this module. */
const owners = (): Set<string> => {
  const key = Symbol.for("effect-task-manager/durable/owners")
  const known = globalThis as { [key]?: Set<string> }
  return known[key] ??= new Set()
}

/** A new owner: the token tells it from others in the same process, and from an earlier process of the same id. */
export const enterOwner = (): string => {
  const process = currentProcess()
  const host = process === undefined ? undefined : hostOf(process)
  const owner = [process?.pid ?? "", randomToken(), host ?? ""].join(" ")
  owners().add(owner)
  return owner
}

export const leaveOwner = (owner: string): void => void owners().delete(owner)

/** Whether the process of the owner was on this machine and has ended. */
export const hasEnded = (owner: string): boolean => {
  const process = currentProcess()
  const host = process === undefined ? undefined : hostOf(process)
  const [pidText = "", , ...hostParts] = owner.split(" ")
  const pid = Number(pidText)
  if (process === undefined || host === undefined || hostParts.join(" ") !== host || !Number.isSafeInteger(pid)) {
    return false
  }
  if (pid < 1) return false
  if (pid === process.pid) return !owners().has(owner)
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return Predicate.hasProperty(error, "code") && error.code === "ESRCH"
  }
}

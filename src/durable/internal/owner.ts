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

/** What this thread knows of the owners in it, also in another copy of this module. */
interface Thread {
  readonly name: string
  readonly owners: Set<string>
}

// threads share the id of their process, and nothing else that could be looked at here
const thisThread = (): Thread => {
  const key = Symbol.for("effect-task-manager/durable/thread")
  const known = globalThis as { [key]?: Thread }
  return known[key] ??= { name: randomToken(), owners: new Set() }
}

/** A new owner: its process, its thread, itself, its lease in milliseconds, its machine. */
export const enterOwner = (leaseMillis: number): string => {
  const process = currentProcess()
  const host = process === undefined ? undefined : hostOf(process)
  const { name, owners } = thisThread()
  const owner = [process?.pid ?? "", name, randomToken(), leaseMillis, host ?? ""].join(" ")
  owners.add(owner)
  return owner
}

export const leaveOwner = (owner: string): void => void thisThread().owners.delete(owner)

const read = (owner: string) => {
  const [pid = "", thread, , lease = "", ...host] = owner.split(" ")
  return { pid: Number(pid), thread, leaseMillis: Number(lease), host: host.join(" ") }
}

/** The lease of the owner, if it says that. */
export const leaseOf = (owner: string): number | undefined => {
  const { leaseMillis } = read(owner)
  return Number.isSafeInteger(leaseMillis) && leaseMillis > 0 ? leaseMillis : undefined
}

/**
 * Whether the owner was on this machine and has ended. One of this process that this thread does not know may be one of another thread, and
 * lives as long as its lease: it may also be one of an earlier process that had the same id, as the first one of a container has.
 */
export const hasEnded = (owner: string): boolean => {
  const process = currentProcess()
  const host = process === undefined ? undefined : hostOf(process)
  const of = read(owner)
  if (process === undefined || host === undefined || of.host !== host || !Number.isSafeInteger(of.pid) || of.pid < 1) {
    return false
  }
  if (of.pid === process.pid) {
    const { name, owners } = thisThread()
    return of.thread === name && !owners.has(owner)
  }
  try {
    process.kill(of.pid, 0)
    return false
  } catch (error) {
    return Predicate.hasProperty(error, "code") && error.code === "ESRCH"
  }
}

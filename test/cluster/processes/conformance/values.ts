/**
 * Values on their way between processes. The structured clone of Node keeps data, and neither classes of Effect nor typed errors; what
 * is no data at all (functions) cannot travel.
 */
import { Cause, Duration, Effect, Exit, Option } from "effect"
import { ApprovalRequired, ToolError } from "effect-task-manager"

const marks = ["~none", "~some", "~duration", "~toolError", "~approvalRequired"] as const

const marked = (mark: typeof marks[number], value: unknown) => ({ [mark]: value })

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

/** Copies lists and plain objects, cycles included. */
const copied = (value: unknown, change: (value: object) => object | undefined): unknown => {
  const copies = new Map<object, unknown>()
  const copy = (one: unknown): unknown => {
    if (typeof one !== "object" || one === null) return one
    if (copies.has(one)) return copies.get(one)
    const changed = change(one)
    if (changed !== undefined) return changed
    if (Array.isArray(one)) {
      const list: Array<unknown> = []
      copies.set(one, list)
      for (const item of one) list.push(copy(item))
      return list
    }
    if (!isPlain(one)) return one
    const object: Record<string, unknown> = {}
    copies.set(one, object)
    for (const [key, field] of Object.entries(one)) {
      Object.defineProperty(object, key, { value: copy(field), enumerable: true, configurable: true, writable: true })
    }
    return object
  }
  return copy(value)
}

export const pack = (value: unknown): unknown =>
  copied(value, (one) => {
    if (Option.isOption(one)) return Option.isNone(one) ? marked("~none", null) : marked("~some", pack(one.value))
    if (Duration.isDuration(one)) return marked("~duration", Duration.toMillis(one))
    if (one instanceof ToolError) {
      const { message, reason, toolName } = one
      return marked("~toolError", { message, reason, toolName })
    }
    if (one instanceof ApprovalRequired) return marked("~approvalRequired", pack(one.approval))
    return undefined
  })

export const unpack = (value: unknown): unknown =>
  copied(value, (one) => {
    const keys = Object.keys(one)
    const mark = keys.length === 1 ? marks.find((known) => known === keys[0]) : undefined
    if (mark === undefined) return undefined
    // `pack` has written it
    const inner = Reflect.get(one, mark) as never
    switch (mark) {
      case "~none":
        return Option.none()
      case "~some":
        return Option.some(unpack(inner))
      case "~duration":
        return Duration.millis(inner)
      // as the tool has made it, whatever is in it
      case "~toolError":
        return new ToolError(inner, { disableValidation: true })
      case "~approvalRequired":
        return new ApprovalRequired({ approval: inner }, { disableValidation: true })
    }
  })

/** How something has ended, on its way. */
export type SentExit =
  | { readonly _tag: "Success"; readonly value: unknown }
  | { readonly _tag: "Failure"; readonly error: unknown }
  | { readonly _tag: "Defect"; readonly defect: unknown }
  | { readonly _tag: "Interrupted" }

/** An error keeps its name and its message, and what else is no data becomes a text. */
const packDefect = (defect: unknown): unknown => {
  if (defect instanceof Error) {
    const { message, name } = defect
    const error = new Error(message)
    error.name = name
    return error
  }
  return typeof defect === "object" || typeof defect === "function" ? String(defect) : defect
}

export const packExit = (exit: Exit.Exit<unknown, unknown>): SentExit => {
  if (Exit.isSuccess(exit)) return { _tag: "Success", value: pack(exit.value) }
  const failure = Cause.failureOption(exit.cause)
  if (Option.isSome(failure)) return { _tag: "Failure", error: pack(failure.value) }
  const defect = Cause.dieOption(exit.cause)
  return Option.isSome(defect)
    ? { _tag: "Defect", defect: packDefect(defect.value) }
    : { _tag: "Interrupted" }
}

export const unpackExit = (exit: SentExit): Effect.Effect<unknown, unknown> => {
  switch (exit._tag) {
    case "Success":
      return Effect.succeed(unpack(exit.value))
    case "Failure":
      return Effect.fail(unpack(exit.error))
    case "Defect":
      return Effect.die(exit.defect)
    case "Interrupted":
      return Effect.interrupt
  }
}

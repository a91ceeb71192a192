/**
 * Errors whose `cause` is for the program alone: it may hold what a tool was given to keep secret.
 *
 * @since 0.1.0
 */
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/**
 * The field of such an error. It is never encoded and never decoded.
 *
 * @since 0.1.0
 * @category schemas
 */
export const hiddenCause = Schema.optionalToOptional(Schema.Unknown, Schema.Unknown, {
  decode: () => Option.none(),
  encode: () => Option.none()
})

const causes = new WeakMap<object, unknown>()

const hide = (error: object): void => {
  const own = Object.getOwnPropertyDescriptor(error, "cause")
  if (own === undefined) return
  if (own.value !== undefined) causes.set(error, own.value)
  Reflect.deleteProperty(error, "cause")
}

// `Cause.pretty`, which all loggers of Effect print, shows the cause of every error of which `"cause" in error` is true
const hidingPrototype = (prototype: object): object =>
  new Proxy(prototype, {
    has: (target, key) => key !== "cause" && Reflect.has(target, key),
    get: (target, key, error) => key === "cause" ? causes.get(error) : Reflect.get(target, key, error)
  })

/** Not `error.message` alone: without its fields an error cannot be told from another. */
function toJSON(this: Error): object {
  return { ...this, message: this.message }
}

function inspect(this: Error): unknown {
  return this.stack ?? this.toString()
}

/**
 * The class of an error whose cause is hidden: `error.cause` gives it, and nothing else does. `JSON.stringify`,
 * `console.log`, `Cause.pretty` and the loggers of Effect show the error without it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const hidingCause = <Class extends abstract new(...fields: never) => Error>(errorClass: Class): Class => {
  const { prototype } = errorClass
  Object.setPrototypeOf(prototype, hidingPrototype(Object.getPrototypeOf(prototype)))
  const method = (value: unknown) => ({ value, enumerable: false, writable: true, configurable: true })
  Object.defineProperties(prototype, { toJSON: method(toJSON), [Inspectable.NodeInspectSymbol]: method(inspect) })
  return new Proxy(errorClass, {
    construct: (target, fields, newTarget) => {
      const error: object = Reflect.construct(target as unknown as new() => object, fields, newTarget)
      hide(error)
      return error
    }
  })
}

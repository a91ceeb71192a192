/** A console that says everything on the error output: the other one belongs to the protocol. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"

const toErrors = (console: Console.UnsafeConsole): Console.UnsafeConsole => ({
  assert: (condition, ...args) => console.assert(condition, ...args),
  clear: () => {},
  count: (label) => console.error(label ?? "default"),
  countReset: () => {},
  debug: (...args) => console.error(...args),
  dir: (item) => console.error(item),
  dirxml: (...args) => console.error(...args),
  error: (...args) => console.error(...args),
  group: (...args) => console.error(...args),
  groupCollapsed: (...args) => console.error(...args),
  groupEnd: () => {},
  info: (...args) => console.error(...args),
  log: (...args) => console.error(...args),
  table: (data) => console.error(data),
  time: () => {},
  timeEnd: (label) => console.error(label ?? "default"),
  timeLog: (label, ...args) => console.error(label ?? "default", ...args),
  trace: (...args) => console.trace(...args),
  warn: (...args) => console.warn(...args)
})

/** With it, the loggers of Effect and `Console` write nothing to the standard output. */
export const withStderrConsole = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.consoleWith((console) => {
    const unsafe = toErrors(console.unsafe)
    const say = (write: (console: Console.UnsafeConsole) => void) => Effect.sync(() => write(unsafe))
    const stderr: Console.Console = {
      [Console.TypeId]: Console.TypeId,
      unsafe,
      assert: (condition, ...args) => say((to) => to.assert(condition, ...args)),
      clear: Effect.void,
      count: (label) => say((to) => to.count(label)),
      countReset: () => Effect.void,
      debug: (...args) => say((to) => to.debug(...args)),
      dir: (item) => say((to) => to.dir(item)),
      dirxml: (...args) => say((to) => to.dirxml(...args)),
      error: (...args) => say((to) => to.error(...args)),
      group: (options) => say((to) => to.group(options?.label ?? "")),
      groupEnd: Effect.void,
      info: (...args) => say((to) => to.info(...args)),
      log: (...args) => say((to) => to.log(...args)),
      table: (data) => say((to) => to.table(data)),
      time: () => Effect.void,
      timeEnd: (label) => say((to) => to.timeEnd(label)),
      timeLog: (label, ...args) => say((to) => to.timeLog(label, ...args)),
      trace: (...args) => say((to) => to.trace(...args)),
      warn: (...args) => say((to) => to.warn(...args))
    }
    return Effect.withConsole(effect, stderr)
  })

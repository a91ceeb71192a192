import { assert, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { createRequire } from "node:module"
import { warnOfDuplicateEffect } from "../../src/runtime/setup/duplicateEffect.js"

/** What is logged on one copy of effect. */
const loggedOn = async (runPromise: typeof Effect.runPromise): Promise<ReadonlyArray<unknown>> => {
  const lines: Array<unknown> = []
  const logger = Logger.make(({ message }) => lines.push(message))
  await runPromise(warnOfDuplicateEffect.pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger))))
  return lines
}

it("says nothing when the program runs on the library's own copy of effect", async () => {
  assert.deepStrictEqual(await loggedOn(Effect.runPromise), [])
})

it("warns when the program runs on another copy of effect", async () => {
  // what a CommonJS file gets that requires effect, next to the ES module that this library imports
  const other: typeof Effect = createRequire(import.meta.url)("effect/Effect")
  assert.include(String(await loggedOn(other.runPromise)), "Two copies of the effect package are loaded")
})

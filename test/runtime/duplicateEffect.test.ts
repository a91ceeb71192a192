import { assert, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { warnOfDuplicateEffect } from "../../src/runtime/setup/duplicateEffect.js"

it.effect("says nothing when the program runs on the library's own copy of effect", () =>
  Effect.gen(function*() {
    const lines: Array<unknown> = []
    const logger = Logger.make(({ message }) => lines.push(message))
    yield* warnOfDuplicateEffect.pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
    assert.deepStrictEqual(lines, [])
  }))

// what a CommonJS file gets that requires effect, next to the ES module that this library imports
it("warns when the program runs on another copy of effect", async () => {
  const program = `
    import { createRequire } from "node:module"
    import { warnOfDuplicateEffect } from ${
    JSON.stringify(join(import.meta.dirname, "../../src/runtime/setup/duplicateEffect.ts"))
  }
    const Other = createRequire(${JSON.stringify(import.meta.filename)})("effect/Effect")
    await Other.runPromise(warnOfDuplicateEffect)`
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--import", "tsx", "--input-type=module", "-e", program],
    { cwd: join(import.meta.dirname, "../..") }
  )
  assert.include(stdout, "Two copies of the effect package are loaded")
})

import { assert, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { execFile } from "node:child_process"
import { cp, mkdtemp, rm } from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import { warnOfDuplicateEffect } from "../../src/runtime/setup/duplicateEffect.js"

it.effect("says nothing when the program runs on the library's own copy of effect", () =>
  Effect.gen(function*() {
    const lines: Array<unknown> = []
    const logger = Logger.make(({ message }) => lines.push(message))
    yield* warnOfDuplicateEffect.pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)))
    assert.deepStrictEqual(lines, [])
  }))

it("warns when the program runs on another copy of effect", async () => {
  const folder = await mkdtemp(join(tmpdir(), "two-effects-"))
  try {
    const modules = dirname(dirname(createRequire(import.meta.url).resolve("effect/package.json")))
    for (const name of ["effect", "fast-check", "pure-rand", "@standard-schema"]) {
      await cp(join(modules, name), join(folder, "node_modules", name), {
        recursive: true,
        filter: (path) => !/\/(src|cjs|dts)$/.test(path)
      })
    }
    const program = `
      const Other = await import(${JSON.stringify(join(folder, "node_modules/effect/dist/esm/Effect.js"))})
      const { warnOfDuplicateEffect } = await import(${
      JSON.stringify(join(import.meta.dirname, "../../src/runtime/setup/duplicateEffect.ts"))
    })
      await Other.runPromise(warnOfDuplicateEffect)`
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--import", "tsx", "--input-type=module", "-e", program],
      { cwd: modules }
    )
    assert.include(stdout, "Two copies of the effect package are loaded")
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

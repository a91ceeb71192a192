import { defineConfig } from "vitest/config"
import base from "./vitest.config.js"

/** What Stryker runs for every mutant: unit tests alone. Properties, simulations and processes take seconds each. */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: ["test/support/mutated.ts"],
    poolOptions: { forks: { minForks: 1, maxForks: 1, isolate: false } },
    testTimeout: 5_000
  }
})

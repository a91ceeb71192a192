import { defineConfig, mergeConfig } from "vitest/config"
import base from "./vitest.config.js"

/** What Stryker runs for every mutant: unit tests alone. Properties, simulations and processes take seconds each. */
export default defineConfig((environment) => {
  const merged = mergeConfig(base(environment), {
    test: { poolOptions: { forks: { maxForks: 1 } }, testTimeout: 5_000 }
  })
  return { ...merged, test: { ...merged.test, include: ["test/support/mutated.ts"] } }
})

import { mergeConfig } from "vitest/config"
import base from "./vitest.config.js"

/** What Stryker runs for every mutant: the unit tests alone, without properties and simulations, which take seconds each. */
export default mergeConfig(base, {
  test: {
    exclude: [
      "test/simulator*",
      "test/demo.test.ts",
      "test/seed.test.ts",
      "test/conformance.test.ts",
      "test/model-based.test.ts",
      "test/machine/random.test.ts",
      "test/types.test.ts",
      "test/model/**",
      "test/runtime/duplicateEffect.test.ts",
      "test/runtime/outputLimits.test.ts",
      "test/runtime/settings.test.ts",
      "test/runtime/routing.test.ts",
      "test/runtime/launchExit.test.ts",
      "test/runtime/Timers.test.ts"
    ],
    testTimeout: 10_000
  }
})

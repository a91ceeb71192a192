import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

const source = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url))

// the whole simulation is part of `npm test`; instrumented, a part of it shows as much
const isCoverage = process.argv.includes("--coverage")

export default defineConfig({
  resolve: {
    // the longer name first: an alias given as a string also matches its sub-paths
    alias: [
      { find: /^effect-task-manager\/(testing|ai|ai\/testing|promise)$/, replacement: source("$1/index.ts") },
      { find: /^effect-task-manager$/, replacement: source("index.ts") }
    ]
  },
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/support/deepEqual.ts"],
    pool: "forks",
    poolOptions: { forks: { minForks: 1, maxForks: 2 } },
    testTimeout: 180_000,
    hookTimeout: 60_000,
    env: isCoverage ? { SIMULATED_SEEDS: "1000" } : {},
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts"],
      reporter: ["text", "json-summary", "html"],
      reportsDirectory: "coverage",
      thresholds: { lines: 95, branches: 90 }
    }
  }
})

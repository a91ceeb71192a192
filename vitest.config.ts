import { availableParallelism } from "node:os"
import { relative } from "node:path"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

const source = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url))

// what takes longest begins first, so that no core is idle while the last file runs; a mode skips what it does not have
const longestFirst = [
  // they collect garbage again and again, which takes long in a process that has run other files before
  "test/shared/memoryOf.test.ts",
  "test/shared/ownText.test.ts",
  // all seeds, and mistakes that are looked for
  "test/simulator/durable.test.ts",
  "test/simulator/manager.test.ts",
  "test/simulator/agentLoop.test.ts",
  "test/simulator/agentLoop-mistakes.test.ts",
  "test/simulator/manager-mistakes.test.ts",
  "test/simulator/durable-mistakes.test.ts",
  // they wait most of the time: each has its place next to files that compute
  "test/cluster/processes.test.ts",
  "test/cluster/agentProcesses.test.ts",
  "test/cluster/conformanceProcesses.test.ts",
  "test/demo-durable.test.ts",
  "test/demo-agent.test.ts",
  "test/http/board/browser/load.test.ts",
  "test/http/board/browser/page.test.ts",
  "test/durable/kill-postgres.test.ts",
  "test/durable/postgres.test.ts",
  "test/conformance.test.ts",
  "test/cluster/conformance.test.ts",
  "test/durable/conformance.test.ts",
  "test/durable/agent.test.ts",
  "test/otel/otlp.test.ts",
  "test/guide.test.ts",
  "test/demo-processes.test.ts",
  "test/durable/files.test.ts",
  "test/durable/kill.test.ts",
  "test/ai/shell/leftProcesses.test.ts",
  "test/ai/shell/ShellTool.test.ts",
  "test/ai/providers/agentLoop.test.ts"
]

const place = ({ moduleId }: TestSpecification): number => {
  const at = longestFirst.indexOf(relative(import.meta.dirname, moduleId).replaceAll("\\", "/"))
  return at === -1 ? longestFirst.length : at
}

class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    return (await super.sort(files)).sort((one, other) => place(one) - place(other))
  }
}

const everything = ["test/**/*.test.ts"]

// `npm run test:full` is two runs: with `--mode seeds` all that simulates, and with `--mode full` everything else, with coverage,
// which would make the seeds take half as long again
const simulators = ["test/simulator/*.test.ts"]

// whether the simulators find mistakes that are put into the code is a question about the simulators; Postgres runs the suites of
// SQLite once more, on a server that has to be started; others start processes or a browser, wait for real ones, read real
// connections, or end whole agents and start them again
const onlyInFull = [
  "test/simulator/*-mistakes.test.ts",
  "test/durable/*postgres.test.ts",
  "test/cluster/processes.test.ts",
  "test/cluster/agentProcesses.test.ts",
  "test/cluster/agentWire.test.ts",
  "test/cluster/conformanceProcesses.test.ts",
  "test/ai/shell/leftProcesses.test.ts",
  "test/ai/shell/processGroup.test.ts",
  "test/acp/processes.test.ts",
  "test/mcp/toolsProcesses.test.ts",
  "test/mcp/peers.test.ts",
  "test/mcp/toolsAcp.test.ts",
  "test/mcp/server-stdio.test.ts",
  "test/mcp/server-clients.test.ts",
  "test/cluster/upgrade.test.ts",
  "test/cluster/agentSending.test.ts",
  "test/cluster/closing.test.ts",
  "test/cluster/mirrors.test.ts",
  "test/cluster/wireForm.test.ts",
  "test/cluster/client.test.ts",
  "test/cluster/clusterSqlClient.test.ts",
  "test/cluster/plans.test.ts",
  "test/durable/statements.test.ts",
  "test/durable/kill.test.ts",
  "test/durable/agent.test.ts",
  "test/durable/files.test.ts",
  "test/durable/history.test.ts",
  "test/cluster/agents.test.ts",
  "test/http/client.test.ts",
  "test/http/events.test.ts",
  "test/http/ids.test.ts",
  "test/http/pages.test.ts",
  "test/http/sessions.test.ts",
  "test/http/shared.test.ts",
  "test/http/turns.test.ts",
  "test/mcp/server-http.test.ts",
  "test/mcp/toolsHostile.test.ts",
  "test/mcp/toolsHttp.test.ts",
  "test/ui-stream/useChat.test.ts",
  "test/ai/providers/agentLoop.test.ts",
  "test/ai/providers/refused.test.ts",
  "test/examples.test.ts",
  "test/package.test.ts",
  "test/scale.test.ts",
  "test/http/board/browser/*.test.ts",
  "test/demo-agent.test.ts",
  "test/demo-board.test.ts",
  "test/demo-durable.test.ts",
  "test/demo-processes.test.ts"
]

// all cases of it, in a command of its own; with all tests it has some of each section
const onTwoProcesses = ["test/cluster/conformanceProcesses.test.ts"]

const files: Record<string, { readonly include: Array<string>; readonly exclude: Array<string> }> = {
  full: { include: everything, exclude: simulators },
  seeds: { include: simulators, exclude: [] },
  processes: { include: onTwoProcesses, exclude: [] }
}

// test/support/fullMode.ts reads the last one
const full = {
  SIMULATED_SEEDS: "10000",
  SIMULATED_AGENT_SEEDS: "2000",
  SIMULATED_DURABLE_SEEDS: "10000",
  FULL_TESTS: "1"
}

export default defineConfig(({ mode }) => ({
  resolve: {
    // the longer name first: an alias given as a string also matches its sub-paths
    alias: [
      {
        find:
          /^effect-task-manager\/(testing|ai|ai\/testing|ai\/durable|ai\/cluster|acp|promise|durable|otel|cluster|ui-stream|http|mcp)$/,
        replacement: source("$1/index.ts")
      },
      { find: /^effect-task-manager$/, replacement: source("index.ts") }
    ]
  },
  test: {
    ...(files[mode] ?? { include: everything, exclude: onlyInFull }),
    setupFiles: ["test/support/deepEqual.ts"],
    pool: "forks",
    // test files share a process, and with it the modules: to load effect anew for each takes as long as all unit tests. A
    // file that replaces modules puts them back.
    poolOptions: {
      forks: {
        minForks: 1,
        maxForks: Math.max(2, availableParallelism()),
        isolate: false,
        // most of what a test makes is garbage at once: with more room for what is new, a tenth less time goes into collecting it
        execArgv: ["--min-semi-space-size=16", "--max-semi-space-size=64"]
      }
    },
    // of the tests of one file that may run at the same time: those that start processes and wait for them
    maxConcurrency: 3,
    env: mode === "processes" ? { ...full, CLUSTER_CONFORMANCE: "1" } : mode in files ? full : {},
    sequence: { sequencer: LongestFirst },
    testTimeout: 180_000,
    hookTimeout: 60_000,
    coverage: {
      provider: "v8",
      include: ["src/**/*.ts"],
      // a browser runs it
      exclude: ["src/http/board/page/{net,view}/**", "src/http/board/built/**"],
      reporter: ["text", "json-summary", "html"],
      reportsDirectory: "coverage",
      thresholds: { lines: 95, branches: 90 }
    }
  }
}))

/** `npm run bench:telemetry`: what spans and metrics add to a launch, next to what `Effect.withSpan` adds to a fiber. Printed only. */
import { build } from "esbuild"
import { spawnSync } from "node:child_process"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..")
const outfile = join(root, "node_modules/.cache/effect-task-manager-bench/telemetry.mjs")

// as it is: a loader such as tsx wraps every function in a helper, which would be measured too
await build({
  entryPoints: [join(root, "bench/telemetryRun.ts")],
  outfile,
  bundle: true,
  packages: "external",
  platform: "node",
  format: "esm",
  target: "node20",
  tsconfig: join(root, "tsconfig.json"),
  alias: {
    "effect-task-manager/otel": join(root, "src/otel/index.ts"),
    "effect-task-manager": join(root, "src/index.ts")
  }
})
process.exit(spawnSync(process.execPath, [outfile], { stdio: "inherit" }).status ?? 1)

/** `npm run bench:http`: event streams to 1,000 clients, pages of long lists, and an idle server. Printed only. */
import { build } from "esbuild"
import { spawnSync } from "node:child_process"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..")
const cache = join(root, "node_modules/.cache/effect-task-manager-bench")
const outfile = join(cache, "http.mjs")

// as it is: a loader such as tsx wraps every function in a helper, which would be measured too
await build({
  entryPoints: {
    http: join(root, "bench/httpRun.ts"),
    httpClients: join(root, "bench/httpClients.ts"),
    httpPager: join(root, "bench/httpPager.ts")
  },
  outdir: cache,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  packages: "external",
  platform: "node",
  format: "esm",
  target: "node20",
  tsconfig: join(root, "tsconfig.json"),
  alias: {
    "effect-task-manager/http": join(root, "src/http/index.ts"),
    "effect-task-manager": join(root, "src/index.ts")
  }
})
process.exit(spawnSync(process.execPath, [outfile, ...process.argv.slice(2)], { stdio: "inherit" }).status ?? 1)

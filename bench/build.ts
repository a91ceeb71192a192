/**
 * Builds what is measured: the library as it is published (by tsc), and the benchmark as one bundle that imports it. tsx
 * would wrap every function and class in a helper that keeps its name, which costs up to a fifth in code made of closures.
 */
import { build } from "esbuild"
import { fork, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import type { Job } from "./jobs.js"

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..")
// below node_modules, so that every tool ignores it and packages still resolve
const out = join(root, "node_modules/.cache/effect-task-manager-bench")
const library = join(out, "library")

/** Builds the library and the child. `lib` names a folder with another build to measure instead. */
export const buildChild = async (lib?: string): Promise<void> => {
  if (lib === undefined) {
    rmSync(library, { recursive: true, force: true })
    const tsc = spawnSync("npx", ["tsc", "-p", "tsconfig.build.json", "--outDir", library], {
      cwd: root,
      stdio: "inherit"
    })
    // tsc writes what it can also where a type is wrong, and a type that is wrong does not change what is measured
    if (!existsSync(join(library, "index.js"))) throw new Error(`the library does not build (${tsc.status})`)
  }
  mkdirSync(out, { recursive: true })
  const folder = lib === undefined ? library : resolve(lib)
  writeFileSync(join(out, "package.json"), JSON.stringify({ type: "module" }))
  await build({
    entryPoints: [join(root, "bench/child.ts")],
    outfile: join(out, "child.js"),
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    sourcemap: true,
    packages: "external",
    plugins: [{
      name: "library",
      setup: ({ onResolve }) => {
        onResolve({ filter: /^effect-task-manager(\/ai)?$/ }, ({ path }) => ({
          path: join(folder, path.replace(/^effect-task-manager\/?/, ""), "index.js"),
          external: true
        }))
        // the parts that no caller sees, to count what is left
        onResolve({ filter: /\/src\// }, ({ path }) => ({
          path: join(folder, path.replace(/^.*\/src\//, "")),
          external: true
        }))
      }
    }]
  })
}

/** Runs one job in a process of its own and gives its answer. */
export const runChild = <A>(job: Job, nodeOptions: ReadonlyArray<string> = []): Promise<A> =>
  new Promise((resolveJob, reject) => {
    const child = fork(join(out, "child.js"), [JSON.stringify(job)], {
      execArgv: ["--expose-gc", "--max-old-space-size=8192", ...nodeOptions],
      stdio: ["ignore", "inherit", "inherit", "ipc"]
    })
    const answers: Array<A> = []
    // the child is this program's own, and answers each job with what the job's type says
    child.on("message", (message) => answers.push(message as A))
    child.on("exit", (code) => {
      const answer = answers[0]
      if (code === 0 && answer !== undefined) resolveJob(answer)
      else reject(new Error(`${JSON.stringify(job)} ended with ${code}`))
    })
  })

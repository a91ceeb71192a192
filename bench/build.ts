/**
 * Builds what is measured: the library as it is published (by tsc), and the benchmark as bundles that import it. tsx
 * would wrap every function and class in a helper that keeps its name, which costs up to a fifth in code made of closures.
 */
import { build } from "esbuild"
import { fork, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { childFile, importJobsFile, otherContendersFile } from "./files.js"
import type { ImportJob } from "./importing.js"
import type { Job } from "./jobs.js"

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..")
// below node_modules, so that every tool ignores it and packages still resolve
const out = join(root, "node_modules/.cache/effect-task-manager-bench")

/** What may be measured in place of this checkout, or beside it. */
export interface Libraries {
  /** A folder with another build of the library. */
  readonly lib?: string | undefined
  /** A checkout of the library, whose contenders are the base of the same ones here. */
  readonly against?: string | undefined
}

/** Builds the library of a checkout, and gives the folder. */
const compile = (checkout: string, name: string): string => {
  const folder = join(out, name)
  rmSync(folder, { recursive: true, force: true })
  const tsc = spawnSync("npx", ["tsc", "-p", join(resolve(checkout), "tsconfig.build.json"), "--outDir", folder], {
    cwd: root,
    stdio: "inherit"
  })
  // tsc writes what it can also where a type is wrong, and a type that is wrong does not change what is measured
  if (!existsSync(join(folder, "index.js"))) throw new Error(`the library does not build (${tsc.status})`)
  return folder
}

/** Bundles entries of the benchmark, for the library in a folder. */
const bundle = (entryPoints: Record<string, string>, library: string) =>
  build({
    entryPoints,
    outdir: out,
    bundle: true,
    // what only one kind of job needs, the soak's parts of the library, is loaded by that job alone
    splitting: true,
    chunkNames: "chunks/[name]-[hash]",
    platform: "node",
    format: "esm",
    target: "node20",
    sourcemap: true,
    packages: "external",
    plugins: [{
      name: "library",
      setup: ({ onResolve }) => {
        onResolve({ filter: /^effect-task-manager(\/ai|\/durable)?$/ }, ({ path }) => ({
          path: join(library, path.replace(/^effect-task-manager\/?/, ""), "index.js"),
          external: true
        }))
        // the parts that no caller sees, to count what is left
        onResolve({ filter: /\/src\// }, ({ path }) => ({
          path: join(library, path.replace(/^.*\/src\//, "")),
          external: true
        }))
      }
    }]
  })

/** An entry of the library, and the packages that it and its modules import. */
const importJobOf = async (entry: string): Promise<ImportJob> => {
  const { metafile } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    metafile: true,
    platform: "node",
    format: "esm",
    packages: "external"
  })
  const imports = Object.values(metafile.outputs).flatMap((output) => output.imports)
  return { entry, packages: [...new Set(imports.flatMap(({ external, path }) => external === true ? [path] : []))] }
}

/** Builds the library, the children, and what they read. */
export const buildChild = async ({ against, lib }: Libraries = {}): Promise<void> => {
  mkdirSync(out, { recursive: true })
  rmSync(join(out, "chunks"), { recursive: true, force: true })
  writeFileSync(join(out, "package.json"), JSON.stringify({ type: "module" }))
  const library = lib === undefined ? compile(root, "library") : resolve(lib)
  const source = (file: string): string => join(root, "bench", file)
  await bundle({ child: source("child.ts"), importing: source("importing.ts") }, library)
  const importJobs = {
    "effect-task-manager": await importJobOf(join(library, "index.js")),
    "effect-task-manager/ai": await importJobOf(join(library, "ai/index.js"))
  }
  writeFileSync(join(out, importJobsFile), JSON.stringify(importJobs))
  if (against !== undefined) {
    const name = otherContendersFile.replace(/\.js$/, "")
    await bundle({ [name]: source("contenders/taskManager.ts") }, compile(against, "other-library"))
  }
}

/** Runs one job in a process of its own and gives its answer. */
export const runChild = <A>(job: Job, nodeOptions: ReadonlyArray<string> = []): Promise<A> =>
  new Promise((resolveJob, reject) => {
    const child = fork(join(out, childFile), [JSON.stringify(job)], {
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

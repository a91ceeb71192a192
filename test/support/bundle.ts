/** A program of this repository as one file: it starts in a fifth of the processor time that its modules take. */
import { build } from "esbuild"
import { mkdir, mkdtemp, rm } from "node:fs/promises"
import { join, resolve } from "node:path"

const packageRoot = resolve(import.meta.dirname, "..", "..")
// inside node_modules, where what is left out of the bundle is found
const folder = join(packageRoot, "node_modules", ".cache", "effect-task-manager")

// dependencies that are CommonJS ask for it
const banner =
  `import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);`

export interface Bundle {
  readonly path: string
  readonly remove: () => Promise<void>
}

/** `entry` is a path in the repository, or of a file elsewhere, which finds the packages of the repository. */
export const bundle = async (entry: string): Promise<Bundle> => {
  await mkdir(folder, { recursive: true })
  const outdir = await mkdtemp(join(folder, "bundle-"))
  await build({
    entryPoints: { main: resolve(packageRoot, entry) },
    outdir,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    tsconfig: join(packageRoot, "tsconfig.json"),
    banner: { js: banner },
    nodePaths: [join(packageRoot, "node_modules")],
    // they look for files next to their own
    external: ["tiktoken", "@photostructure/sqlite"],
    logLevel: "error"
  })
  return { path: join(outdir, "main.mjs"), remove: () => rm(outdir, { recursive: true, force: true }) }
}

/**
 * Puts the page of the board together, beside the module that serves it: `npm run build` in dist, tests and demos in src, where git
 * ignores it.
 */
import { build } from "esbuild"
import { mkdir, readFile, rename, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const page = join(root, "src/http/board/page")

/** Not written in place: a server may be reading it. What is as it was stays as it is. */
const write = async (file: string, content: string): Promise<void> => {
  if (await readFile(file, "utf8").catch(() => undefined) === content) return
  const temporary = `${file}.${process.pid}`
  await mkdir(dirname(file), { recursive: true })
  await writeFile(temporary, content)
  await rename(temporary, file)
}

/** Writes the files of the page into `src` or `dist`. */
export const buildBoard = async (into: "src" | "dist"): Promise<void> => {
  const folder = join(root, into, "http/board/built")
  const { outputFiles } = await build({
    entryPoints: [join(page, "main.tsx")],
    tsconfig: join(root, "tsconfig.board.json"),
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: "es2022",
    charset: "utf8",
    // the notices of the libraries stay in the file
    legalComments: "inline",
    banner: {
      js:
        "/*! effect-task-manager, with preact and uPlot: their licenses are in the folder of this file in the package */"
    },
    logLevel: "warning"
  })
  for (const { text } of outputFiles) await write(join(folder, "board.js"), text)
  for (const file of ["index.html", "board.css", "icon.svg"]) {
    await write(join(folder, file), await readFile(join(page, file), "utf8"))
  }
  for (const library of ["preact", "uplot"]) {
    const license = await readFile(join(root, "node_modules", library, "LICENSE"), "utf8")
    await write(join(folder, `LICENSE.${library}.txt`), license)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildBoard(process.argv[2] === "src" ? "src" : "dist")

// Type-checks every ```ts block of README.md, docs/*.md and the comments of src, each as a module of its own, against
// the sources. (docgen compiles and runs the examples of functions and constants; those of classes it does not see.)
// A block is written at the line where it stands in its document, so that the lines tsc reports are the document's. A
// block that begins with the name of a file (`// tools.ts`) can be imported by the others of its document.
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const out = ".readme-check"

const refuse = (message: string): never => {
  console.error(message)
  process.exit(1)
}

const filesOf = (folder: string, extension: string, recursive: boolean): Array<string> =>
  existsSync(folder)
    ? readdirSync(folder, { recursive, encoding: "utf8" })
      .filter((name) => name.endsWith(extension))
      .map((name) => join(folder, name))
      .sort()
    : []

const documents = ["README.md", ...filesOf("docs", ".md", false), ...filesOf("src", ".ts", true)]

const linesOf = (document: string): Array<string> => {
  const lines = readFileSync(document, "utf8").split(/\r?\n/)
  return document.endsWith(".md") ? lines : lines.map((line) => /^\s*\* ?(.*)$/.exec(line)?.[1] ?? "")
}

rmSync(out, { recursive: true, force: true })
mkdirSync(out)
writeFileSync(
  join(out, "tsconfig.json"),
  JSON.stringify({
    extends: "../tsconfig.json",
    compilerOptions: { noUnusedLocals: false, noUnusedParameters: false },
    include: ["**/*.ts"]
  })
)

let blocks = 0
for (const document of documents) {
  const lines = linesOf(document)
  for (let start = 0; start < lines.length; start++) {
    const fence = /^(\s*)(`{3,}|~{3,})(.*)$/.exec(lines[start]!)
    if (fence === null) continue
    const [indent, marker, info] = [fence[1]!, fence[2]!, fence[3]!.trim()]
    const end = lines.findIndex((line, at) => {
      const text = line.trim()
      return at > start && text.startsWith(marker) && text === marker[0]!.repeat(text.length)
    })
    if (end === -1) refuse(`${document}:${start + 1}: this code block is never closed`)
    if (/^(tsx?|mts|typescript)\b/i.test(info)) {
      if (info !== "ts") refuse(`${document}:${start + 1}: write "ts" and nothing after it, found "${info}"`)
      const code = lines.slice(start + 1, end).map((line) => line.startsWith(indent) ? line.slice(indent.length) : line)
      const named = /^\/\/ ([\w.-]+\.ts)$/.exec(code[0] ?? "")?.[1]
      const folder = join(out, document.replace(/\W+/g, "-"))
      mkdirSync(folder, { recursive: true })
      const file = join(folder, named ?? `block-at-${start + 1}.ts`)
      if (existsSync(file)) refuse(`${document}:${start + 1}: there are two blocks of the name ${named}`)
      writeFileSync(file, `${"\n".repeat(start + 1)}${code.join("\n")}\n`)
      blocks++
    }
    start = end
  }
}
if (blocks === 0) refuse("not one ```ts block found")

const tsc = spawnSync(process.execPath, [join("node_modules", "typescript", "bin", "tsc"), "-p", out], {
  stdio: "inherit"
})
if (tsc.status !== 0) refuse(`Some blocks do not compile; they are kept in ${out}.`)
rmSync(out, { recursive: true, force: true })
console.log(`${blocks} code blocks of README.md, docs and src compile.`)

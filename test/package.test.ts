/** What is published: what it needs, and its documents, whose links lead to files and headings that are published as well. */
import { assert, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { dirname, join, posix, resolve } from "node:path"

const root = resolve(import.meta.dirname, "..")

const packed = (): ReadonlyArray<string> => {
  // the scripts would build first; no document links to what they make
  const answer: unknown = JSON.parse(
    execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: root, encoding: "utf8" })
  )
  const [{ files }] = answer as [{ readonly files: ReadonlyArray<{ readonly path: string }> }]
  return files.map(({ path }) => path)
}

const text = (path: string): string => readFileSync(join(root, path), "utf8").replaceAll(/^```.*?^```$/gms, "")

/** As GitHub and npm make them. */
const anchors = (path: string): ReadonlyArray<string> =>
  [...text(path).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\- _]/gu, "").replaceAll(" ", "-")
  )

it("every relative link in a published document leads to something that is published", () => {
  const files = packed()
  const documents = files.filter((path) => path.endsWith(".md"))
  assert.includeMembers([...documents], ["README.md", "docs/build-an-agent.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
  assert.isTrue(files.some((path) => path.startsWith("examples/")))
  const broken: Array<string> = []
  let links = 0
  for (const document of documents) {
    for (const [, target = ""] of text(document).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      links++
      const [path = "", anchor] = target.split("#")
      const file = path === "" ? document : posix.normalize(posix.join(dirname(document), path))
      if (!files.includes(file)) broken.push(`${document}: ${target} is not published`)
      else if (anchor !== undefined && !anchors(file).includes(anchor)) broken.push(`${document}: no heading ${target}`)
    }
  }
  assert.deepStrictEqual(broken, [])
  assert.isAbove(links, 10)
})

it("whoever installs the package needs `effect`, and nothing else that a subpath imports", () => {
  const { peerDependencies, peerDependenciesMeta } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly peerDependencies: Readonly<Record<string, string>>
    readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional?: boolean }>>
  }
  const required = Object.keys(peerDependencies).filter((name) => peerDependenciesMeta[name]?.optional !== true)
  assert.deepStrictEqual(required, ["effect"])
})

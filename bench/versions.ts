import { readFileSync } from "node:fs"

const measured = [
  "effect",
  "p-queue",
  "fastq",
  "rxjs",
  "ai",
  "@langchain/core",
  "@langchain/langgraph",
  "pg-boss",
  "graphile-worker",
  "@dbos-inc/dbos-sdk"
]

const versionOf = (name: string): string => {
  const file = new URL(`../node_modules/${name}/package.json`, import.meta.url)
  const { version }: { readonly version: string } = JSON.parse(readFileSync(file, "utf8"))
  return version
}

export const versions = (): Record<string, string> => ({
  node: process.versions.node,
  v8: process.versions.v8,
  ...Object.fromEntries(measured.map((name) => [name, versionOf(name)]))
})

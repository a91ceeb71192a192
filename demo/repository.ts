/** The git repository that the agent works on: a temporary one, made here, or one of the user's. */
import { Command, FileSystem, Path } from "@effect/platform"
import type { CommandExecutor, Error as PlatformErrors } from "@effect/platform"
import { Effect, Option, type Scope } from "effect"
import { UsageError } from "./options.js"
import { plain } from "./text.js"

export interface Repository {
  readonly root: string
  /** The folder that is removed in the end; none for a repository of the user's. */
  readonly temporary: Option.Option<string>
  /** The environment that git and the tools run in. */
  readonly environment: Readonly<Record<string, string>>
}

// a git hook sets GIT_DIR and its like: commands would work on the repository of the hook
const inherited = (): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined || name.startsWith("GIT_") || name === "NODE_OPTIONS" ? [] : [[name, value]]
    )
  )

const neverAsk = { GIT_TERMINAL_PROMPT: "0", GIT_PAGER: "cat", GIT_OPTIONAL_LOCKS: "0", LC_ALL: "C" }
const ignoreUserConfig = { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" }

const cart = `// The sum of all items of a cart, in cents.
export const total = (items) => {
  let sum = 0
  for (const item of items) sum += item.price
  return sum
}
`

const format = `// TODO: currencies without cents
export const format = (cents) => (cents / 100).toFixed(2)
`

// real test runners colour their output, also where nobody asked for it
const slowTest = `import { total } from "../src/cart.mjs"
import { format } from "../src/format.mjs"

const cases = [
  ["an empty cart costs nothing", () => total([]), 0],
  ["prices add up", () => total([{ price: 250, quantity: 1 }, { price: 50, quantity: 1 }]), 300],
  ["cents have two digits", () => format(1050), "10.50"],
  ["the quantity counts", () => total([{ price: 250, quantity: 3 }]), 750]
]

let failed = 0
for (const [name, run, expected] of cases) {
  await new Promise((resolve) => setTimeout(resolve, Number(process.env.TEST_PAUSE ?? 600)))
  const actual = run()
  if (actual !== expected) failed++
  console.log(actual === expected
    ? \`\\u001b[32mok\\u001b[0m - \${name}\`
    : \`\\u001b[31mnot ok\\u001b[0m - \${name}: expected \${expected}, got \${actual}\`)
}
process.exitCode = failed === 0 ? 0 : 1
`

const readme = `# shop

A cart, the formatting of its prices, and a slow test.

- Test: \`node test/cart.test.mjs\`
- Generated: \`build/\` holds the output of an old tool. Nobody reads it; delete it.
`

const files: Readonly<Record<string, string>> = {
  "README.md": readme,
  "package.json": `{ "name": "shop", "private": true, "type": "module" }\n`,
  "src/cart.mjs": cart,
  "src/format.mjs": format,
  "test/cart.test.mjs": slowTest,
  "build/bundle.js": "// generated\n",
  "build/old/report.html": "<p>generated</p>\n"
}

const commitCount = 24

/** The whole history as input of `git fast-import`: one process instead of dozens. */
const history = (): string => {
  const data = (text: string) => `data ${new TextEncoder().encode(text).length}\n${text}\n`
  const commits: Array<string> = []
  let changelog = "# Changelog\n"
  for (let number = 1; number <= commitCount; number++) {
    changelog += `\n- change ${number}${number % 5 === 0 ? " (TODO: describe it)" : ""}`
    const changed = number === 1 ? { ...files, "CHANGELOG.md": changelog } : { "CHANGELOG.md": changelog }
    commits.push(
      `commit refs/heads/main\ncommitter Demo <demo@example.invalid> ${1_700_000_000 + number * 3600} +0000\n`,
      data(`Change ${number}`),
      ...Object.entries(changed).map(([path, text]) => `M 100644 inline ${path}\n${data(text)}`)
    )
  }
  return `${commits.join("")}\ndone\n`
}

/** A temporary repository; it is removed when the scope closes. */
export const temporaryRepository: Effect.Effect<
  Repository,
  PlatformErrors.PlatformError | UsageError,
  FileSystem.FileSystem | Path.Path | CommandExecutor.CommandExecutor | Scope.Scope
> = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  // the real path: on macOS the folder of temporary files is behind a link
  const folder = yield* Effect.flatMap(
    fs.makeTempDirectoryScoped({ prefix: "effect-task-manager-demo-" }),
    (made) => fs.realPath(made)
  )
  const root = path.join(folder, "shop")
  const environment = { ...inherited(), ...neverAsk, ...ignoreUserConfig }
  yield* fs.makeDirectory(root)
  const git = (args: ReadonlyArray<string>, input = "") =>
    Command.make("git", ...args).pipe(
      Command.workingDirectory(root),
      Command.env(environment, { extendEnv: false }),
      Command.feed(input),
      Command.exitCode,
      Effect.mapError((error) =>
        error._tag === "SystemError" && error.reason === "NotFound"
          ? new UsageError({ message: "The demo needs git, and finds none" })
          : error
      ),
      Effect.filterOrFail(
        (code) => code === 0,
        (code) => new UsageError({ message: `git ${args.join(" ")} ended with ${code}` })
      )
    )
  yield* git(["-c", "init.defaultBranch=main", "init", "--quiet"])
  yield* git(["fast-import", "--quiet", "--done"], history())
  yield* git(["reset", "--quiet", "--hard", "main"])
  return { root, temporary: Option.some(folder), environment }
})

/** A repository of the user's, used as it is. */
export const userRepository = (
  given: string
): Effect.Effect<Repository, UsageError, CommandExecutor.CommandExecutor | FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const refuse = new UsageError({
      message: `--repo ${plain(given)} is not the folder of a git repository with files in it`
    })
    // npm starts scripts in the folder of the package, and says where the user was
    const from = process.env.INIT_CWD ?? "."
    const folder = yield* Effect.mapError(fs.realPath(path.resolve(from, given)), () => refuse)
    const environment = { ...inherited(), ...neverAsk }
    const ask = (...args: ReadonlyArray<string>) =>
      Command.make("git", ...args).pipe(
        Command.workingDirectory(folder),
        Command.env(environment, { extendEnv: false }),
        Command.string,
        Effect.map((output) => output.replace(/\n$/, "")),
        Effect.mapError(() => refuse),
        Effect.filterOrFail((output) => output !== "", () => refuse)
      )
    yield* ask("ls-tree", "HEAD")
    const root = yield* ask("rev-parse", "--show-toplevel")
    return { root, temporary: Option.none(), environment }
  })

/**
 * The environment of commands: without the host's secrets, and with variables that say that nobody answers a prompt.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { markVariable } from "./marks.js"

// not the path of an agent's socket, no token, no proxy with a password in it
const harmlessVariables = [
  "PATH",
  "HOME",
  "USER",
  "LOGNAME",
  "SHELL",
  "LANG",
  "LC_ALL",
  "LC_CTYPE",
  "TZ",
  "TMPDIR"
]

// a prompt, an editor or a pager would wait for a user who is not there
const nobodyIsThere = {
  EDITOR: "true",
  VISUAL: "true",
  GIT_EDITOR: "true",
  GIT_SEQUENCE_EDITOR: "true",
  GIT_TERMINAL_PROMPT: "0",
  GIT_ASKPASS: "true",
  SSH_ASKPASS: "true",
  SSH_ASKPASS_REQUIRE: "force",
  PAGER: "cat",
  GIT_PAGER: "cat",
  MANPAGER: "cat",
  DEBIAN_FRONTEND: "noninteractive"
}

const hostEnvironment = (names: ReadonlyArray<string>): Effect.Effect<Readonly<Record<string, string>>> => {
  // not the provider of the program, which may know secrets by these names
  const host = ConfigProvider.fromEnv()
  return Effect.map(
    Effect.forEach(names, (name) =>
      Effect.map(
        Effect.option(host.load(Config.string(name))),
        Option.map((value) => [name, value] as const)
      )),
    (found) => Object.fromEntries(found.flatMap(Option.toArray))
  )
}

/** The directories of `PATH` in which no program of the model's stands: absolute ones outside of the root, symbolic links followed. */
const trustedPath = (
  root: string,
  searched: string
): Effect.Effect<string, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const real = (directory: string) =>
      Effect.orElseSucceed(fileSystem.realPath(directory), () => path.resolve(directory))
    const roots = [path.resolve(root), yield* real(root)]
    const isInside = (directory: string) =>
      roots.some((one) => directory === one || directory.startsWith(one.endsWith("/") ? one : `${one}/`))
    const trusted = yield* Effect.filter(
      searched.split(":").filter((directory) => path.isAbsolute(directory)),
      (directory) => Effect.map(real(directory), (found) => !isInside(found) && !isInside(path.resolve(directory)))
    )
    return trusted.join(":")
  })

/**
 * The variables that commands get: the inherited ones, then `own`, which win.
 *
 * @since 0.1.0
 * @category combinators
 */
export const commandEnvironment = (options: {
  readonly root: string
  readonly inherit: ReadonlyArray<string> | undefined
  readonly own: Readonly<Record<string, string>>
}): Effect.Effect<Readonly<Record<string, string>>, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const inherited = yield* hostEnvironment(options.inherit ?? harmlessVariables)
    const searched = inherited["PATH"]
    return {
      ...nobodyIsThere,
      ...inherited,
      ...(searched === undefined ? undefined : { PATH: yield* trustedPath(options.root, searched) }),
      ...options.own,
      // this agent may run in the shell of another one, which must find the commands too
      ...(yield* hostEnvironment([markVariable]))
    }
  })

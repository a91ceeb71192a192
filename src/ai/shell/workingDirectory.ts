/**
 * The working directory of a command: it lies in the root, symbolic links followed.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import { ToolError } from "../../errors.js"

/**
 * A directory that lies in `root`, as it is without symbolic links.
 *
 * @since 0.1.0
 * @category models
 */
export interface WorkingDirectory {
  readonly path: string
  /** The root, without symbolic links. */
  readonly root: string
  /** As seen from the root: `.` or `a/b`. */
  readonly shown: string
}

/**
 * Looks up `cwd`, taken from `root`. Fails with `InvalidInput` if it is no directory and with `PermissionDenied` if it lies
 * outside, a symbolic link in between included; `Unavailable` if there is no root.
 *
 * @since 0.1.0
 * @category combinators
 */
export const workingDirectory = (options: {
  readonly root: string
  readonly cwd: string
  readonly toolName: string
}): Effect.Effect<WorkingDirectory, ToolError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const { cwd, root, toolName } = options
    const fail = (reason: ToolError["reason"], message: string) => new ToolError({ reason, toolName, message })
    const noRoot = fail("Unavailable", "The working directory of the shell does not exist.")
    const noDirectory = fail("InvalidInput", "`cwd` must be a directory inside of the working directory.")
    // to node a path with NUL is a programming error, not a missing file
    if (cwd.includes("\0")) return yield* noDirectory
    // a call waits for its two looks at the file system together
    const [realRoot, ofRoot] = yield* Effect.mapError(
      Effect.zip(fileSystem.realPath(root), fileSystem.stat(root), { concurrent: true }),
      () => noRoot
    )
    const asked = path.resolve(realRoot, cwd)
    if (asked === realRoot) {
      if (ofRoot.type !== "Directory") return yield* noDirectory
      return { path: realRoot, root: realRoot, shown: "." }
    }
    const [real, info] = yield* Effect.mapError(
      Effect.zip(fileSystem.realPath(asked), fileSystem.stat(asked), { concurrent: true }),
      () => noDirectory
    )
    const prefix = realRoot.endsWith(path.sep) ? realRoot : realRoot + path.sep
    if (real !== realRoot && !real.startsWith(prefix)) {
      return yield* fail("PermissionDenied", "`cwd` lies outside of the working directory.")
    }
    if (info.type !== "Directory") return yield* noDirectory
    return { path: real, root: realRoot, shown: path.relative(realRoot, real) || "." }
  })

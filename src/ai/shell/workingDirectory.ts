/**
 * The working directory of a command: it lies in the root, symbolic links followed.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import { ToolError } from "../../errors.js"
import type { StartDirectory } from "./launcher.js"

/**
 * A directory that lies in `root`, as it is without symbolic links.
 *
 * @since 0.1.0
 * @category models
 */
export interface WorkingDirectory extends StartDirectory {
  /** The root, without symbolic links. */
  readonly root: string
  /** As seen from the root: `.` or `a/b`. */
  readonly shown: string
  /** Whether it was not looked up again. Who enters it looks whether it still is what it was. */
  readonly isRemembered: boolean
}

/**
 * The directories in which commands of one shell may start.
 *
 * @since 0.1.0
 * @category models
 */
export interface WorkingDirectories {
  /**
   * Looks up `cwd`, taken from the root; the root itself is looked up once. Fails with `InvalidInput` if it is no directory and
   * with `PermissionDenied` if it lies outside, a symbolic link in between included; `Unavailable` if there is no root.
   */
  readonly lookUp: (cwd: string) => Effect.Effect<WorkingDirectory, ToolError, FileSystem.FileSystem | Path.Path>
  /** Forgets the root. */
  readonly forget: () => void
}

/**
 * Makes the directories of a shell.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeWorkingDirectories = (options: {
  readonly root: string
  readonly toolName: string
}): WorkingDirectories => {
  const { root, toolName } = options
  const failure = (reason: ToolError["reason"], message: string) => () => new ToolError({ reason, toolName, message })
  const noRoot = failure("Unavailable", "The working directory of the shell does not exist.")
  const noDirectory = failure("InvalidInput", "`cwd` must be a directory inside of the working directory.")
  const outside = failure("PermissionDenied", "`cwd` lies outside of the working directory.")
  let remembered: WorkingDirectory | undefined

  const lookUp: WorkingDirectories["lookUp"] = (cwd) =>
    Effect.gen(function*() {
      const fileSystem = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      // to node a path with NUL is a programming error, not a missing file
      if (cwd.includes("\0")) return yield* noDirectory()
      // as it is seen from the directory in which the host is now
      const entered = path.resolve(root)
      if (cwd === "." && remembered?.entered === entered) return remembered
      // a call waits for its two looks at the file system together
      const [realRoot, ofRoot] = yield* Effect.mapError(
        Effect.zip(fileSystem.realPath(entered), fileSystem.stat(entered), { concurrent: true }),
        noRoot
      )
      const asked = path.resolve(realRoot, cwd)
      if (asked === realRoot) {
        if (ofRoot.type !== "Directory") return yield* noDirectory()
        const found = { path: realRoot, entered, root: realRoot, shown: ".", isRemembered: false }
        remembered = { ...found, isRemembered: true }
        return found
      }
      const [real, info] = yield* Effect.mapError(
        Effect.zip(fileSystem.realPath(asked), fileSystem.stat(asked), { concurrent: true }),
        noDirectory
      )
      const prefix = realRoot.endsWith(path.sep) ? realRoot : realRoot + path.sep
      if (real !== realRoot && !real.startsWith(prefix)) return yield* outside()
      if (info.type !== "Directory") return yield* noDirectory()
      const shown = path.relative(realRoot, real) || "."
      return { path: real, entered: real, root: realRoot, shown, isRemembered: false }
    })

  return {
    lookUp,
    forget: () => {
      remembered = undefined
    }
  }
}

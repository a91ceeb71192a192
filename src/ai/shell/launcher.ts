/**
 * How a command is started: without input, with its output in one pipe, and in the directory that was checked.
 *
 * @since 0.1.0
 */
import * as Command from "@effect/platform/Command"

// One shell that becomes the command: every further process would cost as much as the command itself. The directory is entered
// first and compared then, so it does not matter what happens to its path later.
const launch = `
[ -z "$1" ] || exec >"$1" 2>&1 || exit 126
shift
cd -P "$0" 2>/dev/null && [ "$PWD" = "$0" ] || {
  echo "The working directory is not the one that was checked. Nothing was run."
  exit 126
}
exec "$@" </dev/null
`

/**
 * The command that starts another one in a directory, which is given without symbolic links. If another directory is at that
 * path by then, nothing is run and the exit code is 126. The input of the command is /dev/null: the executor would give it a
 * socket, and programs such as `rg` would read that instead of searching. Both of its output streams go to the pipe `output`,
 * if there is one.
 *
 * @since 0.1.0
 * @category constructors
 */
export const launcherOf = (options: {
  readonly command: readonly [program: string, ...args: ReadonlyArray<string>]
  readonly directory: string
  readonly output: string | undefined
}): Command.Command =>
  Command.make("/bin/sh", "-c", launch, options.directory, options.output ?? "", ...options.command)

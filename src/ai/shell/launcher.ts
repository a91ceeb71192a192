/**
 * How a command is started: without input, with its output in one pipe, and in the directory that was checked.
 *
 * @since 0.1.0
 */
import * as Command from "@effect/platform/Command"

/**
 * Where a command starts: the directory that is entered must be `path`, which has no symbolic links, once they are followed.
 *
 * @since 0.1.0
 * @category models
 */
export interface StartDirectory {
  readonly path: string
  readonly entered: string
}

/**
 * What a command says that was not run, because another directory was entered than the one that was checked. Its exit code is
 * `refusedCode` then.
 *
 * @since 0.1.0
 * @category constants
 */
export const refusedText = "The working directory is not the one that was checked. Nothing was run.\n"

/**
 * The exit code of a command that was not run.
 *
 * @since 0.1.0
 * @category constants
 */
export const refusedCode = 126

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

// The directory is entered first and compared then, so it does not matter what happens to its path later.
const prepare = ({ directory: { entered, path }, limit, output }: LaunchOptions): string =>
  `exec </dev/null ${output === undefined ? "" : `>${quoted(output)} 2>&1`} || exit ${refusedCode}; ` +
  // its letter is another one in bash; without it there is still the variable
  `ulimit -w ${limit} 2>/dev/null || ulimit -x ${limit} 2>/dev/null; ` +
  `cd -P ${quoted(entered)} 2>/dev/null && [ "$PWD" = ${quoted(path)} ] || ` +
  `{ echo ${quoted(refusedText.trimEnd())}; exit ${refusedCode}; }`

interface LaunchOptions {
  readonly command: readonly [program: string, ...args: ReadonlyArray<string>]
  readonly directory: StartDirectory
  readonly output: string | undefined
  /** That of its mark, by which its processes are found. */
  readonly limit: number
}

/**
 * The command that starts another one in a directory. If another directory is at that path by then, nothing is run and the exit
 * code is 126. The input of the command is /dev/null: the executor would give it a socket, and programs such as `rg` would read
 * that instead of searching. Both of its output streams go to the pipe `output`, if there is one.
 *
 * @since 0.1.0
 * @category constructors
 */
export const launcherOf = (options: LaunchOptions): Command.Command => {
  const { command } = options
  const [program, first, text, ...more] = command
  const launch = prepare(options)
  // One shell that does both: every further program would cost as much as a short command. It reads a line only when it has run
  // the one before, so what is wrong in the command is said where its output goes.
  if (program === "/bin/sh" && first === "-c" && text !== undefined && more.length === 0) {
    return Command.make(program, first, `${launch}\n${text}`)
  }
  return Command.make("/bin/sh", "-c", `${launch}\nexec "$@"`, "/bin/sh", ...command)
}

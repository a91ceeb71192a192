/**
 * What can be set of a shell.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type { ShellPolicy } from "./ShellPolicy.js"

/**
 * What can be set of a shell.
 *
 * @since 0.1.0
 * @category models
 */
export interface ShellOptions {
  /** The directory that commands start in, and that `cwd` cannot leave. */
  readonly root: string
  /** Which commands run, are refused or asked about. Default `ShellPolicy.conservative`. */
  readonly policy?: ShellPolicy | undefined
  /** The program that gets the command as its last argument. Default `/bin/sh -c`. */
  readonly shell?: readonly [program: string, ...args: ReadonlyArray<string>] | undefined
  /**
   * How long processes may take to end after SIGTERM before they get SIGKILL. Choose it below `cancelGracePeriod` of the
   * manager, which otherwise gives the tool up while it is still killing. A number is milliseconds. Default 2 s.
   */
  readonly gracePeriod?: Duration.DurationInput | undefined
  /** How long a command may take that is started without `timeout_seconds`; `Infinity` for no limit. A number is
   * milliseconds. Default 30 minutes. */
  readonly timeout?: Duration.DurationInput | undefined
  /** How many bytes of output a result has at most, from its beginning and its end: an integer from 0 to 256 MiB. Default 30 000. */
  readonly maxOutputBytes?: number | undefined
  /**
   * The names of the variables that commands get from the environment of this process. Default: `PATH`, `HOME`, `USER`,
   * `LOGNAME`, `SHELL`, `LANG`, `LC_ALL`, `LC_CTYPE`, `TZ`, `TMPDIR`. Of the directories in `PATH` those are left out that are
   * relative, empty, or inside of `root`, where the model may have written programs.
   */
  readonly inheritEnvironment?: ReadonlyArray<string> | undefined
  /**
   * More variables for commands. What stands here can be read by the model, and replaces the variables with which editors,
   * pagers and prompts for passwords are told that nobody is there (`GIT_EDITOR`, `PAGER`, `GIT_TERMINAL_PROMPT`, …).
   */
  readonly environment?: Readonly<Record<string, string>> | undefined
  /** How often progress is reported at most, while there is more output; a number is milliseconds. Default 1 s. */
  readonly progressInterval?: Duration.DurationInput | undefined
}

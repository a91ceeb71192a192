/**
 * How a command is started: without input, in the directory that was checked, and with a child that ends it if this program ends
 * first.
 *
 * @since 0.1.0
 */
import * as Command from "@effect/platform/Command"

// Kills the group and every process that has the mark. It runs with an empty environment, or it would find itself.
const endAll = `
for round in 1 2 3 4 5; do
  found=$(grep -la "$0" /proc/[0-9]*/environ)
  [ -n "$found" ] || break
  for file in $found; do
    process=\${file#/proc/}
    kill -KILL "\${process%/environ}"
  done
done
kill -KILL -- "-$1"
`

// The input is a pipe from this program. It ends when the command has ended, or when this program ends, however it does: then the
// command still runs, and the child kills it. The child is a fork of the shell, not a program of its own, because starting one would
// cost time for every command. It is in the group, so it is ended with it.
const launch = `
cd -P . && [ "$PWD" = "$0" ] || {
  echo "The working directory is not the one that was checked. Nothing was run."
  exit 126
}
mark=$1 endAll=$2
shift 2
exec 3<&0
( read -r _; kill -0 $$ && exec env -i PATH="$PATH" /bin/sh -c "$endAll" "$mark" $$ ) <&3 3<&- >/dev/null 2>&1 &
exec "$@" </dev/null 3<&-
`

/**
 * The command that starts another one in a directory, which is given without symbolic links. If another directory is at that
 * path by then, nothing is run and the exit code is 126. The input of the command is /dev/null: the executor would give it a
 * socket, and programs such as `rg` would read that instead of searching.
 *
 * @since 0.1.0
 * @category constructors
 */
export const launcherOf = (options: {
  readonly command: readonly [program: string, ...args: ReadonlyArray<string>]
  readonly directory: string
  readonly mark: string
}): Command.Command =>
  Command.make("/bin/sh", "-c", launch, options.directory, options.mark, endAll, ...options.command).pipe(
    Command.workingDirectory(options.directory)
  )

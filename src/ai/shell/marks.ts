/**
 * The variable in the environment of a command by which its processes are found.
 *
 * @since 0.1.0
 */

/**
 * The variable with the marks of a process: of the command it belongs to, after those of the commands that this one runs
 * under, with a comma between them.
 *
 * @since 0.1.0
 * @category constants
 */
export const markVariable = "EFFECT_TASK_MANAGER_SHELL"

/**
 * The environment with one more mark. A command of an agent that is itself a command of another one carries both.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withMark = (
  environment: Readonly<Record<string, string>>,
  mark: string
): Readonly<Record<string, string>> => {
  const inherited = environment[markVariable]
  return { ...environment, [markVariable]: inherited === undefined ? mark : `${inherited},${mark}` }
}

/**
 * The marks in the environment of a process, as the process table has it.
 *
 * @since 0.1.0
 * @category getters
 */
export const marksIn = (environment: string): ReadonlyArray<string> =>
  environment.split("\0").flatMap((entry) =>
    entry.startsWith(`${markVariable}=`) ? entry.slice(markVariable.length + 1).split(",") : []
  )

/**
 * The limit by which the processes of a command are found that have lost their variable: of file locks (`RLIMIT_LOCKS`), which
 * Linux does not look at any more. Every process inherits it, no environment hides it, and it is read without waiting. NaN for what is
 * no mark of a shell.
 *
 * @since 0.1.0
 * @category getters
 */
export const limitOf = (mark: string): number =>
  Number.parseInt(mark.slice(0, 8), 16) * 2 ** 20 + Number.parseInt(mark.slice(-5), 16)

/**
 * That limit, from the text of `/proc/<id>/limits`; `undefined` if it has none.
 *
 * @since 0.1.0
 * @category parsers
 */
export const limitIn = (limits: string): number | undefined => {
  const found = /^Max file locks +(\d+)/m.exec(limits)?.[1]
  return found === undefined ? undefined : Number(found)
}

/**
 * The marks of one shell: random ids that begin alike, so that all of its commands can be found at once.
 *
 * @since 0.1.0
 * @category models
 */
export interface Marks {
  /** What all of them begin with. */
  readonly common: string
  readonly next: () => string
}

const digitsOfCommand = 12

/**
 * Makes the marks of a shell.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeMarks = (): Marks => {
  const common = globalThis.crypto.randomUUID().slice(0, -digitsOfCommand)
  let count = 0
  return { common, next: () => common + (++count).toString(16).padStart(digitsOfCommand, "0") }
}

/** A demo as a user starts it: a child process, in real time. */
import { type ChildProcess, spawn } from "node:child_process"
import { join, resolve } from "node:path"

const packageRoot = resolve(import.meta.dirname, "..", "..")

/**
 * The arguments of `npm run demo`, in package.json. Not the command tsx: it kills a child at once that does not answer a
 * signal within 60 ms.
 */
export const asUsersStart = (script: string): ReadonlyArray<string> => [
  "--import",
  "tsx",
  join(packageRoot, "demo", script)
]

export class DemoProcess {
  readonly child: ChildProcess
  readonly ended: Promise<number | null>
  output = ""
  errors = ""
  private isOver = false
  private readonly waiting = new Set<() => void>()

  /** `program` is what Node is given before `args`; without `env` the environment is that of the tests. */
  constructor(
    program: ReadonlyArray<string>,
    args: ReadonlyArray<string>,
    options: {
      readonly ownGroup?: boolean
      readonly cwd?: string
      readonly env?: Readonly<Record<string, string | undefined>>
      /** Whether something is typed. */
      readonly input?: boolean
    } = {}
  ) {
    const { INIT_CWD: _ofOurNpm, ...env } = options.env ?? process.env
    this.child = spawn(process.execPath, [...program, ...args], {
      cwd: packageRoot,
      env: options.cwd === undefined ? env : { ...env, INIT_CWD: options.cwd },
      stdio: [options.input === true ? "pipe" : "ignore", "pipe", "pipe"],
      detached: options.ownGroup === true
    })
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.output += text
      this.wake()
    })
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.errors += text
    })
    this.ended = new Promise((done) =>
      this.child.on("close", (code) => {
        this.isOver = true
        this.wake()
        done(code)
      })
    )
  }

  type(text: string): void {
    this.child.stdin?.write(text)
  }

  private wake(): void {
    for (const look of this.waiting) look()
  }

  /** Returns once the output has it. */
  async waitFor(pattern: RegExp): Promise<RegExpExecArray> {
    while (true) {
      const found = pattern.exec(this.output)
      if (found !== null) return found
      if (this.isOver) throw new Error(`the demo ended without ${pattern}:\n${this.output}\n${this.errors}`)
      await new Promise<void>((woken) => {
        const look = () => {
          this.waiting.delete(look)
          woken()
        }
        this.waiting.add(look)
      })
    }
  }

  async root(): Promise<string> {
    return (await this.waitFor(/^The repository: (.*) \(temporary/m))[1] ?? ""
  }

  get pid(): number {
    return this.child.pid ?? 0
  }
}

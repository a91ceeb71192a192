/** The shell with real processes, in real time: what a call is answered, and under which rules it runs. */
import { Command, CommandExecutor } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option, Queue, Stream, TestClock } from "effect"
import { TaskManager } from "effect-task-manager"
import { ShellPolicy } from "effect-task-manager/ai"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { assert } from "vitest"
import { launcherOf } from "../../../src/ai/shell/launcher.js"
import { approve, ask, callOf, next, start, valueOf } from "../../support/toolkit.js"
import { nextLook, printed, run, shell } from "./support.js"

const makeRoot = () => realpathSync(mkdtempSync(join(tmpdir(), "shell-tool-")))

const withoutMkfifo = Layer.merge(
  NodeContext.layer,
  Layer.effect(
    CommandExecutor.CommandExecutor,
    Effect.map(
      CommandExecutor.CommandExecutor,
      ({ start }) =>
        CommandExecutor.makeExecutor((command) =>
          start(command._tag === "StandardCommand" && command.command === "mkfifo" ? Command.make("false") : command)
        )
    )
  ).pipe(Layer.provide(NodeContext.layer))
)

describe("results", () => {
  it.live("a command ends with its exit code and both streams", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* run("echo out; echo err >&2; exit 3"), {
        exit_code: 3,
        signal: null,
        timed_out: false,
        output: "out\nerr\n",
        omitted_bytes: 0
      })
    }).pipe(Effect.provide(shell())))

  it.live("a signal that ended the command is named", () =>
    Effect.gen(function*() {
      const { exit_code, output, signal } = yield* run("echo before; kill -9 $$")
      assert.deepStrictEqual([exit_code, signal, output], [null, "SIGKILL", "before\n"])
    }).pipe(Effect.provide(shell())))

  it.live("characters that are split over writes stay whole", () =>
    Effect.gen(function*() {
      // the euro sign in two pieces, with a flush in between
      const { output } = yield* run("printf '\\342\\202'; sleep 0.05; printf '\\254!'")
      assert.strictEqual(output, "€!")
    }).pipe(Effect.provide(shell())))

  it.live("of a long output the beginning and the end are kept, and how much is left out", () =>
    Effect.gen(function*() {
      const { omitted_bytes, output } = yield* run("printf begin; head -c 3000000 /dev/zero | tr '\\0' x; printf end")
      const [head, tail] = output.split(`\n[… ${omitted_bytes} bytes are left out …]\n`)
      assert.match(head, /^beginx+$/)
      assert.match(tail, /^x+end$/)
      assert.strictEqual(head.length + tail.length + omitted_bytes, 3_000_008)
      assert.isAtMost(Buffer.byteLength(output), 1000)
      assert.isAtLeast(head.length, 400)
      assert.isAtLeast(tail.length, 400)
    }).pipe(Effect.provide(shell({ maxOutputBytes: 1000 }))))

  it.live("where there is no room for a note the end is kept", () =>
    Effect.gen(function*() {
      const { omitted_bytes, output } = yield* run("printf 'a long beginning and the end'")
      assert.deepStrictEqual([output, omitted_bytes], ["the end", 21])
    }).pipe(Effect.provide(shell({ maxOutputBytes: 7 }))))

  it.live("bytes that are no UTF-8 are replaced and counted, and a byte order mark stays", () =>
    Effect.gen(function*() {
      const cut = yield* run("printf 'abc\\342\\202'")
      assert.deepStrictEqual([cut.output, cut.replaced_bytes, cut.omitted_bytes], ["abc\ufffd", 2, 0])
      const two = yield* run("printf 'a\\377b\\357\\277\\275c\\300'; printf '\\355\\240\\200' >&2")
      assert.strictEqual(two.replaced_bytes, 5)
      const marked = yield* run("printf '\\357\\273\\277x'")
      assert.deepStrictEqual([marked.output, "replaced_bytes" in marked], ["\ufeffx", false])
    }).pipe(Effect.provide(shell())))

  it.live("the input is /dev/null, so that a program which reads what it is given finds nothing to read", () =>
    Effect.gen(function*() {
      const { output } = yield* run("readlink /proc/self/fd/0; cat; cat < /dev/stdin; echo over")
      assert.strictEqual(output, "/dev/null\nover\n")
    }).pipe(Effect.provide(shell())))

  it.live("the output is a pipe, so that a program can open /dev/stdout and /dev/stderr", () =>
    Effect.gen(function*() {
      const { output } = yield* run(
        "echo 1; echo 2 > /dev/stderr; echo 3 | tee /dev/stderr; echo 4 > /dev/stdout; echo 5 >> /dev/fd/1; " +
          "echo 6 > /proc/self/fd/2; sh -c 'echo 7 >&2; echo 8'"
      )
      assert.strictEqual(output, "1\n2\n3\n3\n4\n5\n6\n7\n8\n")
    }).pipe(Effect.provide(shell())))

  it.live("both streams come in the order in which they were written", () =>
    Effect.gen(function*() {
      const { output } = yield* run("i=0; while [ $i -lt 500 ]; do echo o$i; echo e$i >&2; i=$((i+1)); done")
      assert.strictEqual(output, Array.from({ length: 500 }, (_, at) => `o${at}\ne${at}\n`).join(""))
    }).pipe(Effect.provide(shell())))

  it.live.runIf(process.platform === "linux")(
    "a pipe is used again, and nothing is left of it",
    () =>
      Effect.gen(function*() {
        const descriptors = () => readdirSync("/dev/fd").length
        const pipe = yield* Effect.gen(function*() {
          const first = yield* run("readlink /proc/self/fd/1")
          const before = descriptors()
          const more = yield* Effect.forEach([1, 2, 3], () => run("readlink /proc/self/fd/1"))
          assert.strictEqual(descriptors(), before)
          assert.deepStrictEqual(more, [first, first, first])
          return first.output.trim()
        }).pipe(Effect.provide(shell()))
        assert.match(pipe, /^\/.*effect-task-manager-shell-.*\/\d+$/)
        assert.isFalse(existsSync(dirname(pipe)))
      })
  )

  it.live("where there are no named pipes it goes through what the executor gives", () =>
    Effect.gen(function*() {
      const { exit_code, output } = yield* run("printf out; sleep 0.05; printf err >&2; exit 3")
      assert.deepStrictEqual([exit_code, output], [3, "outerr"])
    }).pipe(Effect.provide(shell({}, withoutMkfifo))))

  it.live("a shell that does not exist is an error without its cause", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* run("true"), "The shell could not be started.")
    }).pipe(Effect.provide(shell({ shell: ["/does/not/exist"] }))))

  it.live("a command with NUL, without text, or too long, is refused", () =>
    Effect.gen(function*() {
      for (const command of ["a\0b", "", "x".repeat(32_769)]) {
        assert.include(yield* run(command), "Invalid input")
      }
    }).pipe(Effect.provide(shell())))

  it.live("maxOutputBytes out of range makes the layer die", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Layer.build(shell({ maxOutputBytes: -1 })))
      assert.include(String(exit), "maxOutputBytes must be an integer")
    }).pipe(Effect.scoped))
})

describe("while it runs", () => {
  it.live("output can be read from the task, and progress says how much there is", () =>
    Effect.gen(function*() {
      const { handle } = yield* TaskManager
      const progress = yield* handle.events.pipe(
        Stream.filter((event) => event._tag === "Progress"),
        Stream.runHead,
        Effect.fork
      )
      yield* Effect.yieldNow()
      const request = callOf("shell", { command: "printf hello; echo secret-5 >&2; exec sleep 600" })
      const taskId = yield* start(request)
      yield* printed(taskId, /secret-5/)
      const event: any = Option.getOrThrow(yield* Fiber.join(progress))
      assert.match(JSON.stringify(event), /bytes of output/)
      assert.notInclude(JSON.stringify(event.progress ?? event), "secret-5")
      yield* handle.cancel(taskId)
      assert.strictEqual((yield* handle.output(taskId)).text, "hellosecret-5\n")
    }).pipe(Effect.provide(shell({ progressInterval: "10 millis" }))))
})

describe("while it runs, by the clock", () => {
  it.scoped("progress comes at most once in an interval, and only when there is more output", () =>
    Effect.gen(function*() {
      const { handle } = yield* TaskManager
      const events = yield* handle.subscribe
      const taskId = yield* start(callOf("shell", { command: "echo 1; echo 2; echo 3; exec sleep 600" }))
      yield* printed(taskId, /3/)
      const progress = Effect.map(
        Queue.takeAll(events),
        (all) => [...all].filter((event) => event._tag === "Progress").length
      )
      assert.strictEqual(yield* progress, 0)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* progress, 1)
      const cancelling = yield* Effect.fork(handle.cancel(taskId))
      while (Option.isNone(yield* Fiber.poll(cancelling))) {
        // the waits for the process are on this clock too
        yield* TestClock.adjust("5 millis")
        yield* Effect.promise(nextLook)
      }
    }).pipe(Effect.provide(shell({ gracePeriod: "1 hour", manager: { cancelGracePeriod: "2 hours" } }))))
})

// side by side: each has a shell of its own, and waits for processes
describe("environment", () => {
  it.live("tells editors, pagers and prompts that nobody is there, unless the host says otherwise", () =>
    Effect.acquireUseRelease(
      Effect.sync(makeRoot),
      (root) =>
        Effect.gen(function*() {
          const { exit_code, output } = yield* run(
            "git init -q . && git config core.editor 'sleep 1000 #' && git config core.pager 'sleep 1000 #' && " +
              "git -c user.name=a -c user.email=b commit --allow-empty; git --no-optional-locks log; " +
              "echo $PAGER $GIT_TERMINAL_PROMPT"
          )
          // no editor wrote a message
          assert.include(output, "Aborting commit")
          assert.include(output, "less 0\n")
          assert.strictEqual(exit_code, 0)
        }).pipe(Effect.provide(shell({ root, environment: { PAGER: "less" } }))),
      (root) => Effect.sync(() => rmSync(root, { recursive: true, force: true }))
    ))

  it.live("has no PATH of the model's making", () =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        const root = makeRoot()
        mkdirSync(join(root, "bin"))
        symlinkSync(join(root, "bin"), `${root}-link`)
        const before = process.env["PATH"]
        process.env["PATH"] = `${root}/bin:${before}::.:bin:${root}-link:${root}/not/there/yet:${root}:/usr/bin/../bin`
        return { root, before }
      }),
      ({ before, root }) =>
        Effect.gen(function*() {
          const { output } = yield* run("echo $PATH")
          assert.strictEqual(output, `${before}:/usr/bin/../bin\n`)
        }).pipe(Effect.provide(shell({ root }))),
      ({ before, root }) =>
        Effect.sync(() => {
          process.env["PATH"] = before
          rmSync(`${root}-link`)
          rmSync(root, { recursive: true, force: true })
        })
    ))

  it.live("has harmless variables of the host and what is given, and no more", () =>
    Effect.gen(function*() {
      const { output } = yield* run("env")
      const names = output.split("\n").flatMap((line: string) => line === "" ? [] : [line.slice(0, line.indexOf("="))])
      const known = new Set([
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "TMPDIR",
        "MINE",
        "EFFECT_TASK_MANAGER_SHELL",
        "DEBIAN_FRONTEND",
        "EDITOR",
        "GIT_ASKPASS",
        "GIT_EDITOR",
        "GIT_PAGER",
        "GIT_SEQUENCE_EDITOR",
        "GIT_TERMINAL_PROMPT",
        "MANPAGER",
        "PAGER",
        "SSH_ASKPASS",
        "SSH_ASKPASS_REQUIRE",
        "VISUAL",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "_"
      ])
      assert.deepStrictEqual(names.filter((name: string) => !known.has(name)), [])
      assert.include(output, "MINE=yes\n")
      assert.include(output, "LC_ALL=C,x\n")
      assert.notInclude(output, "hunter2")
    }).pipe(
      Effect.provide(Layer.suspend(() => {
        process.env["SECRET_OF_HOST"] = "hunter2"
        process.env["LC_ALL"] = "C,x"
        return shell({ environment: { MINE: "yes" } })
      })),
      Effect.ensuring(Effect.sync(() => {
        delete process.env["SECRET_OF_HOST"]
        delete process.env["LC_ALL"]
      }))
    ))

  it.live("of an agent in the shell of another one has the marks of both", () =>
    Effect.gen(function*() {
      const { output } = yield* run("echo $EFFECT_TASK_MANAGER_SHELL")
      assert.match(output, /^outer,[0-9a-f-]{36}\n$/)
    }).pipe(
      Effect.provide(Layer.suspend(() => {
        process.env["EFFECT_TASK_MANAGER_SHELL"] = "outer"
        return shell({ environment: { EFFECT_TASK_MANAGER_SHELL: "mine" } })
      })),
      Effect.ensuring(Effect.sync(() => delete process.env["EFFECT_TASK_MANAGER_SHELL"]))
    ))

  // a root of its own: this checkout, whose programs are in PATH, may lie in the folder for temporary files
  it.live("inheritEnvironment names what is inherited", () =>
    Effect.acquireUseRelease(
      Effect.sync(makeRoot),
      (root) =>
        Effect.gen(function*() {
          const { output } = yield* run("echo [$HOME] [$PATH]")
          assert.strictEqual(output, `[] [${process.env["PATH"]}]\n`)
        }).pipe(Effect.provide(shell({ root, inheritEnvironment: ["PATH", "NOT_THERE"] }))),
      (root) => Effect.sync(() => rmSync(root, { recursive: true, force: true }))
    ))
})

describe("working directory", () => {
  const withRoot = <A, E, R>(use: (root: string) => Effect.Effect<A, E, R>) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        const root = makeRoot()
        mkdirSync(join(root, "inside", "deep"), { recursive: true })
        mkdirSync(join(root, "outside"))
        writeFileSync(join(root, "inside", "file"), "")
        symlinkSync(join(root, "outside"), join(root, "inside", "away"))
        symlinkSync(join(root, "inside", "deep"), join(root, "inside", "near"))
        symlinkSync(join(root, "inside"), join(root, "link"))
        mkdirSync(join(root, "inside-not"))
        return root
      }),
      use,
      (root) => Effect.sync(() => rmSync(root, { recursive: true, force: true }))
    )

  it.live("is the root, or lies in it, links followed", () =>
    withRoot((root) =>
      Effect.gen(function*() {
        const inside = join(root, "inside")
        for (
          const [cwd, real] of [
            [undefined, inside],
            [null, inside],
            [".", inside],
            ["deep/..", inside],
            ["near", join(inside, "deep")],
            [join(root, "link", "deep"), join(inside, "deep")]
          ]
        ) {
          assert.strictEqual((yield* run("pwd -P", { cwd })).output, `${real}\n`)
        }
      }).pipe(Effect.provide(shell({ root: join(root, "link") })))
    ))

  it.live("is never outside", () =>
    withRoot((root) =>
      Effect.gen(function*() {
        const outside = "`cwd` lies outside of the working directory."
        const none = "`cwd` must be a directory inside of the working directory."
        for (
          const [cwd, message] of [
            ["..", outside],
            ["/", outside],
            ["away", outside],
            ["../inside-not", outside],
            ["deep/../../outside", outside],
            ["file", none],
            ["missing", none],
            ["a\0b", none]
          ]
        ) {
          assert.strictEqual(yield* run("pwd", { cwd }), message)
        }
      }).pipe(Effect.provide(shell({ root: join(root, "inside") })))
    ))

  it.live("is compared once it is entered: what is at its path later is not followed", () =>
    withRoot((root) =>
      Effect.gen(function*() {
        const directory = join(root, "inside")
        const start = Command.string(
          launcherOf({
            command: ["pwd"],
            directory: { path: directory, entered: directory },
            output: undefined,
            limit: 1
          })
        )
        assert.strictEqual(yield* start, `${directory}\n`)
        // between the check of the shell and the start of the command
        rmSync(directory, { recursive: true })
        symlinkSync(join(root, "outside"), directory)
        const said = "The working directory is not the one that was checked. Nothing was run.\n"
        assert.strictEqual(yield* start, said)
        rmSync(directory)
        assert.strictEqual(yield* start, said)
      }).pipe(Effect.provide(NodeContext.layer))
    ))

  it.live("needs a root", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* run("pwd"), "The working directory of the shell does not exist.")
    }).pipe(Effect.provide(shell({ root: "/does/not/exist" }))))
})

describe("policy", () => {
  const asking = ShellPolicy.make({
    rules: [
      ShellPolicy.allow("echo"),
      ShellPolicy.deny("sudo", { reason: "no root" }),
      ShellPolicy.ask("touch", { reason: "writes" })
    ]
  })

  it.live("Deny tells the model why", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* run("echo x && sudo ls"), "The command is not allowed: no root")
    }).pipe(Effect.provide(shell({ policy: asking }))))

  it.live("Ask shows the whole command, and runs it once it is approved", () =>
    Effect.gen(function*() {
      const request = callOf("shell", { command: "echo a;\necho \u202eb" })
      const asked = yield* ask(request)
      assert.strictEqual(asked.approval.summary, "In \".\": echo a;\\u{a}echo \\u{202e}b")
      assert.strictEqual(asked.approval.reason, "Not one plain command")
      yield* approve(asked)
      const resolution: any = yield* next(request)
      assert.strictEqual(valueOf(resolution.item).output, "a\n\u202eb\n")
    }).pipe(Effect.provide(shell({ policy: asking }))))

  it.live("Ask shows where the directory ends and the command begins", () =>
    Effect.acquireUseRelease(
      Effect.sync(makeRoot),
      (root) =>
        Effect.gen(function*() {
          const cwd = "src\": ls #\\"
          mkdirSync(join(root, cwd))
          const asked = yield* ask(callOf("shell", { command: "touch a\\u{a}", cwd }))
          assert.strictEqual(asked.approval.summary, String.raw`In "src\": ls #\\": touch a\\u{a}`)
        }).pipe(Effect.provide(shell({ root, policy: asking }))),
      (root) => Effect.sync(() => rmSync(root, { recursive: true, force: true }))
    ))

  it.live("what was not shown whole is not run", () =>
    Effect.gen(function*() {
      const request = callOf("shell", { command: `true; echo ${"x".repeat(2000)}; rm -r /` })
      const asked = yield* ask(request)
      assert.notInclude(asked.approval.summary.slice(0, 600), "rm")
      yield* approve(asked)
      const resolution: any = yield* next(request)
      assert.strictEqual(
        valueOf(resolution.item),
        "What would run is not what was shown for approval. Nothing was run."
      )
    }).pipe(Effect.provide(shell({ policy: asking, manager: { maxResultBytes: 1024 } }))))

  it.live("what is denied meanwhile is not run, approved or not", () =>
    Effect.gen(function*() {
      const verdicts = ["Ask", "Deny"] as const
      let at = 0
      const layer = shell({ policy: () => ({ verdict: verdicts[at++]!, reason: "changed" }) })
      yield* Effect.gen(function*() {
        const request = callOf("shell", { command: "echo x" })
        yield* approve(yield* ask(request))
        const resolution: any = yield* next(request)
        assert.strictEqual(valueOf(resolution.item), "The command is not allowed: changed")
      }).pipe(Effect.provide(layer))
    }))
})

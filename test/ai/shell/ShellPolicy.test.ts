import { describe, it } from "@effect/vitest"
import { FastCheck, Option, Schema } from "effect"
import { ApprovalId, type ApprovalRequest } from "effect-task-manager"
import { ShellPermission, ShellPolicy } from "effect-task-manager/ai"
import { execFileSync } from "node:child_process"
import { assert } from "vitest"
import { summaryOf } from "../../../src/ai/shell/approvals.js"
import { chainWords, plainWords } from "../../../src/ai/shell/words.js"

const policy = ShellPolicy.make({
  rules: [
    ShellPolicy.deny("sudo"),
    ShellPolicy.deny("git push", { reason: "no pushing" }),
    ShellPolicy.ask("git log --output=x"),
    ShellPolicy.allow("git log"),
    ShellPolicy.allowExactly("git status"),
    ShellPolicy.allow("echo")
  ]
})
const verdict = (command: string, of = policy): string => of({ command, directory: "/" }).verdict

/** The arguments of each call of `x` in each command, as the shell sees them: one process for all, because one costs a lot. */
const said = (commands: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<ReadonlyArray<string>>> => {
  const script = `x() { printf '%s\\0' "$#" "$@"; }; for each do eval "$each"; printf 'end\\0'; done`
  const output = execFileSync("/bin/sh", ["-c", script, "sh", ...commands], { encoding: "utf8", cwd: "/" })
  const all: Array<Array<ReadonlyArray<string>>> = [[]]
  const texts = output.split("\0").slice(0, -1)
  for (let at = 0; at < texts.length;) {
    const text = texts[at++]
    if (text === "end") {
      all.push([])
      continue
    }
    all.at(-1)?.push(texts.slice(at, at + Number(text)))
    at += Number(text)
  }
  return all.slice(0, -1)
}

describe("plain commands", () => {
  for (
    const [command, expected] of [
      ["git log", "Allow"],
      ["  git   log  --oneline -n 5 -- src/a.ts ", "Allow"],
      ["git 'log'", "Allow"],
      ["git log --grep='a; b && $(c) `d` > e'", "Allow"],
      ["git log --grep=\"a; b && (c) | d > e # f\"", "Allow"],
      ["git log --output=x", "Ask"],
      ["git status", "Allow"],
      ["git status -s", "Ask"],
      ["git logs", "Ask"],
      ["git", "Ask"],
      ["./git log", "Ask"],
      ["/tmp/git log", "Ask"],
      ["git push", "Deny"],
      ["git push --force", "Deny"],
      ["/usr/bin/git push", "Deny"],
      ["echo sudo", "Deny"],
      ["whatever", "Ask"]
    ] as const
  ) {
    it(`${command}: ${expected}`, () => assert.strictEqual(verdict(command), expected))
  }
})

describe("options between the words of a rule that restricts", () => {
  const guarded = ShellPolicy.make({
    rules: [
      ShellPolicy.deny("git push"),
      ShellPolicy.deny("git reset --hard"),
      ShellPolicy.ask("git rebase main"),
      ShellPolicy.ask("git clean -d -x"),
      ShellPolicy.allow("git")
    ]
  })
  for (
    const [command, expected] of [
      ["git -C r push --force", "Deny"],
      ["git --no-pager push", "Deny"],
      ["git -c a=b push", "Deny"],
      ["git -c a=b -C x --git-dir=y push", "Deny"],
      ["git --git-dir=x push", "Deny"],
      ["git --git-dir x --work-tree y push", "Deny"],
      ["/usr/bin/git -C r push", "Deny"],
      ["cd x && git -C r push", "Deny"],
      ["git reset -q --hard", "Deny"],
      ["git -C r reset -q HEAD~1 --hard", "Deny"],
      ["git reset HEAD --hard", "Deny"],
      ["git reset HEAD~1 -- a b --hard", "Deny"],
      ["make && git reset HEAD --hard && make", "Deny"],
      ["git clean . -x now -d", "Ask"],
      ["git clean . -d -x", "Ask"],
      ["git clean -x .", "Allow"],
      ["git --hard reset", "Allow"],
      ["git -C r rebase main", "Ask"],
      // a string is one word of an option, whatever is in it
      ["git -C 'my own project' push", "Deny"],
      ["git -c \"user.name=A B C\" push", "Deny"],
      ["git -C \"$HOME/my own project\" reset --hard", "Deny"],
      ["make && git -C 'my own project' rebase main", "Ask"],
      ["git rebase -i main", "Ask"],
      ["git status", "Allow"],
      ["git -C r status", "Allow"],
      // the words belong to something else
      ["git log push", "Allow"],
      ["git commit 'push'", "Allow"]
    ] as const
  ) {
    it(`${command}: ${expected}`, () => assert.strictEqual(verdict(command, guarded), expected))
  }
})

it("a command of many words is decided in linear time", () => {
  // the option stands before the words that it would have to follow, tens of thousands of times
  const command = `--hard ${"git reset x ".repeat(50_000)}`
  const guarded = ShellPolicy.make({ rules: [ShellPolicy.deny("git reset --hard"), ShellPolicy.allow("--hard")] })
  assert.strictEqual(verdict(command, guarded), "Allow")
})

it("a command of many options is decided in linear time", () => {
  // each could begin what the rule looks for, and none ends it
  const command = "git -x ".repeat(50_000)
  const guarded = ShellPolicy.make({ rules: [ShellPolicy.deny("git push"), ShellPolicy.allow("git")] })
  assert.strictEqual(verdict(command, guarded), "Allow")
})

describe("a rule that restricts, behind one that allows", () => {
  const guarded = ShellPolicy.make({ rules: [ShellPolicy.allow("git"), ShellPolicy.deny("git push")] })
  for (const command of ["git push", "git -C 'my own project' push", "sh -c 'git push'"]) {
    it(`${command}: Deny`, () => assert.strictEqual(verdict(command, guarded), "Deny"))
  }
})

describe("the directories of a rule that allows", () => {
  const rules = [
    ShellPolicy.allow("npm test"),
    ShellPolicy.allowExactly("ls", { directories: "Any" }),
    ShellPolicy.allow("make", { directories: ["packages/a/", "./packages/b"] }),
    ShellPolicy.deny("sudo")
  ]
  const guarded = ShellPolicy.make({ rules })
  const at = (command: string, directory: string) => guarded({ command, directory, root: "/work" }).verdict

  it("is the root, unless others are named", () => {
    assert.deepStrictEqual(
      ["/work", "/work/node_modules/x", "/workshop", "/"].map((directory) => at("npm test", directory)),
      ["Allow", "Ask", "Ask", "Ask"]
    )
  })

  it("is any directory where the rule says so", () => {
    assert.deepStrictEqual(["/work", "/work/a/b"].map((directory) => at("ls", directory)), ["Allow", "Allow"])
  })

  it("is one of those that are named, and the root no more", () => {
    assert.deepStrictEqual(
      ["/work", "/work/packages/a", "/work/packages/b", "/work/packages/a/deeper"].map((one) => at("make", one)),
      ["Ask", "Allow", "Allow", "Ask"]
    )
  })

  it("does not narrow a rule that restricts", () => {
    assert.strictEqual(at("sudo ls", "/work/a"), "Deny")
  })

  it("holds in a root that is the root of the file system", () => {
    assert.strictEqual(guarded({ command: "make", directory: "/packages/a", root: "/" }).verdict, "Allow")
  })
})

describe("what is not plain is never allowed by a rule", () => {
  for (
    const command of [
      "echo a; id",
      "echo a;id",
      "echo a && id",
      "echo a || id",
      "echo a | id",
      "echo a & id",
      "echo a\nid",
      "echo a\r\nid",
      "echo a\rid",
      "echo a\u2028id",
      "echo a\u0085id",
      "echo a\vid",
      "echo\tid",
      "echo $(id)",
      "echo `id`",
      "echo \"$(id)\"",
      "echo \"`id`\"",
      "echo \"a\\\" $(id) \\\"\"",
      "echo $HOME",
      "echo ${HOME}",
      "echo $'a'",
      "echo \"a\nid\"",
      "echo 'a\nid'",
      "echo a > file",
      "echo a >> file",
      "echo a < file",
      "echo a <<X",
      "echo <(id)",
      "(echo a)",
      "{ echo a; }",
      "! echo a",
      "echo *",
      "echo a?",
      "echo [ab]",
      "echo {a,b}",
      "echo ~",
      "echo a # b",
      "echo a\\",
      "echo a\\;id",
      "echo 'a",
      "echo \"a",
      "echo 'a' '",
      "PATH=/tmp echo a",
      "A+=1 echo a",
      "A= echo a",
      "echo a\u0000",
      "echo ａ",
      "echo\u00a0a",
      "coproc echo a;",
      "echo ^a",
      "",
      "   "
    ]
  ) {
    it(JSON.stringify(command), () => {
      assert.strictEqual(verdict(command), "Ask")
      assert.strictEqual(plainWords(command), undefined)
    })
  }

  it("the words of a plain command are those that a shell sees", () => {
    const alphabet = FastCheck.constantFrom(..."ab '\"$;\\-=#~*?!&|<>(){}[]`\n\t%@:/.,+^".split(""))
    const plain = FastCheck.sample(FastCheck.array(alphabet, { maxLength: 14 }), { numRuns: 3000, seed: 7 })
      .flatMap((characters) => {
        const command = `x ${characters.join("")}`
        const words = plainWords(command)
        return words === undefined ? [] : [{ command, words }]
      })
    assert.isAbove(plain.length, 100)
    assert.deepStrictEqual(said(plain.map(({ command }) => command)), plain.map(({ words }) => [words.slice(1)]))
  })

  it("asks about a long command", () => {
    assert.strictEqual(verdict(`echo ${"a ".repeat(16_000)};`), "Ask")
    assert.strictEqual(verdict(`echo ${"''".repeat(16_000)}'`), "Ask")
  })
})

describe("rules that deny or ask see through what stands around their words", () => {
  for (
    const command of [
      "ls; sudo rm",
      "ls&&sudo rm",
      "(sudo rm)",
      "$(sudo rm)",
      "\"sudo\" rm",
      "/usr/bin/sudo rm",
      "su\\do rm",
      "A=1 sudo rm",
      "ls\nsudo rm",
      "sh -c 'sudo rm'",
      "x=`git push`",
      "git \\\n push",
      "${x:-sudo} y",
      "${x+sudo} y",
      "${-:-sudo} y",
      "${x:?sudo}"
    ]
  ) {
    it(JSON.stringify(command), () => assert.strictEqual(verdict(command), "Deny"))
  }

  it("not what only contains them", () => {
    assert.strictEqual(verdict("echo pseudo sudoku git pushed"), "Allow")
  })

  it("Ask also where everything else is allowed", () => {
    const open = ShellPolicy.make({ rules: [ShellPolicy.ask("rm")], otherwise: "Allow", compound: "Allow" })
    assert.deepStrictEqual(
      ["ls", "ls; ls", "rm x", "/bin/rm x", "ls; /bin/rm x"].map((command) => verdict(command, open)),
      ["Allow", "Allow", "Ask", "Ask", "Ask"]
    )
  })
})

describe("chains", () => {
  const rules = [
    ShellPolicy.deny("sudo"),
    ShellPolicy.ask("rm"),
    ShellPolicy.allow("npm test"),
    ShellPolicy.allow("cat"),
    ShellPolicy.allow("grep", { directories: "Any" }),
    // what changes how the others run makes no chain, allowed or not
    ...["cd", "export", "exec", "xargs", "printf", "eval"].map((word) => ShellPolicy.allow(word))
  ]
  const chaining = ShellPolicy.make({ rules, chains: true })
  for (
    const [command, expected] of [
      ["npm test && cat a | grep b", "Allow"],
      ["npm test||cat a;grep b", "Allow"],
      ["grep 'a && b; c | d' x | grep \"e || f\"", "Allow"],
      ["cat a | wc -l", "Ask"],
      ["wc -l | cat a", "Ask"],
      ["cat a && rm b", "Ask"],
      ["cat a | xargs rm", "Ask"],
      ["cat a; sudo cat b", "Deny"],
      ["cat a & cat b", "Ask"],
      ["cat a && cat b &", "Ask"],
      ["cat a |& cat b", "Ask"],
      ["cat a ;; cat b", "Ask"],
      ["cat a ;", "Ask"],
      ["; cat a", "Ask"],
      ["cat a && && cat b", "Ask"],
      ["cat a\ncat b", "Ask"],
      ["cat a && cat $(id)", "Ask"],
      ["cat a && cat `id`", "Ask"],
      ["cat a > b && cat b", "Ask"],
      ["cat << X | cat", "Ask"],
      ["(cat a; cat b)", "Ask"],
      ["{ cat a; cat b; }", "Ask"],
      ["A=1 cat a; cat b", "Ask"],
      ["cat a; PATH=. cat b", "Ask"],
      ["cat *; cat b", "Ask"],
      ["cat {a,b} | cat", "Ask"],
      ["cat ~ | cat", "Ask"],
      ["cat \\\"; id; \\\" | cat", "Ask"],
      ["cat 'a; id", "Ask"],
      ["! cat a | cat", "Ask"],
      ["cd x && npm test", "Ask"],
      ["export PATH=x && npm test", "Ask"],
      ["printf -v PATH x; npm test", "Ask"],
      ["exec cat a; cat b", "Ask"],
      ["eval id; cat b", "Ask"]
    ] as const
  ) {
    it(`${JSON.stringify(command)}: ${expected}`, () => assert.strictEqual(verdict(command, chaining), expected))
  }

  it("are no chains unless the policy says so", () => {
    assert.strictEqual(verdict("cat a | cat", ShellPolicy.make({ rules })), "Ask")
    assert.throws(() => ShellPolicy.make({ rules, chains: "yes" as never }), "ShellPolicy.chains takes true or false")
  })

  it("hold where the rule of each part holds", () => {
    const at = (command: string) => chaining({ command, directory: "/work/a", root: "/work" }).verdict
    assert.deepStrictEqual(["grep a | grep b", "grep a | cat"].map(at), ["Allow", "Ask"])
  })

  it("say which part is not allowed", () => {
    const { reason } = chaining({ command: "cat a | wc -l", directory: "/" })
    assert.strictEqual(reason, "No rule fits this command: `wc -l`")
  })

  it("have the parts that a shell sees", () => {
    const pieces = FastCheck.constantFrom(
      "x",
      "a",
      "'a;b'",
      "\"c && d\"",
      "'",
      "\"",
      " ",
      " && x",
      ";x ",
      "&",
      "\\",
      "#"
    )
    const chains = FastCheck.sample(FastCheck.array(pieces, { maxLength: 8 }), { numRuns: 6000, seed: 7 })
      .flatMap((some) => {
        const command = `x ${some.join("")}`
        const parts = chainWords(command)
        return parts === undefined || parts.some(([program]) => program !== "x") ? [] : [{ command, parts }]
      })
    assert.isAbove(chains.length, 50)
    assert.deepStrictEqual(
      said(chains.map(({ command }) => command)),
      chains.map(({ parts }) => parts.map((words) => words.slice(1)))
    )
  })

  it("of any length take no long time", () => {
    assert.strictEqual(verdict("cat a;".repeat(5000), chaining), "Ask")
    assert.strictEqual(verdict(`${"cat a;".repeat(5000)}cat b`, chaining), "Allow")
  })
})

describe("what a human allows for ever", () => {
  const asked = (command: string, more: Partial<ApprovalRequest> = {}): ApprovalRequest => ({
    id: ApprovalId.make("shell-1"),
    requestKind: "shell",
    reason: "No rule fits this command",
    summary: summaryOf("a", command),
    metadata: { command, directory: "/work/a" },
    ...more
  })
  const kept: Array<ShellPermission> = []
  const remembering = ShellPolicy.withPermissions(policy, () => kept)
  const at = (command: string, directory = "/work/a") => remembering({ command, directory, root: "/work" })

  it("is that text in that directory, from the moment when it is kept", () => {
    const command = "npm run build && echo 'done\n'"
    assert.strictEqual(at(command).verdict, "Ask")
    const permission = Option.getOrThrow(ShellPolicy.permissionOf(asked(command)))
    // it survives being saved
    kept.push(Schema.decodeUnknownSync(ShellPermission)(JSON.parse(JSON.stringify(permission))))
    assert.deepStrictEqual(at(command), { verdict: "Allow", reason: "It was allowed before, in this directory" })
    for (const other of [`${command} `, ` ${command}`, `${command}; id`, "npm run build", command.toUpperCase()]) {
      assert.strictEqual(at(other).verdict, "Ask", other)
    }
    for (const directory of ["/work", "/work/a/b", "/work/ab"]) {
      assert.strictEqual(at(command, directory).verdict, "Ask")
    }
  })

  it("does not allow what the policy denies", () => {
    kept.push({ command: "sudo ls", directory: "/work/a" })
    assert.strictEqual(at("sudo ls").verdict, "Deny")
  })

  it("is nothing where nobody has seen the whole command, or another tool asked", () => {
    const none = [
      asked("ls -a", { summary: "In \"a\": ls" }),
      asked("ls -a", { summary: "In \"a\": ls -b" }),
      asked("ls -a", { requestKind: "tool" }),
      asked("ls -a", { metadata: { command: "ls -a" } }),
      asked("ls -a", { metadata: {} })
    ]
    assert.deepStrictEqual(none.map((one) => Option.isNone(ShellPolicy.permissionOf(one))), none.map(() => true))
    assert.deepStrictEqual(
      Option.getOrThrow(ShellPolicy.permissionOf(asked("echo \u202e a\\"))),
      { command: "echo \u202e a\\", directory: "/work/a" }
    )
  })
})

describe("made policies", () => {
  it("the conservative one asks about nearly everything", () => {
    assert.deepStrictEqual(
      ["pwd", "ls", "ls /", "cat x", "ls; ls"].map((command) => verdict(command, ShellPolicy.conservative)),
      ["Allow", "Allow", "Ask", "Ask", "Ask"]
    )
  })

  it("allowAll asks about nothing", () => assert.strictEqual(verdict("rm -r / ; x", ShellPolicy.allowAll), "Allow"))

  it("a decision says which rule made it", () => {
    assert.strictEqual(policy({ command: "git push", directory: "/" }).reason, "no pushing")
    assert.strictEqual(policy({ command: "sudo x", directory: "/" }).reason, "The policy has a rule for `sudo`")
  })

  it("a rule without words is refused", () => {
    assert.throws(() => ShellPolicy.allow("  "), "needs at least one word")
  })
})

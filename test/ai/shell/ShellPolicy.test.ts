import { describe, it } from "@effect/vitest"
import { FastCheck } from "effect"
import { ShellPolicy } from "effect-task-manager/ai"
import { execFileSync } from "node:child_process"
import { assert } from "vitest"
import { plainWords } from "../../../src/ai/shell/words.js"

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
      ["git -C r rebase main", "Ask"],
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
    let plain = 0
    FastCheck.assert(
      FastCheck.property(FastCheck.array(alphabet, { maxLength: 14 }), (characters) => {
        const command = characters.join("")
        const words = plainWords(`x ${command}`)
        if (words === undefined) return
        plain++
        const seen = execFileSync("/bin/sh", ["-c", `x() { printf '%s\\0' "$@"; }; x ${command}`], {
          encoding: "utf8",
          cwd: "/"
        })
        assert.deepStrictEqual(seen === "\0" && words.length === 1 ? [] : seen.split("\0").slice(0, -1), words.slice(1))
      }),
      { numRuns: 3000, seed: 7 }
    )
    assert.isAbove(plain, 100)
  })

  it("a long command takes no long time", () => {
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

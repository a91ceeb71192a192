/** What a session does next: each state with each command, without Effect. */
import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import type { TaskId } from "effect-task-manager"
import { TurnFailure, WakePolicy } from "effect-task-manager/ai"
import * as machine from "../../../src/ai/loop/internal/machine.js"

type Command = machine.Command

const nothing: machine.Facts = { hasOpenTurns: false, awaitsReply: false }
const atOnce = WakePolicy.AtOnce({ budget: 2 })
const coalesced = WakePolicy.Coalesced({ window: "1 second", budget: 2 })
const failure = (reason: "Unknown" | "Store") => new TurnFailure({ reason, message: "failed" })
const submit = (messageId = "m"): Command => ({ _tag: "Submit", messageId })
const withdraw = (messageId = "m"): Command => ({ _tag: "Withdraw", messageId })
/** A message that rejects an approval which was open when it was handed in. */
const rejecting = (messageId = "n"): Command => ({
  _tag: "Submit",
  messageId,
  rejects: { approvals: [], reason: "words" }
})
const wake = (id = "task-1"): Command => ({ _tag: "Wake", taskId: id as TaskId })
const replied = (calls: number, end: "stop" | "pause" = "stop"): Command => ({ _tag: "Replied", calls, end })
const drained = (open: number): Command => ({ _tag: "Drained", open })
const failed = (reason: "Unknown" | "Store" = "Unknown"): Command => ({ _tag: "StepFailed", error: failure(reason) })
const collected = (...ids: ReadonlyArray<string>): Command => ({
  _tag: "Collected",
  taskIds: ids as unknown as ReadonlyArray<TaskId>
})
const plain = (
  _tag:
    | "Resume"
    | "GoOn"
    | "TaskChanged"
    | "WindowElapsed"
    | "Interrupt"
    | "Close"
    | "StepInterrupted"
    | "TurnStopped"
    | "Rewrite"
): Command => ({
  _tag
})

const actionText = (action: machine.Action): string => {
  if (action._tag === "AnswerWithdraw") return `${action.isWithdrawn ? "withdrawn" : "kept"} ${action.messageId}`
  if (action._tag !== "Emit") return action._tag === "RunCalls" && !action.start ? "DrainCalls" : action._tag
  const { event } = action
  if (event._tag === "TurnStarted") return `begin ${event.turnId} ${event.cause._tag}`
  if (event._tag === "TurnEnded") return `end ${event.turnId} ${event.reason._tag}`
  if (event._tag === "MessageTaken") return `take ${event.messageId}`
  return event._tag
}

const play = (
  commands: ReadonlyArray<Command>,
  policy: WakePolicy = atOnce,
  facts: machine.Facts = nothing,
  maxRequestsPerTurn = Infinity
): { readonly state: machine.SessionState; readonly last: ReadonlyArray<string> } => {
  let state = machine.initialState(1, maxRequestsPerTurn)
  let last: ReadonlyArray<string> = []
  for (const command of commands) {
    const next = machine.step(state, command, policy, facts)
    state = next.state
    last = next.actions.map(actionText)
  }
  return { state, last }
}

/** How each phase is reached. */
const reach = {
  Idle: [],
  Collecting: [wake()],
  Replying: [submit()],
  RunningTools: [submit(), { _tag: "MessageStored", messageId: "m" }, replied(2)],
  AwaitingApproval: [submit(), { _tag: "MessageStored", messageId: "m" }, replied(2), drained(1)],
  Interrupting: [submit(), { _tag: "MessageStored", messageId: "m" }, replied(2), plain("Interrupt")],
  Closed: [plain("Close")]
} satisfies Record<machine.Phase["_tag"], ReadonlyArray<Command>>

type Cell = readonly [phase: machine.Phase["_tag"], actions: ReadonlyArray<string>]

const table: Record<string, ReadonlyArray<readonly [from: machine.Phase["_tag"], command: Command, ...to: Cell]>> = {
  Submit: [
    ["Idle", submit(), "Replying", ["begin turn-1 Message", "take m", "Reply"]],
    ["Collecting", submit(), "Collecting", []],
    ["Replying", submit("n"), "Replying", []],
    ["RunningTools", submit("n"), "RunningTools", []],
    ["AwaitingApproval", submit("n"), "AwaitingApproval", []],
    ["Interrupting", submit("n"), "Interrupting", []],
    ["Closed", submit(), "Closed", []],
    ["Idle", rejecting("m"), "Replying", ["RejectApprovals", "begin turn-1 Message", "take m", "Reply"]],
    ["Collecting", rejecting(), "Collecting", ["RejectApprovals"]],
    ["Replying", rejecting(), "Replying", ["RejectApprovals"]],
    ["RunningTools", rejecting(), "RunningTools", ["RejectApprovals"]],
    ["AwaitingApproval", rejecting(), "AwaitingApproval", ["RejectApprovals"]],
    ["Interrupting", rejecting(), "Interrupting", []],
    ["Closed", rejecting(), "Closed", []]
  ],
  Withdraw: [
    ["Idle", withdraw(), "Idle", ["kept m"]],
    ["Collecting", withdraw(), "Collecting", ["kept m"]],
    // a turn has taken it
    ["Replying", withdraw(), "Replying", ["kept m"]],
    ["RunningTools", withdraw(), "RunningTools", ["kept m"]],
    ["AwaitingApproval", withdraw(), "AwaitingApproval", ["kept m"]],
    ["Interrupting", withdraw(), "Interrupting", ["kept m"]],
    ["Closed", withdraw(), "Closed", ["kept m"]]
  ],
  Resume: [
    ["Idle", plain("Resume"), "Idle", []],
    ["Collecting", plain("Resume"), "Collecting", []],
    ["Replying", plain("Resume"), "Replying", []],
    ["RunningTools", plain("Resume"), "RunningTools", []],
    ["AwaitingApproval", plain("Resume"), "AwaitingApproval", []],
    ["Interrupting", plain("Resume"), "Interrupting", []],
    ["Closed", plain("Resume"), "Closed", []]
  ],
  GoOn: [
    ["Idle", plain("GoOn"), "Replying", ["begin turn-1 Resume", "Reply"]],
    ["Collecting", plain("GoOn"), "Collecting", []],
    ["Replying", plain("GoOn"), "Replying", []],
    ["RunningTools", plain("GoOn"), "RunningTools", []],
    ["AwaitingApproval", plain("GoOn"), "AwaitingApproval", []],
    ["Interrupting", plain("GoOn"), "Interrupting", []],
    ["Closed", plain("GoOn"), "Closed", []]
  ],
  Wake: [
    ["Idle", wake(), "Collecting", ["Collect"]],
    ["Collecting", wake("task-2"), "Collecting", []],
    ["Replying", wake(), "Replying", []],
    ["RunningTools", wake(), "RunningTools", []],
    ["AwaitingApproval", wake(), "AwaitingApproval", []],
    ["Interrupting", wake(), "Interrupting", []],
    ["Closed", wake(), "Closed", []]
  ],
  TaskChanged: [
    ["Idle", plain("TaskChanged"), "Idle", []],
    ["Collecting", plain("TaskChanged"), "Collecting", []],
    ["Replying", plain("TaskChanged"), "Replying", []],
    ["RunningTools", plain("TaskChanged"), "RunningTools", []],
    ["AwaitingApproval", plain("TaskChanged"), "RunningTools", ["RunCalls"]],
    ["Interrupting", plain("TaskChanged"), "Interrupting", []],
    ["Closed", plain("TaskChanged"), "Closed", []]
  ],
  Rewrite: [
    ["Idle", plain("Rewrite"), "Collecting", ["Rewrite"]],
    ["Collecting", plain("Rewrite"), "Collecting", ["RefuseRewrite"]],
    ["Replying", plain("Rewrite"), "Replying", ["RefuseRewrite"]],
    ["RunningTools", plain("Rewrite"), "RunningTools", ["RefuseRewrite"]],
    ["AwaitingApproval", plain("Rewrite"), "AwaitingApproval", ["RefuseRewrite"]],
    ["Interrupting", plain("Rewrite"), "Interrupting", ["RefuseRewrite"]],
    ["Closed", plain("Rewrite"), "Closed", ["RefuseRewrite"]]
  ],
  Interrupt: [
    ["Idle", plain("Interrupt"), "Idle", ["AnswerInterrupts"]],
    ["Collecting", plain("Interrupt"), "Interrupting", ["InterruptStep"]],
    ["Replying", plain("Interrupt"), "Interrupting", ["InterruptStep"]],
    ["RunningTools", plain("Interrupt"), "Interrupting", ["StopTurn"]],
    ["AwaitingApproval", plain("Interrupt"), "Interrupting", ["StopTurn"]],
    ["Interrupting", plain("Interrupt"), "Interrupting", []],
    ["Closed", plain("Interrupt"), "Closed", ["AnswerInterrupts"]]
  ],
  Close: [
    ["Idle", plain("Close"), "Closed", ["AnswerInterrupts", "Finish"]],
    ["Collecting", plain("Close"), "Interrupting", ["InterruptStep"]],
    ["Replying", plain("Close"), "Interrupting", ["InterruptStep"]],
    ["RunningTools", plain("Close"), "Interrupting", ["StopTurn"]],
    ["AwaitingApproval", plain("Close"), "Interrupting", ["StopTurn"]],
    ["Interrupting", plain("Close"), "Interrupting", []],
    ["Closed", plain("Close"), "Closed", ["AnswerInterrupts", "Finish"]]
  ],
  "the end of a step": [
    ["Collecting", collected(), "Idle", []],
    ["Collecting", collected("task-1"), "Replying", ["begin turn-1 Wake", "Reply"]],
    ["Collecting", failed("Store"), "Idle", ["begin turn-1 Wake", "end turn-1 Failed", "AnswerInterrupts"]],
    // a message that was taken and is not stored all the same begins nothing
    ["Replying", replied(0), "Idle", ["end turn-1 Completed", "AnswerInterrupts"]],
    ["Replying", replied(2), "RunningTools", ["RunCalls"]],
    ["Replying", replied(0, "pause"), "Replying", ["take m", "Reply"]],
    ["Replying", failed(), "Idle", ["end turn-1 Failed", "AnswerInterrupts"]],
    ["RunningTools", drained(0), "Replying", ["Reply"]],
    ["RunningTools", drained(1), "AwaitingApproval", []],
    ["RunningTools", failed("Store"), "Idle", ["end turn-1 Failed", "AnswerInterrupts"]],
    ["Interrupting", drained(0), "Interrupting", []],
    ["Interrupting", plain("TurnStopped"), "Interrupting", []]
  ]
}

it("a message is taken back until a turn has tried to take it, and begins no turn then", () => {
  const { last, state } = play([submit(), submit("n"), withdraw("n")])
  assert.deepStrictEqual(last, ["withdrawn n"])
  assert.deepStrictEqual(state.messages.map(({ id }) => id), ["m"])
  assert.deepStrictEqual(
    play([submit(), { _tag: "MessageStored", messageId: "m" }, submit("n"), withdraw("n"), replied(0)]).last,
    ["end turn-1 Completed", "AnswerInterrupts"]
  )
})

it("an approval that a message rejects lets the turn go on, and the next request takes the message", () => {
  const { last, state } = play([...reach.AwaitingApproval, rejecting(), plain("TaskChanged"), drained(0)])
  assert.deepStrictEqual([state.phase._tag, last], ["Replying", ["take n", "Reply"]])
})

for (const [name, cells] of Object.entries(table)) {
  describe(name, () => {
    for (const [from, command, phase, actions] of cells) {
      it(`${from}, ${JSON.stringify(command)}: ${phase}`, () => {
        const { last, state } = play([...reach[from], command])
        assert.deepStrictEqual([state.phase._tag, last], [phase, actions])
      })
    }
  })
}

describe("a turn", () => {
  const stored: Command = { _tag: "MessageStored", messageId: "m" }

  it("ends, and nothing follows", () => {
    const { last, state } = play([submit(), stored, replied(0)])
    assert.deepStrictEqual(last, ["end turn-1 Completed", "AnswerInterrupts"])
    assert.isTrue(machine.isIdle(state))
  })

  it("first takes up calls that an earlier one left open", () => {
    const { last } = play([submit()], atOnce, { hasOpenTurns: true, awaitsReply: true })
    assert.deepStrictEqual(last, ["begin turn-1 Message", "RunCalls"])
    assert.deepStrictEqual(play([plain("Resume")], atOnce, { hasOpenTurns: true, awaitsReply: true }).last, [
      "begin turn-1 Resume",
      "RunCalls"
    ])
    assert.deepStrictEqual(play([plain("Resume")], atOnce, { hasOpenTurns: false, awaitsReply: true }).last, [
      "begin turn-1 Resume",
      "Reply"
    ])
  })

  it("that failed is not begun again by the message it failed on, but by a newer one", () => {
    assert.deepStrictEqual(play([submit(), failed("Store")]).last, ["end turn-1 Failed", "AnswerInterrupts"])
    assert.deepStrictEqual(play([submit(), submit("n"), failed("Store")]).last, [
      "end turn-1 Failed",
      "AnswerInterrupts",
      "begin turn-2 Message",
      "take m",
      "take n",
      "Reply"
    ])
    assert.deepStrictEqual(play([submit(), failed("Store"), plain("Resume")]).last, [
      "begin turn-2 Message",
      "take m",
      "Reply"
    ])
  })

  it("that has answered is followed by one for a message that came meanwhile", () => {
    assert.deepStrictEqual(play([submit(), stored, submit("n"), replied(0)]).last, [
      "end turn-1 Completed",
      "AnswerInterrupts",
      "begin turn-2 Message",
      "take n",
      "Reply"
    ])
  })

  describe("that fails while it takes up what an earlier one left open", () => {
    const open: machine.Facts = { hasOpenTurns: true, awaitsReply: true }
    const ended = ["take m", "end turn-1 Failed", "AnswerInterrupts"]

    it("is not begun again by the message that waits", () => {
      assert.deepStrictEqual(play([submit(), failed("Store")], atOnce, open).last, ended)
      assert.deepStrictEqual(
        play([submit(), plain("Interrupt"), plain("TurnStopped"), failed("Store"), failed("Store")], atOnce, open).last,
        ended
      )
      assert.deepStrictEqual(play([submit(), plain("StepInterrupted")], atOnce, open).last, [
        "take m",
        "end turn-1 Interrupted",
        "AnswerInterrupts"
      ])
    })

    it("leaves the message to the next turn", () => {
      for (const next of [submit("n"), plain("Resume")]) {
        assert.deepStrictEqual(play([submit(), failed("Store"), next], atOnce, open).last, [
          "begin turn-2 Message",
          "RunCalls"
        ])
      }
      assert.deepStrictEqual(play([submit(), withdraw()], atOnce, open).last, ["withdrawn m"])
      assert.deepStrictEqual(play([submit(), failed("Store"), withdraw()], atOnce, open).last, ["kept m"])
    })

    it("is followed by one for a message that came since it began", () => {
      assert.deepStrictEqual(play([submit(), submit("n"), failed("Store")], atOnce, open).last, [
        ...ended,
        "begin turn-2 Message",
        "RunCalls"
      ])
    })

    it("is followed by one for the message that waits if the host has interrupted it", () => {
      const stopped = [submit(), plain("Interrupt"), plain("TurnStopped"), drained(0), drained(0)]
      assert.deepStrictEqual(play(stopped, atOnce, open).last.slice(2), ["begin turn-2 Message", "RunCalls"])
    })
  })

  it("that failed is not followed by a wake-up", () => {
    assert.deepStrictEqual(play([submit(), stored, wake(), failed()]).last, ["end turn-1 Failed", "AnswerInterrupts"])
  })

  it("looks again if a task changed while its calls were drained", () => {
    assert.deepStrictEqual(play([submit(), stored, replied(1), plain("TaskChanged"), drained(1)]).last, ["RunCalls"])
  })

  it("that is interrupted is drained after the manager has stopped it, whichever comes first", () => {
    const running = [submit(), stored, replied(1), plain("Interrupt")]
    assert.deepStrictEqual(play([...running, drained(0)]).last, [])
    for (const end of [[drained(0), plain("TurnStopped")], [plain("TurnStopped"), drained(0)]]) {
      assert.deepStrictEqual(play([...running, ...end]).last, ["DrainCalls"])
      const { last } = play([...running, ...end, drained(0)])
      assert.deepStrictEqual(last, ["end turn-1 Interrupted", "AnswerInterrupts"])
    }
    assert.deepStrictEqual(play([...reach.AwaitingApproval, plain("Interrupt"), plain("TurnStopped")]).last, [
      "DrainCalls"
    ])
  })

  it("that is interrupted in its request closes the calls of a reply that came all the same", () => {
    assert.deepStrictEqual(play([submit(), stored, plain("Interrupt"), replied(2)]).last, ["DrainCalls"])
    const { last } = play([submit(), stored, plain("Interrupt"), plain("StepInterrupted"), drained(0)])
    assert.deepStrictEqual(last, ["end turn-1 Interrupted", "AnswerInterrupts"])
  })

  it("that cannot be written down while it is interrupted has failed; a request that fails then has not", () => {
    const end = (reason: "Unknown" | "Store") =>
      play([submit(), stored, plain("Interrupt"), failed(reason), failed(reason)]).last[0]
    assert.strictEqual(end("Store"), "end turn-1 Failed")
    assert.strictEqual(end("Unknown"), "end turn-1 Interrupted")
  })

  it("whose last step could store what the one before could not is merely interrupted", () => {
    const { last } = play([submit(), stored, plain("Interrupt"), failed("Store"), drained(0)])
    assert.strictEqual(last[0], "end turn-1 Interrupted")
  })

  it("that is closed ends before the session does", () => {
    const { last } = play([submit(), plain("Close"), plain("StepInterrupted"), drained(0)])
    assert.deepStrictEqual(last, ["end turn-1 Interrupted", "AnswerInterrupts", "Finish"])
  })
})

describe("a turn at the limit of its requests", () => {
  const limited = (commands: ReadonlyArray<Command>) => play(commands, atOnce, nothing, 2)
  const stored = { _tag: "MessageStored", messageId: "m" } as const

  it("fails instead of making another, after calls and after a pause", () => {
    for (
      const asking of [[replied(1), drained(0), replied(1), drained(0)], [replied(0, "pause"), replied(0, "pause")]]
    ) {
      const { last } = limited([submit(), stored, ...asking])
      assert.deepStrictEqual(last, ["end turn-1 Failed", "AnswerInterrupts"])
    }
  })

  it("ends as any other if it needs none; the next turn has a limit of its own", () => {
    const all = [submit(), stored, replied(1), drained(0), replied(0)]
    assert.strictEqual(limited(all).last[0], "end turn-1 Completed")
    assert.strictEqual(limited([...all, ...all]).last[0], "end turn-2 Completed")
  })

  it("starts the next turn with a message that came meanwhile", () => {
    const { last } = limited([submit(), stored, replied(1), drained(0), replied(1), submit("n"), drained(0)])
    assert.deepStrictEqual(last.slice(0, 3), ["end turn-1 Failed", "AnswerInterrupts", "begin turn-2 Message"])
  })
})

describe("waking", () => {
  const woken = [wake(), collected("task-1"), replied(0)]

  it("after a turn, by what came during it", () => {
    assert.deepStrictEqual(play([submit(), { _tag: "MessageStored", messageId: "m" }, wake(), replied(0)]).last, [
      "end turn-1 Completed",
      "AnswerInterrupts",
      "Collect"
    ])
  })

  it("has a budget, which only a message renews", () => {
    assert.deepStrictEqual(play([...woken, ...woken, wake()]).last, ["WakeHeld"])
    const renewed = [submit(), { _tag: "MessageStored", messageId: "m" } as const, replied(0)]
    assert.deepStrictEqual(play([...woken, ...woken, ...renewed, wake()]).last, ["Collect"])
  })

  it("coalesced waits for its window, once", () => {
    assert.deepStrictEqual(play([wake()], coalesced).last, ["StartWindow"])
    assert.isFalse(machine.isIdle(play([wake()], coalesced).state))
    assert.deepStrictEqual(play([wake(), wake("task-2")], coalesced).last, [])
    assert.deepStrictEqual(play([wake(), plain("WindowElapsed")], coalesced).last, ["Collect"])
    assert.deepStrictEqual(play([wake(), submit(), plain("WindowElapsed")], coalesced).last, [])
  })

  it("that is interrupted and could not be stored says so, as a turn that failed", () => {
    assert.deepStrictEqual(play([wake(), plain("Interrupt"), failed("Store")]).last, [
      "begin turn-1 Wake",
      "end turn-1 Failed",
      "AnswerInterrupts"
    ])
    assert.deepStrictEqual(play([wake(), plain("Interrupt"), failed("Unknown")]).last, ["AnswerInterrupts"])
  })

  it("does not happen where results wait for the next message", () => {
    const { last, state } = play([wake()], WakePolicy.WithNextMessage)
    assert.deepStrictEqual(last, [])
    assert.isTrue(machine.isIdle(state))
  })

  it("a message that comes while it looks for results is the cause of the turn", () => {
    assert.deepStrictEqual(play([wake(), submit(), collected("task-1")]).last, [
      "begin turn-1 Message",
      "take m",
      "Reply"
    ])
  })
})

describe("in any order of commands", () => {
  const command: fc.Arbitrary<Command> = fc.oneof(
    fc.nat(3).map((n) => submit(`m${n}`)),
    fc.nat(3).map((n) => wake(`task-${n}`)),
    fc.constantFrom(...(["Resume", "TaskChanged", "WindowElapsed", "Interrupt"] as const).map(plain))
  )

  it("turns never overlap, one step runs at a time, every interrupt is answered, and close ends it", () => {
    const dice = fc.infiniteStream(fc.nat(5))
    const policies = fc.constantFrom(atOnce, coalesced, WakePolicy.WithNextMessage)
    fc.assert(
      fc.property(fc.array(command, { maxLength: 40 }), dice, policies, (commands, dice, policy) => {
        let state = machine.initialState(1)
        let turn: string | undefined
        let running: string | undefined
        let stopping = false
        let interrupts = 0
        let finished = false
        const obey = (command: Command) => {
          if (command._tag === "Interrupt") interrupts++
          const next = machine.step(state, command, policy, nothing)
          state = next.state
          for (const action of next.actions) {
            switch (action._tag) {
              case "Emit":
                if (action.event._tag === "TurnStarted") {
                  assert.isUndefined(turn)
                  turn = action.event.turnId
                }
                if (action.event._tag === "TurnEnded") {
                  assert.strictEqual(action.event.turnId as string, turn)
                  turn = undefined
                }
                break
              case "Collect":
              case "Reply":
              case "RunCalls":
                assert.isUndefined(running)
                running = action._tag
                break
              case "StopTurn":
                assert.isFalse(stopping)
                stopping = true
                break
              case "AnswerInterrupts":
                assert.isUndefined(turn)
                interrupts = 0
                break
              case "Finish":
                finished = true
                break
              default:
            }
          }
        }
        const endStep = () => {
          const step = running
          const roll = dice.next().value
          running = undefined
          if (roll === 0) return obey(failed())
          if (step === "Collect") return obey(collected(...(roll > 2 ? ["task-0"] : [])))
          if (step === "RunCalls") return obey(drained(state.phase._tag === "Interrupting" || roll > 2 ? 0 : 1))
          for (const { id } of state.messages) obey({ _tag: "MessageStored", messageId: id })
          return obey(replied(roll > 3 ? 1 : 0))
        }
        for (const command of commands) {
          obey(command)
          if (stopping && dice.next().value > 2) {
            stopping = false
            obey(plain("TurnStopped"))
          }
          if (running !== undefined && dice.next().value > 2) endStep()
        }
        obey(plain("Interrupt"))
        obey(plain("Close"))
        for (let rounds = 0; rounds < 10; rounds++) {
          if (stopping) {
            stopping = false
            obey(plain("TurnStopped"))
          }
          if (running !== undefined) endStep()
        }
        assert.isTrue(finished)
        assert.strictEqual(interrupts, 0)
        assert.isUndefined(turn)
      }),
      { numRuns: 1000 }
    )
  })
})

describe("however steps end", () => {
  const asked = fc.oneof(
    fc.nat(30).map((n) => submit(`m${n}`)),
    fc.nat(3).map((n) => wake(`task-${n}`)),
    fc.constantFrom(plain("Resume"), plain("Interrupt"), plain("GoOn"))
  )
  const stepEnd = fc.constantFrom(
    failed("Store"),
    failed("Unknown"),
    plain("StepInterrupted"),
    replied(0),
    replied(1),
    drained(0),
    collected("task-0")
  )

  it("no turn begins without something new: there are not more of them than commands", () => {
    const flags = fc.record({ hasOpenTurns: fc.boolean(), awaitsReply: fc.boolean() })
    fc.assert(
      fc.property(
        fc.array(asked, { maxLength: 20 }),
        fc.infiniteStream(stepEnd),
        fc.infiniteStream(fc.boolean()),
        flags,
        (commands, ends, isNow, facts) => {
          let state = machine.initialState(1, 3)
          let turns = 0
          let isStopping = false
          const obey = (command: Command) => {
            const next = machine.step(state, command, coalesced, facts)
            state = next.state
            for (const action of next.actions) {
              if (action._tag === "Emit" && action.event._tag === "TurnStarted") turns++
              if (action._tag === "StopTurn") isStopping = true
            }
          }
          const endWhatRuns = () => {
            if (isStopping) {
              isStopping = false
              obey(plain("TurnStopped"))
            }
            if (state.isStepRunning) obey(ends.next().value)
          }
          for (const command of commands) {
            obey(command)
            if (isNow.next().value) endWhatRuns()
          }
          // each turn makes three requests at most
          for (let rounds = 0; rounds < 20 * (commands.length + 1); rounds++) endWhatRuns()
          assert.isAtMost(turns, commands.length)
          assert.isFalse(isStopping || state.isStepRunning)
        }
      ),
      { numRuns: 1000 }
    )
  })
})

describe("what another process has left", () => {
  const left = (isResting: boolean) => machine.initialState(7, Infinity, { messageIds: ["m", "n"], isResting })

  it("begins with the messages, in the turn that comes next", () => {
    const { actions, state } = machine.step(left(false), plain("GoOn"), atOnce, nothing)
    assert.deepStrictEqual(actions.map(actionText), ["begin turn-7 Message", "take m", "take n", "Reply"])
    assert.isFalse(state.isResting)
  })

  it("waits for a word of the user where the session rests, and then takes all of them", () => {
    const { actions } = machine.step(left(true), submit("o"), atOnce, nothing)
    assert.deepStrictEqual(actions.map(actionText), ["begin turn-7 Message", "take m", "take n", "take o", "Reply"])
  })

  it("rests after a turn that failed or was interrupted, until one begins", () => {
    const stored: Command = { _tag: "MessageStored", messageId: "m" }
    const interrupted = [submit(), stored, plain("Interrupt"), plain("StepInterrupted"), drained(0)]
    assert.isTrue(play([submit(), stored, failed()]).state.isResting)
    assert.isTrue(play(interrupted).state.isResting)
    assert.isFalse(play([submit(), stored, failed(), submit("n")]).state.isResting)
    assert.isFalse(play([submit(), stored, replied(0)]).state.isResting)
  })
})

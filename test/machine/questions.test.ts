/** The table at the head of src/machine/questions.ts. */
import {
  type ApprovalQuestion,
  type TaskApproval,
  TaskLaunchRequest,
  type TaskResolution,
  type TaskSnapshot,
  type TurnTaskUpdate
} from "effect-task-manager"
import { assert, describe, it } from "vitest"
import * as control from "../../src/machine/control.js"
import * as delivery from "../../src/machine/delivery.js"
import * as queries from "../../src/machine/queries.js"
import * as questions from "../../src/machine/questions.js"
import * as start from "../../src/machine/start.js"
import type { InlineCaller, TaskRecord } from "../../src/machine/state/TaskRecord.js"
import { approvalRequest, toolError, World } from "../support/world.js"

const two: ReadonlyArray<ApprovalQuestion> = [{ id: "one", text: "1?" }, { id: "two", text: "2?" }]

const asking = (world: World, asked: ReadonlyArray<ApprovalQuestion> = two, token = "asking"): TaskRecord => {
  const task = world.start("a")
  ask(world, task, asked, token)
  return task
}

const ask = (world: World, task: TaskRecord, asked: ReadonlyArray<ApprovalQuestion>, token: string) =>
  world.end(task, { _tag: "ApprovalRequired", approval: { ...approvalRequest(), questions: asked }, asking: token })

const shown = (task: TaskRecord): TaskApproval => task.asked ?? assert.fail("it asks nothing")

const answer = (
  world: World,
  approval: TaskApproval,
  answers: Readonly<Record<string, unknown>>,
  isSmall = () => true
) => world.step((table, now) => questions.answer(table, approval, new Map(Object.entries(answers)), isSmall, now))

const approvedWith = ({ approval, taskId, toolRequest }: TaskApproval) =>
  TaskLaunchRequest.approved({ taskId, request: toolRequest, approval })

const accepted = (isComplete: boolean) => ({ _tag: "Accepted" as const, isComplete })

describe("questions", () => {
  it("are answered one by one, in events without the answers, until none is open", () => {
    const world = new World()
    const task = asking(world)
    const first = shown(task)
    assert.deepStrictEqual(answer(world, first, { two: "secret" }), accepted(false))
    assert.deepStrictEqual(world.lines, ["QuestionsAnswered a"])
    assert.deepStrictEqual(shown(task).answered, ["two"])
    assert.notInclude(JSON.stringify(queries.listSuspended(world.table)), "secret")
    assert.isUndefined(first.answered)
    assert.strictEqual(start.mismatch(world.table, approvedWith(first)), "answers")
    assert.deepStrictEqual(answer(world, first, { one: 1 }), accepted(true))
    assert.isUndefined(start.mismatch(world.table, approvedWith(first)))
    assert.deepStrictEqual([...task.answers ?? []], [["two", "secret"], ["one", 1]])
  })

  it("show in an approval that waits for its reader which are answered", () => {
    const shows = (update: TurnTaskUpdate | TaskResolution | undefined) => {
      const resolution = update?._tag === "Resolution" ? update.resolution : update
      return resolution?._tag === "Approval" ? resolution.approval : undefined
    }
    const inTurn = new World()
    const foreground = asking(inTurn)
    const taken = inTurn.step((table) => delivery.takeTurnUpdate(table, foreground.snapshot))
    if (typeof taken === "string") return assert.fail("there is nothing to take")
    answer(inTurn, shown(foreground), { one: 1 })
    // its reader has failed
    inTurn.step((table) => {
      const session = delivery.enterConsumer(table, foreground.snapshot.sessionId, 1)
      delivery.putBackTurnUpdate(table, session, foreground.snapshot, taken)
    })
    answer(inTurn, shown(foreground), { two: 2 })
    const again = inTurn.step((table) => delivery.takeTurnUpdate(table, foreground.snapshot))
    assert.strictEqual(typeof again === "string" ? again : shows(again.value), foreground.asked)
    assert.deepStrictEqual(foreground.asked?.answered, ["one", "two"])

    const inLoop = new World()
    const background = inLoop.start("a")
    inLoop.step((table, now) => control.detach(table, background.snapshot.id, now))
    ask(inLoop, background, two, "asking")
    answer(inLoop, shown(background), { two: 2 })
    const [batch] = inLoop.step((table) => delivery.takeLoopUpdates(table, background.snapshot.sessionId))
    assert.deepStrictEqual(shows(batch?.value)?.answered, ["two"])

    const inline = new World()
    const inlineCaller: InlineCaller = { outcome: undefined, wake: () => {} }
    const called = inline.start("a", { inlineCaller })
    ask(inline, called, two, "asking")
    answer(inline, shown(called), { one: 1 })
    inline.step((table) => delivery.redirectToTurn(table, called, inlineCaller))
    const redirected = inline.step((table) => delivery.takeTurnUpdate(table, called.snapshot))
    assert.strictEqual(typeof redirected === "string" ? redirected : shows(redirected.value), called.asked)
  })

  it("take one answer each, and none of several where one is refused", () => {
    const world = new World()
    const task = asking(world)
    answer(world, shown(task), { one: 1 })
    const before = shown(task)
    const wrong: ReadonlyArray<readonly [Readonly<Record<string, unknown>>, object]> = [
      [{ two: 2, one: 3 }, { _tag: "Answered", id: "one" }],
      [{ two: 2, three: 3 }, { _tag: "UnknownQuestion", id: "three" }]
    ]
    for (const [answers, refusal] of wrong) {
      assert.deepStrictEqual<object>(answer(world, before, answers), refusal)
      assert.deepStrictEqual(world.lines, [])
    }
    assert.deepStrictEqual<object>(answer(world, before, { two: 2 }, () => false), { _tag: "TooLarge", id: "two" })
    assert.strictEqual(task.asked, before)
    assert.deepStrictEqual([...task.answers ?? []], [["one", 1]])
  })

  it("no answers change nothing, and say whether all is answered", () => {
    const world = new World()
    const task = asking(world)
    const before = shown(task)
    assert.deepStrictEqual(answer(world, before, {}), accepted(false))
    assert.strictEqual(task.asked, before)
    answer(world, before, { one: 1, two: 2 })
    assert.deepStrictEqual(answer(world, before, {}), accepted(true))
    assert.deepStrictEqual(world.lines, [])
  })

  it("an answer is to one asking, and to what was shown", () => {
    const world = new World()
    const task = asking(world)
    const first = shown(task)
    const mismatch = (field: string) => ({ _tag: "Mismatch", field })
    const changed = { ...first, toolRequest: { ...first.toolRequest, toolName: "other" } }
    assert.deepStrictEqual<object>(answer(world, changed, { one: 1 }), mismatch("toolName"))
    answer(world, first, { one: 1, two: 2 })
    world.resume(task)
    assert.deepStrictEqual<object>(answer(world, first, {}), mismatch("asking"))
    ask(world, task, [{ id: "two", text: "again?" }, { id: "three", text: "3?" }], "other")
    assert.deepStrictEqual<object>(answer(world, first, { one: 1 }), mismatch("asking"))
    // what is asked again has no answer any more; the others stay
    assert.deepStrictEqual([...task.answers ?? []], [["one", 1]])
    assert.isUndefined(shown(task).answered)
    answer(world, shown(task), { three: 3, two: 4 })
    assert.deepStrictEqual([...task.answers ?? []], [["one", 1], ["three", 3], ["two", 4]])
  })

  for (
    const [how, end] of [
      [
        "cancelled",
        (world: World, { id }: TaskSnapshot) => void world.step((table, now) => control.cancel(table, id, now))
      ],
      [
        "rejected",
        (world: World, { id }: TaskSnapshot) =>
          void world.step((table, now) => control.rejectApproval(table, id, {}, now))
      ],
      ["out of time", (world: World) =>
        world.step((table, now) => {
          const [task] = table.suspended
          if (task !== undefined) {
            control.approvalTimedOut(table, task, task.asked?.approval.asking, now)
          }
        })]
    ] as const
  ) {
    it(`${how}, a task takes no answer`, () => {
      const world = new World()
      const task = asking(world)
      const approval = shown(task)
      answer(world, approval, { one: 1 })
      end(world, task.snapshot)
      assert.isFalse(world.table.tasks.get(task.snapshot.id)?.isLive)
      assert.deepStrictEqual<object>(answer(world, approval, { two: 2 }), { _tag: "Mismatch", field: "asking" })
      assert.deepStrictEqual(queries.listSuspended(world.table), [])
    })
  }

  it("all answered, it is out of time all the same while nobody launches it", () => {
    const world = new World()
    const task = asking(world)
    answer(world, shown(task), { one: 1, two: 2 })
    world.step((table, now) => control.approvalTimedOut(table, task, "asking", now))
    assert.strictEqual(task.snapshot.status, "Failed")
  })

  it("what waits for a human is told of when it is asked, answered and over, and only then", () => {
    const world = new World()
    const { inbox } = world.table
    const changes = (change: () => void): number => {
      const before = inbox.version
      change()
      return inbox.version - before
    }
    assert.strictEqual(changes(() => world.complete(world.start("b"))), 0)
    assert.strictEqual(changes(() => void world.end(world.start("c"), { _tag: "Failed", error: toolError() })), 0)
    let task: TaskRecord | undefined = undefined
    assert.strictEqual(changes(() => void (task = asking(world))), 1)
    const asked = task ?? assert.fail()
    assert.strictEqual(changes(() => void answer(world, shown(asked), { one: 1 })), 1)
    assert.strictEqual(changes(() => void answer(world, shown(asked), { one: 1 })), 0)
    assert.strictEqual(changes(() => void answer(world, shown(asked), { two: 1 })), 1)
    assert.strictEqual(changes(() => world.resume(asked)), 1)
    assert.strictEqual(changes(() => world.complete(asked)), 0)
  })
})

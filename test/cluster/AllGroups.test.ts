/** The one order of the events of all groups, with groups that are made up. */
import { it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import type { FilteredTaskEvent, TaskSnapshot } from "effect-task-manager"
import { SessionId, TaskId, ToolCallId, TurnId } from "effect-task-manager"
import { assert, describe } from "vitest"
import { AllGroups } from "../../src/cluster/internal/AllGroups.js"
import type { Feeds, Listener } from "../../src/cluster/internal/Feeds.js"
import { numberingOf } from "../../src/cluster/internal/numbering.js"

const groups = 3

const taskOf = (group: number, name: string): TaskSnapshot => ({
  id: TaskId.make(name),
  sessionId: SessionId.make(`session ${group}`),
  turnId: TurnId.make("turn"),
  callId: ToolCallId.make("call"),
  toolName: "tool",
  kind: "Foreground",
  launch: 1,
  status: "Running",
  deliveryMode: "ToLoop",
  continuePolicy: "RequestContinue",
  createdAt: 0,
  metadata: {}
})

interface FakeGroup {
  seq: number
  live: ReadonlyArray<TaskSnapshot>
  listener: Listener | undefined
  /** What the readers of the group have asked for. */
  readonly asked: Array<number | undefined>
}

const make = (kept = 100) => {
  let opened: (fake: FakeGroup) => void = () => {}
  const fakes = Array.from({ length: groups }, (): FakeGroup => ({ seq: 0, live: [], listener: undefined, asked: [] }))
  const open: Feeds["open"] = (group, filter, { listener }) =>
    Effect.gen(function*() {
      const fake = fakes[group]
      if (fake === undefined) return yield* Effect.dieMessage("no such group")
      fake.asked.push(filter?.after)
      fake.listener = listener
      yield* Effect.addFinalizer(() => Effect.sync(() => void (fake.listener = undefined)))
      const began = { seq: fake.seq, live: fake.live, settled: [], asked: [], news: [] }
      listener.began(began)
      opened(fake)
      return { group, began }
    })
  const numbering = numberingOf(groups, 7)
  const all = new AllGroups({
    connection: { groups, fork: (self) => void Effect.runFork(self) },
    feeds: { open },
    numbering,
    bytesOf: () => 1,
    kept: { events: kept, bytes: 1_000 }
  })
  const told: Array<FilteredTaskEvent> = []
  const start = (group: number, name: string): void => {
    const fake = fakes[group]
    if (fake === undefined) return
    const snapshot = taskOf(group, name)
    const { id: taskId, sessionId, turnId } = snapshot
    fake.seq++
    fake.live = [...fake.live, snapshot]
    fake.listener?.hear({ _tag: "Started", seq: fake.seq, at: 0, sessionId, turnId, taskId, snapshot }, [])
  }
  /** The group has moved, and does not know what it has told. */
  const reset = (group: number): void => {
    const fake = fakes[group]
    fake?.listener?.hear({ _tag: "Reset", seq: fake.seq, live: fake.live }, [])
  }
  all.listen({ hear: (event) => told.push(event), wake: () => {} })
  const onOpened = (then: typeof opened): void => {
    opened = then
  }
  return { all, fakes, numbering, onOpened, told, start, reset }
}

const idsOf = (events: ReadonlyArray<FilteredTaskEvent> | undefined): ReadonlyArray<string | undefined> | undefined =>
  events?.map(({ taskId }) => taskId)
const liveOf = (event: FilteredTaskEvent | undefined) =>
  event?._tag === "Reset" ? event.live.map(({ id }) => String(id)).sort() : undefined

describe("the events of all groups in one order", () => {
  it.scoped("goes on behind an event, whatever its group has counted", () =>
    Effect.gen(function*() {
      const { all, start, told } = make()
      yield* all.heard
      const before = all.seq
      // the third group is ahead by far: the numbers do not ascend
      for (const [group, name] of [[2, "a"], [2, "b"], [2, "c"], [0, "d"], [1, "e"], [0, "f"]] as const) {
        start(group, name)
      }
      assert.deepStrictEqual(idsOf(all.since(before)), ["a", "b", "c", "d", "e", "f"])
      told.forEach(({ seq }, index) =>
        assert.deepStrictEqual(idsOf(all.since(seq)), ["a", "b", "c", "d", "e", "f"].slice(index + 1))
      )
      // behind "c" a group has told all, another one nothing
      const place = told[2]?.seq ?? 0
      assert.deepStrictEqual([0, 1, 2].map((group) => all.afterOf(group, place)), [0, 0, 3])
    }))

  it.scoped("knows no place of another client, and none that it has forgotten", () =>
    Effect.gen(function*() {
      const { all, numbering, start, told } = make(2)
      yield* all.heard
      for (const name of ["a", "b", "c"]) start(1, name)
      assert.deepStrictEqual(told.map(({ seq }) => idsOf(all.since(seq))), [undefined, ["c"], []])
      assert.isUndefined(all.since(0))
      assert.isUndefined(all.since((told[1]?.seq ?? 0) + 1))
      // every client can say which event of its group it is
      assert.deepStrictEqual([0, 1, 2].map((group) => numbering.ofGroup(group, (told[1]?.seq ?? 0) + 1)), [
        undefined,
        2,
        undefined
      ])
    }))

  it.scoped("tells the live tasks of all groups where one does not know what it has told", () =>
    Effect.gen(function*() {
      const { all, fakes, reset, start, told } = make()
      yield* all.heard
      start(0, "a")
      start(1, "b")
      const place = all.seq
      const [, second] = fakes
      if (second === undefined) return assert.fail("no second group")
      second.live = [taskOf(1, "c")]
      reset(1)
      assert.deepStrictEqual(liveOf(told.at(-1)), ["a", "c"])
      assert.deepStrictEqual(all.list(undefined).map(({ id }) => String(id)).sort(), ["a", "c"])
      // what came before is not what comes after
      assert.isUndefined(all.since(place))
      start(2, "d")
      assert.deepStrictEqual(idsOf(all.since(told[2]?.seq ?? 0)), ["d"])
    }))

  it.effect("goes on where the last reader has left it", () =>
    Effect.gen(function*() {
      const { all, fakes, start } = make()
      const scope = yield* Scope.make()
      yield* Scope.extend(all.heard, scope)
      start(0, "a")
      start(1, "b")
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(fakes.every(({ listener }) => listener === undefined))
      yield* Effect.scoped(all.heard)
      assert.deepStrictEqual(fakes.map(({ asked }) => asked), [[undefined, 1], [undefined, 1], [undefined, 0]])
    }))

  it.scoped("hears a group again that has ended while it was opened, once somebody comes", () =>
    Effect.gen(function*() {
      const { all, fakes, onOpened, start, told } = make()
      onOpened(({ listener }) => listener?.ended())
      yield* all.heard
      assert.isTrue(all.isEnded)
      onOpened(() => {})
      yield* all.heard
      assert.deepStrictEqual(fakes.map(({ asked }) => asked.length), [2, 2, 2])
      start(1, "a")
      assert.deepStrictEqual(idsOf(told), ["a"])
    }))

  it.scoped("hears a group again that has ended, once somebody comes", () =>
    Effect.gen(function*() {
      const { all, fakes, start, told } = make()
      yield* all.heard
      fakes[1]?.listener?.ended()
      assert.isFalse(all.isEnded)
      yield* all.heard
      start(1, "a")
      assert.deepStrictEqual(idsOf(told), ["a"])
      for (const { listener } of fakes) listener?.ended()
      assert.isTrue(all.isEnded)
    }))
})

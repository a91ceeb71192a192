/**
 * Any sequence of transitions keeps the indexes of the table true (`checkTable` runs after every step), gives every task
 * one terminal event and one result at one destination, and leaves nothing behind.
 */
import { FastCheck as fc } from "effect"
import { TaskId, type TaskResolution } from "effect-task-manager"
import { assert, it } from "vitest"
import * as control from "../../src/machine/control.js"
import * as delivery from "../../src/machine/delivery.js"
import * as finish from "../../src/machine/finish.js"
import { write } from "../../src/machine/output.js"
import { releaseTurn, type Session } from "../../src/machine/state/Session.js"
import type { InlineCaller, TaskRecord } from "../../src/machine/state/TaskRecord.js"
import { laneOf, type Limits } from "../../src/machine/state/TaskTable.js"
import type { Delivery } from "../../src/machine/state/Undelivered.js"
import type { Waiter } from "../../src/machine/state/Waiter.js"
import * as waiting from "../../src/machine/waiting.js"
import { isFull } from "../support/fullMode.js"
import { resolutionText, sessionId, toolError, turnRef, updateText, World } from "../support/world.js"

const operations = [
  "start",
  "startInline",
  "complete",
  "fail",
  "suspend",
  "resume",
  "reject",
  "cancel",
  "timeOut",
  "end",
  "abandon",
  "detach",
  "configure",
  "setPriority",
  "setConcurrency",
  "interruptTurn",
  "closeSession",
  "takeTurn",
  "consumeTurn",
  "takeLoop",
  "consumeLoop",
  "takeManual",
  "putBack",
  "takeResult",
  "consumeResult",
  "write",
  "waitForTasks",
  "waitForTasksInTask",
  "waitForTurn",
  "waitForIdle",
  "waitForTurnInTask",
  "waitForIdleInTask",
  "leave",
  "giveUpInline"
] as const

// they end so much that little is left to go wrong
const rare: ReadonlyArray<(typeof operations)[number]> = ["closeSession", "interruptTurn"]

interface Step {
  readonly operation: (typeof operations)[number]
  readonly pick: number
  readonly session: string
  readonly turn: string
  readonly background: boolean
}

const step: fc.Arbitrary<Step> = fc.record({
  operation: fc.oneof(
    { weight: 30, arbitrary: fc.constantFrom(...operations.filter((name) => !rare.includes(name))) },
    { weight: 4, arbitrary: fc.constantFrom("start" as const, "startInline" as const, "complete" as const) },
    { weight: 1, arbitrary: fc.constantFrom(...rare) }
  ),
  pick: fc.nat(9),
  session: fc.constantFrom("s", "other"),
  turn: fc.constantFrom("t", "t2"),
  background: fc.boolean()
})

const describeStep = ({ background, operation, pick, session, turn }: Step): string =>
  `${operation} #${pick} ${session}/${turn}${background ? " bg" : ""}`

class Run {
  readonly world: World
  readonly delivered: Array<string> = []
  /** Results of tasks whose session was closed while they were live or undelivered may be discarded. */
  readonly discarded = new Set<string>()
  readonly callers: Array<{ readonly task: TaskRecord; readonly caller: InlineCaller }> = []
  readonly waiters: Array<{ readonly waiter: Waiter; readonly woken: { value: boolean } }> = []
  readonly held: Array<() => void> = []
  private readonly sessions = new Map<string, string>()

  constructor(limits: Pick<Limits, "concurrency" | "perSession" | "lanes" | "history" | "historyBytes">) {
    this.world = new World({ ...limits, output: 30, outputHistory: 50 })
  }

  private pick(tasks: Iterable<TaskRecord>, pick: number, isMeant: (task: TaskRecord) => boolean = () => true) {
    const meant = [...tasks].filter(isMeant)
    return meant[pick % Math.max(meant.length, 1)]
  }

  private name(session: string): string {
    const name = `task${this.sessions.size + 1}`
    this.sessions.set(name, session)
    return name
  }

  private live(pick: number, ...statuses: ReadonlyArray<string>): TaskRecord | undefined {
    return this.pick(
      this.world.table.live,
      pick,
      (task) => statuses.length === 0 || statuses.includes(task.snapshot.status)
    )
  }

  private deliver(text: string): void {
    // an approval may be delivered and withdrawn; results are what is conserved
    if (/ (ok|error): /.test(text)) this.delivered.push(text.slice(0, text.indexOf(" ")))
  }

  private anyTask(pick: number): TaskId {
    const ids = [...this.world.table.tasks.keys()]
    return ids[pick % Math.max(ids.length, 1)] ?? TaskId.make("nobody")
  }

  private waiter(task?: TaskRecord): Waiter {
    const woken = { value: false }
    const waiter = {
      ...this.world.waiter("", task),
      wake: () => {
        assert.isFalse(woken.value, "woken twice")
        woken.value = true
      }
    }
    this.waiters.push({ waiter, woken })
    return waiter
  }

  apply({ background, operation, pick, session, turn }: Step): void {
    const { world } = this
    const ref = turnRef(turn, session)
    world.now++
    switch (operation) {
      case "start": {
        const parent = pick % 2 === 0 ? undefined : this.live(pick, "Running")
        world.start(this.name(session), {
          ...(parent === undefined ? {} : { parent }),
          session,
          turn,
          kind: background ? "Background" : "Foreground",
          deliveryMode: pick % 2 === 0 ? "ToLoop" : "Manual",
          continuePolicy: pick % 3 === 0 ? "RequestContinue" : "NotifyOnly",
          timeout: 1_000,
          lane: laneOf(world.table, pick % 2 === 0 ? "a" : "b")?.name,
          priority: pick % 4
        })
        return
      }
      case "startInline": {
        const caller: InlineCaller = { outcome: undefined, wake: () => undefined }
        const parent = background ? this.live(pick, "Running") : undefined
        const task = world.start(this.name(session), {
          session,
          turn,
          inlineCaller: caller,
          ...(parent === undefined ? {} : { parent })
        })
        this.callers.push({ task, caller })
        return
      }
      case "complete": {
        const task = this.live(pick, "Running")
        if (task !== undefined) world.complete(task)
        return
      }
      case "fail": {
        const task = this.live(pick, "Running")
        if (task !== undefined) world.end(task, { _tag: "Failed", error: toolError() })
        return
      }
      case "suspend": {
        const task = this.live(pick, "Running")
        if (task !== undefined) world.suspend(task)
        return
      }
      case "resume": {
        const task = this.live(pick, "Suspended")
        if (task === undefined) return
        if (!background) return world.resume(task)
        const caller: InlineCaller = { outcome: undefined, wake: () => undefined }
        world.resume(task, { inlineCaller: caller })
        this.callers.push({ task, caller })
        return
      }
      case "reject": {
        const task = this.live(pick, "Suspended")
        if (task !== undefined) {
          world.step((table, now) => control.rejectApproval(table, task.snapshot.id, {}, now))
        }
        return
      }
      case "cancel": {
        const task = this.live(pick)
        if (task !== undefined) world.step((table, now) => control.cancel(table, task.snapshot.id, now))
        return
      }
      case "timeOut": {
        const task = this.live(pick, "Running")
        if (task === undefined) return
        world.step((table, now) => control.timeOut(table, task, task.snapshot.launch, now))
        return
      }
      case "end": {
        const task = this.live(pick, "Cancelling")
        if (task !== undefined) world.end(task, { _tag: "Cancelled" })
        return
      }
      case "abandon": {
        const task = this.live(pick, "Cancelling")
        if (task !== undefined) world.step((table, now) => finish.abandon(table, task, task.snapshot.launch, now))
        return
      }
      case "detach": {
        const task = this.live(pick)
        if (task !== undefined) world.step((table, now) => control.detach(table, task.snapshot.id, now))
        return
      }
      case "configure": {
        const task = this.live(pick)
        if (task === undefined) return
        const deliveryMode = background ? "Manual" : "ToLoop"
        world.step((table) => control.configure(table, task.snapshot.id, { deliveryMode }))
        return
      }
      case "setPriority": {
        const task = this.live(pick)
        if (task !== undefined) world.step((table) => control.setPriority(table, task.snapshot.id, pick - 4))
        return
      }
      case "setConcurrency":
        world.step((table, now) => control.setConcurrency(table, background ? "a" : "b", 1 + pick % 3, now))
        return
      case "interruptTurn":
        world.step((table, now) => control.interruptTurn(table, ref, now))
        return
      case "closeSession": {
        // what is undelivered, in a consumer's hands or still to come may be lost with the session
        for (const [id, of] of this.sessions) if (of === session) this.discarded.add(id)
        world.step((table, now) => control.closeSession(table, ref.sessionId, now))
        return
      }
      case "takeTurn":
        this.deliver(world.takeTurn(ref))
        return
      case "consumeTurn": {
        const held = world.step((table) => {
          const taken = delivery.takeTurnUpdate(table, ref)
          if (typeof taken === "string") return undefined
          return { taken, session: delivery.enterConsumer(table, ref.sessionId, 1) }
        })
        if (held === undefined) return
        this.held.push(() => {
          if (background) {
            world.step((table) => delivery.putBackTurnUpdate(table, held.session, ref, held.taken))
          } else {
            this.deliver(updateText(held.taken.value))
            world.step((table) => delivery.leaveConsumer(table, held.session, 1))
          }
        })
        return
      }
      case "takeLoop":
        world.takeLoop(session).forEach((text) => this.deliver(text))
        return
      case "consumeLoop": {
        const held: { readonly taken: ReadonlyArray<Delivery<TaskResolution>>; readonly session: Session } = world.step(
          (table) => {
            const taken = delivery.takeLoopUpdates(table, ref.sessionId)
            return { taken, session: delivery.enterConsumer(table, ref.sessionId, taken.length) }
          }
        )
        this.held.push(() => {
          if (background) {
            world.step((table) => delivery.putBackLoopUpdates(table, held.session, held.taken))
          } else {
            held.taken.forEach(({ value }) => this.deliver(resolutionText(value)))
            world.step((table) => delivery.leaveConsumer(table, held.session, held.taken.length))
          }
        })
        return
      }
      case "takeManual":
        world.step((table) => delivery.takeManual(table, background ? undefined : sessionId(session)))
          .forEach((item) => this.deliver(resolutionText(item)))
        return
      case "takeResult": {
        const id = this.anyTask(pick)
        const taken = world.step((table) => delivery.takeResult(table, id))
        if (taken?._tag === "Some") this.deliver(resolutionText(taken.value))
        return
      }
      case "consumeResult": {
        const id = this.anyTask(pick)
        const taken = world.step((table) => delivery.consumeResult(table, id))
        if (taken?._tag !== "Some") return
        this.held.push(() => {
          if (background) {
            world.step((table) => delivery.putBackResult(table, taken.value))
          } else {
            this.deliver(resolutionText(taken.value.item))
            world.step((table) => delivery.leaveConsumer(table, taken.value.session, 1))
          }
        })
        return
      }
      case "write": {
        const task = this.live(pick)
        if (task === undefined) return
        world.step((table, now) => write(table, task, background ? 1 : task.snapshot.launch, "some output", now))
        return
      }
      case "waitForTasks":
      case "waitForTasksInTask": {
        const inTask = operation === "waitForTasksInTask" ? this.live(pick, "Running") : undefined
        const awaited = [...world.table.live].filter((task, index) => task !== inTask && index % 3 === pick % 3)
        if (awaited.length === 0) return
        world.parkForTasks(this.waiter(inTask), awaited)
        return
      }
      case "putBack":
        this.held.splice(pick % Math.max(this.held.length, 1), 1).forEach((finished) => finished())
        return
      case "waitForTurn":
        world.parkForTurn(this.waiter(), ref)
        return
      case "waitForIdle":
        world.parkForIdle(this.waiter())
        return
      case "waitForTurnInTask": {
        const task = this.live(pick, "Running")
        if (task !== undefined) world.parkForTurn(this.waiter(task), ref)
        return
      }
      case "waitForIdleInTask": {
        const task = this.live(pick, "Running")
        if (task !== undefined) world.parkForIdle(this.waiter(task))
        return
      }
      case "leave": {
        const waiting_ = this.waiters.filter(({ woken }) => !woken.value)
        const left = waiting_[pick % Math.max(waiting_.length, 1)]
        if (left !== undefined) this.leave(left.waiter)
        return
      }
      case "giveUpInline": {
        const gone = this.callers.splice(pick % Math.max(this.callers.length, 1), 1)
        for (const { caller, task } of gone) this.giveUp(task, caller)
      }
    }
  }

  private leave(waiter: Waiter): void {
    this.world.step((table) => {
      waiting.leave(table, waiter)
      if (waiter.target?._tag === "TaskWait") waiting.leaveTasks(waiter.target)
      // as the runtime does
      for (const session of table.sessions.values()) {
        for (const turn of session.turns.values()) releaseTurn(table, turn)
      }
    })
    this.waiters.splice(this.waiters.findIndex((known) => known.waiter === waiter), 1)
  }

  private giveUp(task: TaskRecord, caller: InlineCaller): void {
    this.world.step((table, now) => {
      if (caller.outcome !== undefined) delivery.redirectToTurn(table, task, caller)
      else if (task.inlineCaller === caller) control.cancelInline(table, task, now)
    })
  }

  /** Everything ends and everything is taken. */
  drain(): void {
    const { world } = this
    for (const finished of this.held.splice(0)) finished()
    world.step((table, now) => control.beginShutdown(table, now))
    for (;;) {
      const task = this.live(0, "Cancelling")
      if (task === undefined) break
      world.end(task, { _tag: "Cancelled" })
    }
    for (const { caller } of this.callers) {
      if (caller.outcome?._tag === "Ready") this.deliver(resolutionText(caller.outcome.resolution))
    }
    for (const session of ["s", "other"]) {
      world.takeLoop(session).forEach((text) => this.deliver(text))
      for (const turn of ["t", "t2"]) {
        for (;;) {
          const text = world.takeTurn(turnRef(turn, session))
          assert.notStrictEqual(text, "not ready")
          if (text === "none") break
          this.deliver(text)
        }
      }
    }
    world.step((table) => delivery.takeManual(table)).forEach((item) => this.deliver(resolutionText(item)))
    world.step((table) => control.endShutdown(table))
    for (const { waiter, woken } of this.waiters) {
      assert.isTrue(woken.value, "a waiter was never woken")
      if (waiter.target?._tag === "TaskWait") assert.lengthOf(waiter.target.nodes, 0)
    }
  }

  check(): void {
    const terminals = this.world.events.flatMap((event) =>
      event._tag === "Completed" || event._tag === "Failed" || event._tag === "Cancelled" ? [event.snapshot.id] : []
    )
    const started = [...this.sessions.keys()]
    assert.sameMembers(terminals, started)
    for (const id of started) {
      const times = this.delivered.filter((delivered) => delivered === id).length
      if (this.discarded.has(id)) assert.isAtMost(times, 1, `${id} was delivered twice`)
      else assert.strictEqual(times, 1, `deliveries of ${id}`)
    }
    this.world.assertEmpty()
  }
}

it("any sequence of transitions keeps the table true and conserves results", () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60, size: "max" }),
      fc.constantFrom(1, 2, Infinity),
      fc.constantFrom(1, 2, Infinity, Infinity),
      fc.constantFrom({}, {}, { a: 1, b: 2 }),
      fc.constantFrom(0, 2, 100),
      fc.constantFrom(2_000, 1_000_000),
      (steps, concurrency, perSession, lanes, history, historyBytes) => {
        const run = new Run({ concurrency, perSession, lanes, history, historyBytes })
        for (const each of steps) run.apply(each)
        run.drain()
        run.check()
      }
    ),
    {
      numRuns: isFull ? 250 : 40,
      reporter: (out) => {
        if (!out.failed) return
        const [steps = [], ...limits] = out.counterexample ?? []
        const cause = out.errorInstance instanceof Error ? out.errorInstance.stack : String(out.errorInstance)
        throw new Error(
          `seed ${out.seed}, path ${out.counterexamplePath}, limits ${JSON.stringify(limits)}\n  ${
            steps.map(describeStep).join("\n  ")
          }\n${cause}`
        )
      }
    }
  )
})

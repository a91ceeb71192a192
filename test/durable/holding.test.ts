import { Effect, Exit, type Fiber, type Scheduler } from "effect"
import { JournalError } from "effect-task-manager/durable"
import { assert, describe, it } from "vitest"
import { SessionId, ToolCallId, TurnId } from "../../src/model/ids.js"
import { holdReplies } from "../../src/runtime/journal/holding.js"
import { makeEngine, makeManager } from "../../src/runtime/make.js"
import { startConcurrently } from "../../src/runtime/starting/startTask.js"
import { Journal } from "../../src/services/Journal.js"
import { ToolExecutor } from "../../src/services/ToolExecutor.js"
import { openJournal } from "../support/openJournal.js"

/** One fiber steps back before one of its operations, and goes on when nobody else has anything to do. */
class StepsBackOnce implements Scheduler.Scheduler {
  fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined
  private readonly ready: Array<Scheduler.Task> = []
  private last: Scheduler.Task | undefined = undefined
  private isLeaving = false
  private operations = 0
  private readonly before: number

  constructor(before: number) {
    this.before = before
  }

  scheduleTask(task: Scheduler.Task): void {
    if (this.isLeaving) this.last = task
    else this.ready.push(task)
    this.isLeaving = false
  }

  shouldYield(fiber: Fiber.RuntimeFiber<unknown, unknown>): number | false {
    if (fiber !== this.fiber || ++this.operations !== this.before) return false
    this.isLeaving = true
    return 0
  }

  run(): void {
    for (;;) {
      for (let task = this.ready.shift(); task !== undefined; task = this.ready.shift()) task()
      const { last } = this
      this.last = undefined
      if (last === undefined) return
      last()
    }
  }
}

const tools: ToolExecutor["Type"] = { specs: Effect.succeed([]), execute: () => Effect.interrupt }

const request = {
  sessionId: SessionId.make("s"),
  turnId: TurnId.make("t"),
  callId: ToolCallId.make("c"),
  toolName: "quick",
  input: {},
  metadata: {}
}

/** Starts two tasks, and tells how that ended; "never" where nobody has anything to do any more. `who` steps back. */
const startTasks = (who: "caller" | "writer", before: number, isLost: boolean): string => {
  const scheduler = new StepsBackOnce(before)
  let end = "never"
  const starting = Effect.gen(function*() {
    const engine = yield* Effect.provideService(
      makeEngine,
      Journal,
      openJournal({
        write: () =>
          Effect.withFiberRuntime((fiber) => {
            if (who === "writer") scheduler.fiber = fiber
            return isLost
              ? new JournalError({ journal: "test", reason: "Fenced", detail: "was taken over", cause: undefined })
              : Effect.void
          })
      })
    )
    const { journal } = engine.state
    if (journal === undefined) return yield* Effect.dieMessage("no journal")
    journal.restored()
    const manager = holdReplies(journal, makeManager(engine, startConcurrently), {
      waits: () => {},
      consumes: () => {}
    })
    const start = Effect.withFiberRuntime<unknown, unknown, ToolExecutor>((fiber) => {
      if (who === "caller") scheduler.fiber = fiber
      return manager.startTask({ _tag: "Plain", request })
    })
    // until the writer has nothing to do
    const rest = Effect.repeatN(Effect.yieldNow(), 30)
    const exit = yield* Effect.exit(Effect.all([start, rest, start], { discard: true }))
    end = Exit.isSuccess(exit) ? "answered" : "died"
  }).pipe(Effect.scoped, Effect.provideService(ToolExecutor, tools))
  const fiber = Effect.runFork(starting, { scheduler })
  scheduler.run()
  // where it hangs, its lease would go on to be renewed
  fiber.unsafeInterruptAsFork(fiber.id())
  scheduler.run()
  return end
}

describe("a reply that waits for a write", () => {
  for (const who of ["caller", "writer"] as const) {
    for (const isLost of [false, true]) {
      it(`comes wherever the ${who} steps back while ${isLost ? "the journal is lost" : "it is written"}`, () => {
        const ends = Array.from({ length: 100 }, (_, before) => startTasks(who, before, isLost))
        assert.deepStrictEqual(new Set(ends), new Set([isLost ? "died" : "answered"]))
      })
    }
  }
})

/** What tools ask beyond a yes, who watches it, and what became of the answers. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { listSuspended } from "../../../src/machine/queries.js"
import type { ApprovalQuestion, TaskApproval } from "../../../src/model/Approval.js"
import { tick } from "./plan.js"
import type { World } from "./World.js"

/** The same ids each time: what is asked again is answered again. */
export const questionsOf = (count: number): ReadonlyArray<ApprovalQuestion> =>
  Array.from({ length: count }, (_, index) => ({ id: `q${index + 1}`, text: "How many?", schema: { type: "integer" } }))

const words = (all: ReadonlyArray<TaskApproval>): string =>
  all.map(({ answered = [], approval: { asking }, taskId }) => [taskId, asking, ...answered].join(" ")).join("; ")

/** Reads what waits for a human; now and then it is slow. */
export const inboxReader = (
  world: World,
  index: number
): Effect.Effect<Fiber.RuntimeFiber<void>, never, Scope.Scope> => {
  const reader = { name: `inbox ${index}`, last: undefined as string | undefined, isBusy: true }
  world.inboxReaders.push(reader)
  const read = (all: ReadonlyArray<TaskApproval>) =>
    Effect.suspend(() => {
      reader.isBusy = true
      reader.last = words(all)
      return Effect.zipRight(
        world.random.chance(0.3) ? Effect.sleep(tick * (1 + world.random.int(3))) : Effect.void,
        Effect.sync(() => {
          reader.isBusy = false
        })
      )
    })
  return Effect.forkScoped(Stream.runForEach(world.manager.handle.inbox, read))
}

/** To be called when nobody is ready: a reader that waits has seen what is asked. */
export const checkInbox = (world: World): void => {
  const { table } = world.subject.engine.state
  const now = words(listSuspended(table))
  for (const { isBusy, last, name } of world.inboxReaders) {
    if (!isBusy && !table.closed && last !== now) {
      world.violate(5, `${name} waits, and was shown "${last ?? "nothing"}" where "${now}" is asked`)
    }
  }
}

/** Every question took one answer, of those that were given to it, and the launch after it found that. */
export const checkQuestions = (world: World): void => {
  const asked = world.events.flatMap(({ event }) => event._tag === "AwaitingApproval" ? [event] : [])
  for (const { approval: { asking, questions = [] }, snapshot: { id: taskId, launch } } of asked) {
    const run = world.toolRuns.find((other) => other.taskId === taskId && other.launch === launch + 1)
    for (const { id } of questions) {
      const given = world.answers.filter((answer) => answer.asking === asking && answer.id === id)
      const taken = given.filter(({ isTaken }) => isTaken)
      if (taken.length > 1) world.violate(9, `the question ${id} of ${taskId} (${asking}) took ${taken.length} answers`)
      if (run === undefined) continue
      const found = run.answers[id]
      if (!given.some(({ isRefused, value }) => value === found && !isRefused)) {
        world.violate(9, `launch ${run.launch} of ${taskId} found ${String(found)} as the answer to ${id}`)
      } else if (taken.length === 1 && taken[0]?.value !== found) {
        world.violate(
          6,
          `launch ${run.launch} of ${taskId} found ${String(found)}, not the answer to ${id} that counted`
        )
      }
    }
  }
  const told = new Map<string, ReadonlyArray<string>>()
  for (const { event } of world.events) {
    if (event._tag === "AwaitingApproval") told.delete(event.taskId)
    if (event._tag !== "QuestionsAnswered") continue
    const before = told.get(event.taskId) ?? []
    const isMore = event.answered.length > before.length && before.every((id, index) => event.answered[index] === id)
    if (!isMore || event.answered.some((id) => event.open.includes(id))) {
      world.violate(3, `${event.taskId} was answered ${event.answered.join()} after ${before.join()}`)
    }
    told.set(event.taskId, event.answered)
  }
  for (const { operation, outcome, taskId } of world.calls) {
    if (operation === "answerWrongly" && outcome === "ok") world.violate(9, `a wrong answer to ${taskId ?? ""} counts`)
  }
}

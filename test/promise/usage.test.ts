/** What tools and loops report, in promises. */
import { assert, describe, it } from "@effect/vitest"
import { TaskNotFound } from "effect-task-manager"
import { createTaskManager } from "effect-task-manager/promise"
import { call, nextResult, pendingId, rejection } from "./support.js"

describe("usage", () => {
  it("is reported by tools and loops, and asked by the host", async () => {
    await using manager = createTaskManager({
      tools: {
        pays: async (_, { addUsage }) => {
          addUsage({ usd: 0.5 })
          return "paid"
        }
      },
      config: { ledger: true }
    })
    const taskId = await pendingId(manager, call("pays"))
    await nextResult(manager)
    const { sessionId, turnId } = await manager.get(taskId)
    await manager.addUsage({ sessionId, turnId }, { tokens: 7 })
    assert.deepInclude(await manager.usage({ taskId }), { launches: 1, costs: { usd: 0.5 } })
    assert.deepInclude(await manager.usage({ sessionId, turnId }), { costs: { usd: 0.5, tokens: 7 } })
    assert.instanceOf(await rejection(manager.usage({ taskId: "nobody" })), TaskNotFound)
  })

  it("that is no number is thrown at the tool, with its name", async () => {
    const thrown: Array<string> = []
    await using manager = createTaskManager({
      tools: {
        pays: (_, { addUsage }) => {
          for (const costs of [{ usd: -1 }, { usd: NaN }, { ["x".repeat(200)]: 1 }]) {
            try {
              addUsage(costs)
            } catch (error) {
              thrown.push(String(error))
            }
          }
          return "done"
        }
      },
      config: { ledger: true }
    })
    await pendingId(manager, call("pays"))
    await nextResult(manager)
    assert.match(thrown[0] ?? "", /^RangeError: addUsage.usd takes a number from 0, not -1/)
    assert.match(thrown[1] ?? "", /^RangeError: addUsage.usd takes a number from 0, not NaN/)
    assert.match(thrown[2] ?? "", /^TypeError: addUsage takes names of 1 to 128 characters/)
  })
})

/** Waits of tools for other turns, and waits with a timeout, in promises. */
import { RoutingDecision, WaitTimedOut } from "effect-task-manager"
import { createTaskManager, type TaskOperations } from "effect-task-manager/promise"
import { assert, describe, it } from "vitest"
import { makeSignal, nextResult, rejection } from "./support.js"

const outer = { sessionId: "s", turnId: "outer" }

/** A tool that drives a turn of its own, in which a leaf ends when told. */
const setup = (
  inner: typeof outer,
  wait: (manager: TaskOperations, child: string) => Promise<unknown>,
  leaf: (manager: TaskOperations) => Promise<unknown> = () => Promise.resolve()
) => {
  const begun = makeSignal()
  const go = makeSignal()
  const manager = createTaskManager({
    config: { concurrency: 1 },
    tools: {
      leaf: async (_input, context) => {
        begun.resolve()
        await leaf(context.manager)
        await go.promise
        return "leaf"
      },
      agent: async (_input, context) => {
        const started = await context.manager.startTask({
          request: { ...inner, callId: "i", toolName: "leaf", input: null }
        })
        await wait(context.manager, started._tag === "Pending" ? started.taskId : "none")
        return "agent done"
      }
    }
  })
  const start = () => manager.startTask({ request: { ...outer, callId: "o", toolName: "agent", input: null } })
  return { begun, go, manager, start }
}

const isOpen = async (promise: Promise<unknown>): Promise<boolean> => {
  const open: unknown = {}
  await new Promise((resolve) => setImmediate(resolve))
  return await Promise.race([promise, Promise.resolve(open)]) === open
}

describe("a turn whose tool waits", () => {
  for (const inner of [{ sessionId: "s", turnId: "inner" }, { sessionId: "other", turnId: "outer" }]) {
    const waits: ReadonlyArray<readonly [string, (manager: TaskOperations, child: string) => Promise<unknown>]> = [
      ["drains a turn", async (manager) => {
        while (await manager.waitForTurn(inner)) { /* the next */ }
      }],
      ["consumes a turn", (manager) => manager.consumeTurnUpdate(inner, () => undefined)],
      ["waits for idle", (manager) => manager.waitForIdle()],
      ["waits for a task", (manager, child) => manager.waitForTask([child])]
    ]
    for (const [what, wait] of waits) {
      for (const first of ["the host", "the tool"]) {
        it(`has not drained: it ${what} of ${inner.sessionId}, ${first} waits first`, async () => {
          const { begun, go, manager, start } = setup(inner, wait)
          const starting = start()
          if (first === "the tool") await begun.promise
          await starting
          const turn = nextResult(manager, outer)
          const idle = manager.waitForIdle()
          await begun.promise
          assert.isTrue(await isOpen(turn))
          assert.isTrue(await isOpen(idle))
          go.resolve()
          assert.deepStrictEqual((await turn).output, { _tag: "Text", text: "agent done" })
          await idle
          await manager.close()
        })
      }
    }
  }

  it("gets what it started, also if that waits for its turn", async () => {
    const inner = { sessionId: "s", turnId: "inner" }
    const { go, manager, start } = setup(
      inner,
      async (tools) => assert.isDefined(await tools.waitForTurn(inner)),
      async (tools) => assert.isUndefined(await tools.waitForTurn(outer))
    )
    go.resolve()
    await start()
    assert.isFalse((await nextResult(manager, outer)).isError)
    await manager.close()
  })
})

describe("a wait with a timeout", () => {
  it("rejects with WaitTimedOut and takes nothing", async () => {
    const go = makeSignal()
    await using manager = createTaskManager({
      routing: ({ toolName }) => toolName === "late" ? RoutingDecision.Background() : RoutingDecision.Foreground(),
      tools: { slow: () => go.promise.then(() => "slow"), late: () => go.promise }
    })
    const request = { ...outer, callId: "c", toolName: "slow", input: null }
    const started = await manager.startTask({ request })
    await manager.startTask({ request: { ...request, toolName: "late" } })
    assert.strictEqual(started._tag, "Pending")
    const taskId = started._tag === "Pending" ? started.taskId : ""
    const { signal } = new AbortController()
    const waits = [
      () => manager.waitForTurn(outer, { timeout: 1 }),
      () => manager.waitForTurn(outer, { timeout: "1 millis", signal, onAbort: "InterruptTurn" }),
      () => manager.consumeTurnUpdate(outer, () => undefined, { timeout: 0 }),
      () => manager.waitForTask([taskId], { timeout: 1, signal }),
      () => manager.waitForLoopUpdate(outer.sessionId, { timeout: 1 }),
      () => manager.waitForIdle({ timeout: 1, signal })
    ]
    for (const wait of waits) {
      const error = await rejection(wait())
      assert.instanceOf(error, WaitTimedOut)
    }
    go.resolve()
    assert.isDefined(await manager.waitForTurn(outer, { timeout: "1 minute" }))
    await manager.waitForLoopUpdate(outer.sessionId, { timeout: "1 minute" })
    await manager.waitForTask([taskId], { timeout: "1 minute" })
    await manager.waitForIdle({ timeout: "1 minute" })
    assert.isUndefined(await manager.waitForTurn(outer, { timeout: "1 minute" }))
    assert.match(String(await rejection(manager.waitForTurn(outer, { timeout: "-5 seconds" }))), /`timeout`/)
  })
})

describe("a tool that stops another one, which does not end before its own wait does", () => {
  const turn = { sessionId: "s", turnId: "t" }
  const other = { sessionId: "other", turnId: "t" }
  const stops: ReadonlyArray<readonly [string, (manager: TaskOperations) => Promise<unknown>]> = [
    ["cancels", (manager) => manager.cancel("b")],
    ["interrupts the turn of", (manager) => manager.onTurnInterrupted(other)],
    ["closes the session of", (manager) => manager.closeSession(other.sessionId)]
  ]
  const endings: ReadonlyArray<readonly [string, (manager: TaskOperations) => Promise<unknown>]> = [
    ["drains its turn", async (manager) => {
      while (await manager.waitForTurn(turn)) { /* the next */ }
    }],
    ["waits for it", (manager) => manager.waitForTask(["a"])],
    ["waits for idle", (manager) => manager.waitForIdle()],
    ["cancels it", (manager) => manager.cancel("a")],
    ["interrupts its turn", (manager) => manager.onTurnInterrupted(turn)]
  ]
  for (const [what, stop] of stops) {
    for (const [how, wait] of endings) {
      it(`ends, and so does the other: it ${what} one that ${how}`, async () => {
        const begun = makeSignal()
        await using manager = createTaskManager({
          // an end that only the grace period brings never comes
          config: { cancelGracePeriod: "1 hour" },
          tools: {
            a: async (_input, context) => {
              await begun.promise
              await stop(context.manager)
              return "done"
            },
            b: async (_input, context) => {
              begun.resolve()
              // its signal says nothing to it
              await wait(context.manager)
              return "done"
            }
          }
        })
        for (const [of, name] of [[turn, "a"], [other, "b"]] as const) {
          await manager.startTask({ request: { ...of, callId: name, toolName: name, input: null }, taskId: name })
        }
        await manager.waitForIdle()
        assert.include(["Completed", "Cancelled"], (await manager.get("a")).status)
      })
    }
  }
})

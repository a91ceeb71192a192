import { assert, describe, it } from "@effect/vitest"
import {
  ApprovalId,
  ApprovalMismatch,
  ApprovalRequired,
  RoutingDecision,
  TaskManagerShutdown,
  TaskNotFound,
  TaskNotRunning,
  ToolError,
  ToolOutput
} from "effect-task-manager"
import { createTaskManager, type PromiseTaskManager, resultOf } from "effect-task-manager/promise"
import { aborted, call, makeSignal, nextResult, pendingId, rejection, turn } from "./support.js"

const text = (value: string) => ToolOutput.Text({ text: value })

describe("tools", () => {
  it("answer with text, JSON, an output or nothing, at once or later", async () => {
    await using manager = createTaskManager({
      tools: {
        text: (input) => `got ${input}`,
        json: async () => ({ files: [1, 2] }),
        output: async () => ToolOutput.Parts({ parts: [{ _tag: "Text", text: "part" }] }),
        nothing: async () => undefined,
        described: { description: "Says hi", inputSchema: { type: "string" }, execute: () => "hi" }
      }
    })
    const outputs: Array<unknown> = []
    for (const tool of ["text", "json", "output", "nothing", "described"]) {
      await manager.startTask(call(tool, "x"))
      const result = await nextResult(manager)
      assert.isFalse(result.isError)
      outputs.push(result.output)
    }
    assert.deepStrictEqual(outputs, [
      text("got x"),
      { _tag: "Structured", value: { files: [1, 2] } },
      { _tag: "Parts", parts: [{ _tag: "Text", text: "part" }] },
      text(""),
      text("hi")
    ])
    assert.deepStrictEqual(
      manager.toolSpecs.map(({ description, inputSchema, name }) => ({ name, description, inputSchema })).slice(3),
      [
        { name: "nothing", description: "", inputSchema: { type: "object" } },
        { name: "described", description: "Says hi", inputSchema: { type: "string" } }
      ]
    )
  })

  it("see their task, report progress and write output", async () => {
    const seen: Array<unknown> = []
    await using manager = createTaskManager({
      tools: {
        look: async (input, { callId, kind, launch, reportProgress, request, sessionId, taskId, turnId, write }) => {
          seen.push({ input, callId, kind: kind(), launch, sessionId, taskId, turnId, metadata: request.metadata })
          reportProgress({ message: "half", fraction: 0.5 })
          write("one ")
          write("two")
          return "done"
        }
      }
    })
    await using events = await manager.subscribe()
    await manager.startTask({ taskId: "mine", request: { ...call("look", 7).request, metadata: { a: 1 } } })
    assert.strictEqual((await nextResult(manager)).output._tag, "Text")
    assert.deepStrictEqual(seen, [{
      input: 7,
      callId: "call of look",
      kind: "Foreground",
      launch: 1,
      sessionId: "s",
      taskId: "mine",
      turnId: "t",
      metadata: { a: 1 }
    }])
    const tags: Array<string> = []
    for await (const event of events) {
      tags.push(event._tag)
      if (event._tag === "Completed") break
      if (event._tag === "Progress") assert.deepStrictEqual(event.progress, { message: "half", fraction: 0.5 })
    }
    assert.deepStrictEqual(tags, ["Started", "Progress", "OutputGrew", "Completed"])
    assert.deepStrictEqual(await manager.output("mine"), { text: "one two", start: 0, end: 7, total: 7 })
    assert.strictEqual((await manager.output("mine", { start: 4, maxBytes: 2 })).text, "tw")
    // @ts-expect-error a program without types
    const wrong: unknown = await manager.output("mine", null).catch((error) => error)
    assert.strictEqual(String(wrong), "TypeError: Invalid output: `range` must be an object.")
  })

  it("fail with their ToolError; of any other error the model reads nothing", async () => {
    const secret = new Error("the password is hunter2")
    await using manager = createTaskManager({
      tools: {
        refuse: async () => {
          throw new ToolError({ reason: "PermissionDenied", toolName: "refuse", message: "Not yours." })
        },
        break: () => {
          throw secret
        },
        breakLater: async () => Promise.reject(secret),
        garbage: async () => () => undefined
      }
    })
    await using events = await manager.subscribe()
    const results: Array<string> = []
    for (const tool of ["refuse", "break", "breakLater", "garbage", "unknown"]) {
      await manager.startTask(call(tool))
      const result = await nextResult(manager)
      assert.isTrue(result.isError)
      results.push(JSON.stringify(result))
    }
    assert.include(results[0], "Not yours.")
    assert.notInclude(results.join(), "hunter2")
    const reasons: Array<string> = []
    const causes: Array<unknown> = []
    for await (const event of events) {
      if (event._tag !== "Failed") continue
      reasons.push(event.error.reason)
      causes.push(event.error.cause)
      if (reasons.length === 5) break
    }
    assert.deepStrictEqual(reasons, ["PermissionDenied", "Internal", "Internal", "Internal", "NotFound"])
    assert.strictEqual(causes[1], secret)
    assert.strictEqual(causes[2], secret)
  })

  it("are aborted by a cancel, which waits for their end", async () => {
    const started = makeSignal()
    const release = makeSignal()
    const log: Array<string> = []
    await using manager = createTaskManager({
      tools: {
        clean: async (_input, { signal }) => {
          started.resolve()
          await aborted(signal)
          log.push("aborted")
          await release.promise
          log.push("cleaned up")
          throw new Error("after the end")
        }
      }
    })
    const taskId = await pendingId(manager, call("clean"))
    await started.promise
    const cancelled = manager.cancel(taskId).then(() => log.push("cancelled"))
    assert.strictEqual((await manager.get(taskId)).status, "Cancelling")
    release.resolve()
    await cancelled
    assert.deepStrictEqual(log, ["aborted", "cleaned up", "cancelled"])
    assert.strictEqual((await manager.get(taskId)).status, "Cancelled")
    assert.isTrue((await nextResult(manager)).isError)
  })

  it("that ignore their signal are abandoned after the grace period, and what they answer then is ignored", async () => {
    const release = makeSignal<string>()
    const ended = makeSignal()
    await using manager = createTaskManager({
      config: { cancelGracePeriod: "1 millis" },
      tools: {
        deaf: async () => {
          const answer = await release.promise
          ended.resolve()
          return answer
        }
      }
    })
    const taskId = await pendingId(manager, call("deaf"))
    await manager.cancel(taskId)
    release.resolve("too late")
    await ended.promise
    const result = await nextResult(manager)
    assert.isTrue(result.isError)
    assert.deepStrictEqual(await manager.result(taskId), result)
    assert.strictEqual(await manager.waitForTurn(turn), undefined)
    assert.strictEqual((await manager.get(taskId)).status, "Cancelled")
  })

  it("time out, in milliseconds", async () => {
    const reasons: Array<unknown> = []
    await using manager = createTaskManager({
      routing: () => RoutingDecision.Foreground({ timeout: 1 }),
      tools: {
        slow: async (_input, { signal }) => {
          await aborted(signal)
          reasons.push(signal.aborted)
        }
      }
    })
    await manager.startTask(call("slow"))
    assert.isTrue((await nextResult(manager)).isError)
    assert.deepStrictEqual(reasons, [true])
    assert.strictEqual((await manager.list({ status: "Failed" })).length, 1)
  })

  it("use the manager for tasks of their own, and may wait for idle and cancel themselves", async () => {
    const inner = { sessionId: "s", turnId: "inner" }
    await using manager = createTaskManager({
      // a tool that waits for its own turn lends its place
      config: { concurrency: 1 },
      tools: {
        leaf: () => "leaf",
        parent: async (_input, { manager, request }) => {
          await manager.startTask({ request: { ...inner, callId: "leaf", toolName: "leaf", input: null } })
          const result = await nextResult(manager, inner)
          await manager.waitForTurn(request)
          await manager.waitForIdle()
          return result.output
        },
        suicide: async (_input, { manager, signal, taskId }) => {
          await manager.cancel(taskId)
          assert.isTrue(signal.aborted)
        }
      }
    })
    await manager.startTask(call("parent"))
    assert.deepStrictEqual((await nextResult(manager)).output, text("leaf"))
    const taskId = await pendingId(manager, call("suicide"))
    assert.isTrue((await nextResult(manager)).isError)
    assert.strictEqual((await manager.get(taskId)).status, "Cancelled")
  })
})

describe("routing", () => {
  it("answers now or with a promise; background results come to the loop queue or the manual one", async () => {
    await using manager = createTaskManager({
      routing: (request) =>
        request.toolName === "now"
          ? RoutingDecision.Background({ continuePolicy: "RequestContinue" })
          : Promise.resolve(RoutingDecision.Background({ deliveryMode: "Manual" })),
      tools: { now: () => "now", later: () => "later" }
    })
    assert.deepStrictEqual(await manager.startTask({ taskId: "a", ...call("now") }), {
      _tag: "Pending",
      taskId: await manager.get("a").then(({ id }) => id),
      kind: "Background"
    })
    await manager.startTask({ taskId: "b", ...call("later") })
    await manager.waitForLoopUpdate("s")
    await manager.waitForIdle()
    const { resolutions } = await manager.takePendingLoopUpdates("s")
    assert.deepStrictEqual(
      resolutions.map((resolution) => resolution._tag === "Item" ? String(resolution.taskId) : ""),
      ["a"]
    )
    assert.deepStrictEqual((await manager.drainReadyItemsOf("other")).length, 0)
    assert.deepStrictEqual((await manager.drainReadyItems()).map(({ taskId }) => taskId), ["b"])
    assert.strictEqual(await manager.waitForTurn(turn), undefined)
  })

  it("that throws or rejects fails that startTask with what it threw, and leaves nothing", async () => {
    const thrown = new Error("no route")
    await using manager = createTaskManager({
      routing: (request) => {
        if (request.input === "later") return Promise.reject(thrown)
        throw thrown
      },
      tools: { tool: () => "x" }
    })
    assert.strictEqual(await rejection(manager.startTask(call("tool", "now"))), thrown)
    assert.strictEqual(await rejection(manager.startTask(call("tool", "later"))), thrown)
    assert.deepStrictEqual(await manager.list(), [])
  })

  it("that ends the session, the turn or the manager of its call before it answers starts nothing", async () => {
    const ends: Readonly<Record<string, (manager: PromiseTaskManager) => Promise<unknown>>> = {
      session: (manager) => manager.closeSession("s"),
      turn: (manager) => manager.onTurnInterrupted(turn),
      manager: (manager) => manager.close()
    }
    for (const [name, end] of Object.entries(ends)) {
      let runs = 0
      const manager: PromiseTaskManager = createTaskManager({
        routing: async () => {
          await end(manager)
          return RoutingDecision.Foreground()
        },
        tools: { tool: () => ++runs }
      })
      const started = await manager.startTask(call("tool")).then(({ _tag }) => _tag, (error: unknown) => error)
      if (name === "turn") assert.strictEqual(started, "Pending", name)
      else assert.instanceOf(started, TaskManagerShutdown, name)
      const update = await manager.waitForTurn(turn)
      assert.strictEqual(resultOf(update)?.isError, name === "turn" ? true : undefined, name)
      await manager.close()
      assert.strictEqual(runs, 0, name)
    }
  })

  it("a task is detached, told to the turn, and delivered to the session", async () => {
    const release = makeSignal<string>()
    await using manager = createTaskManager({ tools: { test: async () => release.promise } })
    const taskId = await pendingId(manager, call("test"))
    await manager.setContinuePolicy(taskId, "RequestContinue")
    assert.isTrue(await manager.detach(taskId))
    assert.isFalse(await manager.detach(taskId))
    assert.strictEqual((await manager.waitForTurn(turn))?._tag, "Detached")
    assert.strictEqual(await manager.waitForTurn(turn), undefined)
    await manager.setDeliveryMode(taskId, "Manual")
    release.resolve("passed")
    await manager.waitForTask([taskId])
    assert.strictEqual((await manager.takePendingLoopUpdates("s")).resolutions.length, 0)
    const taken = await manager.takeResult(taskId)
    assert.strictEqual(taken?.taskId, taskId)
    assert.strictEqual(await manager.takeResult(taskId), undefined)
    assert.deepStrictEqual(await manager.drainReadyItems(), [])
    assert.instanceOf(await rejection(manager.detach(taskId)), TaskNotRunning)
  })
})

describe("approvals", () => {
  const ask = async (input: unknown) => {
    throw new ApprovalRequired({
      approval: {
        id: ApprovalId.make("ask"),
        requestKind: "shell",
        reason: "Destructive",
        summary: String(input),
        metadata: {}
      }
    })
  }

  it("are given by starting the task again with what was asked, also after a way through JSON", async () => {
    await using manager = createTaskManager({
      tools: {
        delete: async (input, { approval }) => approval === undefined ? ask(input) : `deleted by ${approval.id}`
      }
    })
    await manager.startTask(call("delete", { path: "build" }))
    const update = await manager.waitForTurn(turn)
    assert(update?._tag === "Resolution" && update.resolution._tag === "Approval")
    const { approval, taskId, toolRequest } = update.resolution.approval
    assert.deepStrictEqual(await manager.listSuspended(), [update.resolution.approval])
    const other = { ...toolRequest, input: { path: "/" } }
    const mismatch = await rejection(manager.startTask({ taskId, request: other, approval }))
    assert(mismatch instanceof ApprovalMismatch)
    assert.strictEqual(mismatch.field, "input")
    const kept: { readonly request: typeof toolRequest; readonly approval: typeof approval } = JSON.parse(
      JSON.stringify({ request: toolRequest, approval })
    )
    await manager.startTask({ taskId, ...kept })
    assert.deepStrictEqual((await nextResult(manager)).output, text("deleted by ask"))
  })

  it("are refused with a reason for the model", async () => {
    await using manager = createTaskManager({ tools: { delete: ask } })
    const taskId = await pendingId(manager, call("delete"))
    assert.strictEqual((await manager.waitForTurn(turn))?._tag, "Resolution")
    await manager.rejectApproval({ taskId, reason: "Not on this machine." })
    assert.include(JSON.stringify(await nextResult(manager)), "Not on this machine.")
    const again = await rejection(manager.rejectApproval({ taskId }))
    assert.strictEqual((again as { _tag: string })._tag, "TaskNotSuspended")
  })
})

describe("errors", () => {
  it("are the tagged errors themselves", async () => {
    await using manager = createTaskManager({ tools: {} })
    const missing = await rejection(manager.get("nowhere"))
    assert(missing instanceof TaskNotFound)
    assert.strictEqual(missing.taskId, "nowhere")
    for (
      const refused of [
        manager.result("x"),
        manager.cancel("x"),
        manager.detach("x"),
        manager.setDeliveryMode("x", "Manual"),
        manager.setContinuePolicy("x", "NotifyOnly"),
        manager.rejectApproval({ taskId: "x" }),
        manager.output("x"),
        manager.takeResult("x"),
        manager.waitForTask(["x"])
      ]
    ) assert.instanceOf(await rejection(refused), TaskNotFound)
  })

  it("name the wrong argument, and never show it", async () => {
    await using manager = createTaskManager({ tools: {} })
    // a program without types
    const untyped: Record<keyof typeof manager, (...args: ReadonlyArray<unknown>) => Promise<unknown>> =
      manager as never
    const secret = "hunter2"
    const cases: ReadonlyArray<readonly [Promise<unknown>, string]> = [
      [untyped.startTask(null), "sessionId"],
      [untyped.startTask(secret), "sessionId"],
      [untyped.startTask({ request: { ...call("x").request, callId: "" } }), "callId"],
      [untyped.startTask({ request: { ...call("x").request, input: () => secret } }), "input"],
      [untyped.startTask({ ...call("x"), taskId: "" }), "task id"],
      [untyped.startTask({ ...call("x"), deliveryMode: secret }), "delivery mode"],
      [untyped.startTask({ taskId: "x", request: call("x").request, approval: { id: "" } }), "`id`"],
      [untyped.waitForTurn({ sessionId: "", turnId: "t" }), "sessionId"],
      [untyped.waitForTurn({ sessionId: "", turnId: "t" }, { onAbort: "InterruptTurn" }), "sessionId"],
      [untyped.consumeTurnUpdate({ sessionId: "s", turnId: [secret] }, () => undefined), "turnId"],
      [untyped.takePendingLoopUpdates(""), "session id"],
      [untyped.consumePendingLoopUpdates("", () => undefined), "session id"],
      [untyped.waitForLoopUpdate(undefined), "session id"],
      [untyped.closeSession(""), "session id"],
      [untyped.onTurnInterrupted({}), "turnId"],
      [untyped.get(""), "task id"],
      [untyped.waitForTask([""]), "task ids"],
      [untyped.waitForTask(secret), "task ids"],
      [untyped.setContinuePolicy("x", secret), "continue policy"],
      [untyped.list({ sessionId: "" }), "sessionId"],
      [untyped.list({ status: secret }), "status"],
      [untyped.rejectApproval({ taskId: "x", reason: 7 }), "reason"]
    ]
    for (const [refused, field] of cases) {
      const error = await rejection(refused)
      assert(error instanceof TypeError, String(error))
      assert.include(error.message, field)
      assert.notInclude(error.message, secret)
    }
    assert.deepStrictEqual(await manager.list({ status: undefined, sessionId: undefined }), [])
  })

  it("a limit that is out of range throws where the manager is made", () => {
    assert.throws(() => createTaskManager({ tools: {}, config: { concurrency: 0 } }), RangeError, "concurrency")
  })
})

describe("managers", () => {
  it("two at once know nothing of each other", async () => {
    const release = makeSignal()
    const tools = {
      wait: async (input: unknown) => {
        await release.promise
        return input
      }
    }
    await using first = createTaskManager({ tools })
    await using second = createTaskManager({ tools })
    const ids = [await pendingId(first, call("wait", "one")), await pendingId(second, call("wait", "two"))]
    assert.deepStrictEqual(ids[0], ids[1])
    release.resolve()
    assert.deepStrictEqual((await nextResult(first)).output, text("one"))
    await first.close()
    assert.deepStrictEqual((await nextResult(second)).output, text("two"))
    assert.instanceOf(await rejection(first.startTask(call("wait"))), TaskManagerShutdown)
    await second.startTask(call("wait", "three"))
    assert.deepStrictEqual((await nextResult(second)).output, text("three"))
  })

  it("await using closes: tools have ended, iterators too; reading still answers", async () => {
    const log: Array<string> = []
    const reading = makeSignal<Promise<void>>()
    const closed = await (async () => {
      await using manager = createTaskManager({
        tools: {
          hang: async (_input, { signal }) => {
            await aborted(signal)
            await Promise.resolve()
            log.push("tool ended")
          }
        }
      })
      reading.resolve((async () => {
        for await (const event of manager.events()) log.push(event._tag)
        log.push("events ended")
      })())
      await manager.startTask(call("hang"))
      return manager
    })()
    log.push("closed")
    await reading.promise
    assert.deepStrictEqual([...log].sort(), ["Cancelled", "Started", "closed", "events ended", "tool ended"])
    assert.isBelow(log.indexOf("tool ended"), log.indexOf("closed"))
    assert.isTrue((await nextResult(closed)).isError)
    assert.strictEqual(await closed.waitForTurn(turn), undefined)
    assert.deepStrictEqual((await closed.list({ status: ["Cancelled"] })).length, 1)
    await closed.waitForIdle()
    assert.instanceOf(await rejection(closed.startTask(call("hang"))), TaskManagerShutdown)
  })

  it("a second close waits for the first", async () => {
    const release = makeSignal()
    const manager = createTaskManager({
      tools: {
        hang: async (_input, { signal }) => {
          await aborted(signal)
          await release.promise
        }
      }
    })
    await manager.startTask(call("hang"))
    let isClosed = false
    const first = manager.close()
    const second = manager.close().then(() => {
      isClosed = true
    })
    await Promise.resolve()
    assert.isFalse(isClosed)
    release.resolve()
    await Promise.all([first, second])
    assert.strictEqual((await manager.listRunning()).length, 0)
  })
})

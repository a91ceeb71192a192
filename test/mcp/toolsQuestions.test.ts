/** What a server asks its user while a call is open, and who is asked before a call. */
import { it } from "@effect/vitest"
import type { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js"
import { Deferred, Effect, FiberId, Schedule } from "effect"
import { type ApprovalRequest, TaskManager } from "effect-task-manager"
import type { McpApproval } from "effect-task-manager/mcp"
import { describe } from "vitest"
import { approvalOf, assert, call, endOf, eventOf, inMemory, outputOf, signal, start, world } from "./toolsSupport.js"

const text = (said: string) => ({ content: [{ type: "text" as const, text: said }] })

const form = {
  type: "object",
  properties: {
    branch: { type: "string", enum: ["main", "next"], description: "Which\u202e branch?" },
    force: { type: "boolean" },
    count: { type: "integer", minimum: 1 }
  },
  required: ["branch"]
} as const

/** A server whose tool asks with a form, and says what it was answered. */
const asking = (requestedSchema: object = form, message = "Where to?") =>
  inMemory("s", (mcp) => {
    mcp.registerTool("deploy", {}, async () => {
      try {
        return text(JSON.stringify(await mcp.server.elicitInput({ message, requestedSchema } as never)))
      } catch (error) {
        return { ...text(String(error)), isError: true }
      }
    })
  })

const questionsOf = ({ questions = [] }: ApprovalRequest) => questions

describe("an elicitation", () => {
  it.live("is a question of the task, and its answer goes back to the server", () =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      const task = yield* start("s__deploy")
      const asked = yield* approvalOf(task)
      assert.strictEqual(asked.approval.requestKind, "mcp/elicitation")
      assert.strictEqual(asked.approval.summary, "s asks: Where to?")
      const [question] = questionsOf(asked.approval)
      assert.strictEqual(question?.text, "Where to?")
      assert.include(JSON.stringify(question?.schema), "Which\ufffd branch?")
      const wrong = yield* Effect.flip(manager.answerApproval(asked, { answers: { "mcp-1": { branch: "other" } } }))
      assert.strictEqual(wrong._tag, "InvalidAnswer")
      yield* manager.answerApproval(asked, { answers: { "mcp-1": { branch: "next", count: 2 } } })
      assert.strictEqual(
        outputOf((yield* endOf(task)).result),
        "{\"action\":\"accept\",\"content\":{\"branch\":\"next\",\"count\":2}}"
      )
    }).pipe(Effect.provide(world({ servers: [asking()] }))))

  it.live("is declined with null, and the call goes on", () =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      const task = yield* start("s__deploy")
      const asked = yield* approvalOf(task)
      yield* manager.answerApproval(asked, { answers: { "mcp-1": null } })
      assert.strictEqual(outputOf((yield* endOf(task)).result), "{\"action\":\"decline\"}")
    }).pipe(Effect.provide(world({ servers: [asking()] }))))

  it.live("cancels the call in its server when it is rejected, or the task is cancelled", () => {
    const stops = [signal<string>(), signal<string>()] as const
    let calls = 0
    const server = inMemory("s", (mcp) => {
      mcp.registerTool("deploy", {}, async (extra) => {
        const stop = stops[calls++]
        extra.signal.addEventListener("abort", () => stop?.say(String(extra.signal.reason)))
        await mcp.server.elicitInput({ message: "Sure?", requestedSchema: { type: "object", properties: {} } })
        return text("went on")
      })
    })
    return Effect.gen(function*() {
      const manager = yield* TaskManager
      const rejected = yield* start("s__deploy")
      yield* manager.answerApproval(yield* approvalOf(rejected), { reject: "no" })
      assert.strictEqual((yield* endOf(rejected)).reason, "ApprovalRejected")
      yield* stops[0].said
      const cancelled = yield* start("s__deploy")
      yield* approvalOf(cancelled)
      yield* manager.handle.cancel(cancelled)
      yield* stops[1].said
    }).pipe(Effect.provide(world({ servers: [server] })))
  })

  it.live("that is no form of plain fields is refused, and the server is told why", () =>
    Effect.forEach(
      [
        [{ type: "object", properties: { a: { type: "string", pattern: "^(a+)+$" } } }, "has a pattern"],
        [{ type: "object", properties: { a: { type: "object", properties: {} } } }, "neither a text"],
        [{
          type: "object",
          properties: Object.fromEntries(Array.from({ length: 51 }, (_, at) => [`f${at}`, { type: "boolean" }]))
        }, "more than 50 fields"],
        [{ type: "object", properties: { "a\u202eb": { type: "boolean" } } }, "a name that is not taken"],
        [
          { type: "object", properties: { a: { type: "string", enum: Array.from({ length: 201 }, String) } } },
          "200 choices"
        ]
      ] as const,
      ([schema, why]) =>
        Effect.gen(function*() {
          const said = yield* call("s__deploy")
          assert.match(said, /^ExecutionFailed: .*The question is refused/)
          assert.include(said, why)
        }).pipe(Effect.provide(world({ servers: [asking(schema)] })))
    ))

  it.live("of a server that ends meanwhile leaves the outcome of its call unknown, whatever is answered", () => {
    const servers: Array<McpServer> = []
    const server = inMemory("s", (mcp) => {
      servers.push(mcp)
      mcp.registerTool("deploy", {}, async () => {
        await mcp.server.elicitInput({ message: "?", requestedSchema: form } as never)
        return text("went on")
      })
    })
    return Effect.gen(function*() {
      const manager = yield* TaskManager
      const task = yield* start("s__deploy")
      const asked = yield* approvalOf(task)
      yield* Effect.promise(async () => servers[0]?.close())
      yield* manager.answerApproval(asked, { answers: { "mcp-1": { branch: "main" } } })
      const { reason, result } = yield* endOf(task)
      assert.strictEqual(reason, "Interrupted")
      assert.include(outputOf(result), "nobody knows what the call has done")
      // it was not made again by itself
      assert.lengthOf(servers, 1)
    }).pipe(Effect.provide(world({ servers: [server], restart: Schedule.stop })))
  })

  it.live("that nobody answers in time cancels its call in the server, and a later answer says so", () => {
    const stopped = signal<void>()
    const server = inMemory("s", (mcp) => {
      mcp.registerTool("deploy", {}, async (extra) => {
        extra.signal.addEventListener("abort", () => stopped.say())
        await mcp.server.elicitInput({ message: "?", requestedSchema: form } as never)
        return text("went on")
      })
    })
    return Effect.gen(function*() {
      const manager = yield* TaskManager
      const task = yield* start("s__deploy")
      const asked = yield* approvalOf(task)
      yield* stopped.said
      yield* manager.answerApproval(asked, { answers: { "mcp-1": { branch: "main" } } })
      const { reason, result } = yield* endOf(task)
      assert.strictEqual(reason, "Interrupted")
      assert.include(outputOf(result), "was given up before the answer")
    }).pipe(Effect.provide(world({ servers: [server], questionTimeout: "50 millis" })))
  })

  it.live("of a call that is not known among several is refused", () => {
    const both = Deferred.unsafeMake<void>(FiberId.none)
    let open = 0
    const server = inMemory("s", (mcp) => {
      mcp.registerTool("deploy", {}, async () => {
        if (++open === 2) Deferred.unsafeDone(both, Effect.void)
        await Effect.runPromise(Deferred.await(both))
        try {
          return text(JSON.stringify(await mcp.server.elicitInput({ message: "?", requestedSchema: form } as never)))
        } catch (error) {
          return { ...text(String(error)), isError: true }
        }
      })
    })
    return Effect.gen(function*() {
      const [first] = [yield* start("s__deploy"), yield* start("s__deploy")]
      assert.include(outputOf((yield* endOf(first)).result), "not known which of the open calls asks")
    }).pipe(Effect.provide(world({ servers: [server] })))
  })
})

describe("approvals", () => {
  const hinting = inMemory("s", (mcp) => {
    const tool = (name: string, annotations: object) =>
      mcp.registerTool(name, { annotations }, () => text(`ran ${name}`))
    tool("harmless", { readOnlyHint: true, destructiveHint: false })
    tool("harmful", { readOnlyHint: true, destructiveHint: true })
    tool("silent", {})
  })

  const asksWith = (approval: McpApproval | undefined) =>
    Effect.gen(function*() {
      const reasons: Record<string, string> = {}
      for (const name of ["harmless", "harmful", "silent"]) {
        const task = yield* start(`s__${name}`, {})
        reasons[name] = yield* eventOf(task, (event) =>
          event._tag === "AwaitingApproval" ? event.approval.reason : event._tag === "Completed" ? "ran" : undefined)
      }
      return reasons
    }).pipe(Effect.provide(world({ servers: [hinting], approval })))

  it.live("are asked for every call by default, whatever the server says of its tool", () =>
    Effect.gen(function*() {
      const all = { harmless: "NeedsApproval", harmful: "Destructive", silent: "NeedsApproval" }
      assert.deepStrictEqual(yield* asksWith("always"), all)
      assert.deepStrictEqual(yield* asksWith(undefined), all)
    }))

  it.live("are asked as the option says: a hint only adds one", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* asksWith("destructive"), { harmless: "ran", harmful: "Destructive", silent: "ran" })
      assert.deepStrictEqual(yield* asksWith("never"), { harmless: "ran", harmful: "ran", silent: "ran" })
      assert.deepStrictEqual(
        yield* asksWith((tool) => tool.name === "silent" ? "Who knows" : tool.hints.destructive === true),
        { harmless: "ran", harmful: "Destructive", silent: "Who knows" }
      )
    }))

  it.live("let the call run once, with the input that was shown", () =>
    Effect.gen(function*() {
      const manager = yield* TaskManager
      const task = yield* start("s__harmful", { a: 1 })
      const asked = yield* approvalOf(task)
      assert.strictEqual(asked.approval.summary, "s__harmful {\"a\":1}")
      yield* manager.answerApproval(asked, "approve")
      assert.strictEqual(outputOf((yield* endOf(task)).result), "ran harmful")
    }).pipe(Effect.provide(world({ servers: [hinting], approval: "always" }))))

  it.live("that cannot be decided fail the call", () =>
    Effect.gen(function*() {
      const said = yield* call("s__silent")
      assert.strictEqual(said, "Internal: Whether the call needs an approval could not be decided. It was not made.")
    }).pipe(Effect.provide(world({
      servers: [hinting],
      approval: () => {
        throw new Error("secret")
      }
    }))))
})

/** How much goes into one message about a conversation. */
import { it } from "@effect/vitest"
import { Cause, Effect, Exit, type Scope } from "effect"
import { SessionId } from "effect-task-manager"
import type { Transcript } from "effect-task-manager/ai"
import { ClusterError } from "effect-task-manager/cluster"
import { assert, describe } from "vitest"
import { type AgentClient, type AgentHandlers, agentProtocolVersion } from "../../src/ai/cluster/internal/protocol.js"
import { sendingTo, sentBy } from "../../src/ai/cluster/internal/sending.js"
import { callBytes } from "../../src/cluster/internal/messageSize.js"
import { GroupNotReady } from "../../src/cluster/internal/protocol.js"

/** The engine ends a connection at a message of more. */
const mostBytes = 16 * 1_024 * 1_024

const sessionId = SessionId.make("session")
const header = { version: agentProtocolVersion, call: "call", under: [], stopped: null, readers: [] }

const conversationOf = (text: string): Transcript => ({
  sessionId,
  entries: [{ _tag: "UserMessage", messageId: "m", content: [{ _tag: "Text", text }] }]
})
const large = conversationOf("😀\ud800\"".repeat(600_000))

/** A client of a runner that answers with this conversation. What goes each way is looked at; `lose` has parts that are lost. */
const clientOf = (
  conversation: Transcript,
  lose: (index: number) => boolean = () => false
): Effect.Effect<{ readonly client: AgentClient; readonly messages: Array<string> }, never, Scope.Scope> =>
  Effect.gen(function*() {
    const handlers = {
      Read: () => Effect.succeed({ _tag: "Done", news: [], value: conversation }),
      Submit: () => Effect.succeed({ _tag: "Done", news: [], value: null })
      // no other call is made
    } as unknown as AgentHandlers
    const runner: Record<string, unknown> = { ...yield* sentBy(handlers) }
    const messages: Array<string> = []
    const ways = Object.entries(runner).map(([tag, handle]) => [tag, (payload: { readonly index?: number }) => {
      messages.push(JSON.stringify(payload))
      const lost = payload.index !== undefined && lose(payload.index)
      return lost ? Effect.fail(new GroupNotReady()) : Effect.tap(
        (handle as (request: { readonly payload: unknown }) => Effect.Effect<unknown>)({ payload }),
        (answer) => {
          messages.push(JSON.stringify(answer))
        }
      )
    }])
    return { client: sendingTo(Object.fromEntries(ways) as Parameters<typeof sendingTo>[0]), messages }
  })

const read = (client: AgentClient, parts?: true) =>
  client.Read({ header: parts === undefined ? header : { ...header, parts }, sessionId })
const isWhole = (answer: Effect.Effect.Success<ReturnType<typeof read>>): boolean =>
  answer._tag === "Done" && JSON.stringify(answer.value) === JSON.stringify(large)

describe("large calls and answers about conversations", () => {
  it.live("an answer that is too large for a message comes in parts", () =>
    Effect.gen(function*() {
      const { client, messages } = yield* clientOf(large)
      assert.isTrue(isWhole(yield* read(client, true)))
      assert.isAtLeast(messages.length, 6)
      for (const message of messages) assert.isBelow(message.length, mostBytes / 2)
    }).pipe(Effect.scoped))

  it.live("a client of an earlier version is sent it whole", () =>
    Effect.gen(function*() {
      const { client, messages } = yield* clientOf(large)
      assert.isTrue(isWhole(yield* read(client)))
      assert.lengthOf(messages, 2)
    }).pipe(Effect.scoped))

  it.live("a call of whose answer a part is lost is made again", () =>
    Effect.gen(function*() {
      let isLost = false
      const { client } = yield* clientOf(large, (index) => {
        if (index !== 2 || isLost) return false
        isLost = true
        return true
      })
      const first = yield* Effect.flip(read(client, true))
      assert.strictEqual(first._tag, "GroupNotReady")
      assert.isTrue(isWhole(yield* read(client, true)))
    }).pipe(Effect.scoped))

  it.live("a call that is too large is refused, and nothing of it is sent; one of nearly as much goes", () =>
    Effect.gen(function*() {
      const { client, messages } = yield* clientOf(conversationOf(""))
      const submit = (length: number) =>
        client.Submit({ header, sessionId, messageId: "m", content: [{ _tag: "Text", text: "é".repeat(length / 2) }] })
      const exit = yield* Effect.exit(submit(callBytes))
      const died = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      if (!(died instanceof ClusterError)) return assert.fail("it is not refused")
      assert.strictEqual(died.reason, "TooLarge")
      assert.include(died.detail, "Submit")
      assert.deepStrictEqual(messages, [])
      yield* submit(callBytes - 1_000)
      assert.lengthOf(messages, 2)
    }).pipe(Effect.scoped))
})

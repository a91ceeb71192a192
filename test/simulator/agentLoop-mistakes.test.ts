/**
 * A simulator has to find mistakes: here they are put into the loop, one at a time, and each has to be found.
 */
import { Effect } from "effect"
import { type TaskId, TaskManager } from "effect-task-manager"
import { afterEach, assert, describe, it, vi } from "vitest"
import type * as Calls from "../../src/ai/loop/internal/calls.js"
import type * as CallVerdict from "../../src/ai/loop/internal/callVerdict.js"
import type * as ConversationModule from "../../src/ai/loop/internal/Conversation.js"
import type * as Interrupts from "../../src/ai/loop/internal/interrupts.js"
import type * as Machine from "../../src/ai/loop/internal/machine.js"
import type * as ModelCall from "../../src/ai/loop/internal/modelCall.js"
import type * as News from "../../src/ai/loop/internal/news.js"
import type * as Refusals from "../../src/ai/loop/internal/refusals.js"
import type * as Reply from "../../src/ai/loop/internal/reply.js"
import type * as Growing from "../../src/ai/transcript/internal/GrowingTranscript.js"
import type * as Rewriting from "../../src/ai/transcript/internal/rewriting.js"
import * as texts from "../../src/ai/transcript/internal/texts.js"
import type * as RenderPrompt from "../../src/ai/transcript/renderPrompt.js"
import type { TranscriptEntry } from "../../src/ai/transcript/TranscriptEntry.js"
import { type AgentPlan, tick } from "./agentLoop/plan.js"
import { findMistake, mutationsIn } from "./findMistake.js"

interface Modules {
  "loop/internal/calls": typeof Calls
  "loop/internal/callVerdict": typeof CallVerdict
  "loop/internal/Conversation": typeof ConversationModule
  "loop/internal/interrupts": typeof Interrupts
  "loop/internal/machine": typeof Machine
  "loop/internal/modelCall": typeof ModelCall
  "loop/internal/news": typeof News
  "loop/internal/refusals": typeof Refusals
  "loop/internal/reply": typeof Reply
  "transcript/renderPrompt": typeof RenderPrompt
  "transcript/internal/GrowingTranscript": typeof Growing
  "transcript/internal/rewriting": typeof Rewriting
}

type Mutation = { readonly [Name in keyof Modules]?: (original: Modules[Name]) => Partial<Modules[Name]> }

const enough = 2_000

afterEach(() => {
  vi.resetModules()
})

const findsWith = (
  rules: ReadonlyArray<string>,
  mutation: Mutation,
  focus?: (plan: AgentPlan) => AgentPlan
) =>
  findMistake({
    mutations: mutationsIn("../../src/ai", mutation),
    load: async () => {
      const { simulateAgentLoop } = await import("./agentLoop/simulateAgentLoop.js")
      return (seed) => simulateAgentLoop({ seed, focus }).violations
    },
    isMeant: ({ rule }) => rules.includes(rule),
    seeds: enough,
    inARow: 50
  })

/**
 * `rules`: what the mistake breaks; it may show in other ways before. `focus` makes what the mistake needs come up in
 * every run, where it is rare: otherwise the search takes most of the test's time.
 */
const finds = (
  mistake: string,
  rules: ReadonlyArray<string>,
  mutation: Mutation,
  focus?: (plan: AgentPlan) => AgentPlan
): void => {
  it(mistake, async () => {
    const found = await findsWith(rules, mutation, focus)
    if (found === undefined) return assert.fail(`not found in ${enough} seeds`)
    console.log(`${mistake}: seed ${found.seed}, ${found.rule}: ${found.message.slice(0, 160)}`)
  }, 600_000)
}

/** `GrowingTranscript` with other methods, also private ones. */
const growing = (
  original: typeof Growing,
  methods: (transcript: Growing.GrowingTranscript) => object
): Partial<typeof Growing> => ({
  GrowingTranscript: class extends original.GrowingTranscript {
    constructor(...given: ConstructorParameters<typeof original.GrowingTranscript>) {
      super(...given)
      Object.assign(this, methods(this))
    }
  }
})

const neverStarted = (callId: TranscriptEntry.ToolResult["callId"], toolName: string): TranscriptEntry.ToolResult => ({
  _tag: "ToolResult",
  callId,
  toolName,
  outcome: "Interrupted",
  isError: true,
  output: { _tag: "Text", text: "The turn was interrupted before this call was started. It did not run." }
})

/** Messages that are taken back, in a session where several are said. */
const withdrawing = (plan: AgentPlan): AgentPlan => ({
  ...plan,
  messages: 4,
  features: { ...plan.features, withdrawing: true }
})

describe("the simulator of the loop finds mistakes", () => {
  finds("a message that is taken back stays in the queue", ["once", "hang"], {
    "loop/internal/machine": (original) => ({
      step: (state, command, ...rest) => {
        const next = original.step(state, command, ...rest)
        return command._tag === "Withdraw" ? { ...next, state } : next
      }
    })
  }, withdrawing)

  finds("a message that a turn has taken is taken back", ["once"], {
    "loop/internal/machine": (original) => ({
      step: (state, command, ...rest) => {
        const next = original.step(state, command, ...rest)
        if (command._tag !== "Withdraw") return next
        const { messageId } = command
        return {
          state: { ...state, messages: state.messages.filter(({ id }) => id !== messageId) },
          actions: [{
            _tag: "AnswerWithdraw",
            messageId,
            isWithdrawn: state.messages.some(({ id }) => id === messageId)
          }]
        }
      }
    })
  }, withdrawing)

  finds("results stand in the order in which they come", ["order", "log"], {
    "transcript/internal/GrowingTranscript": (original) =>
      growing(original, (transcript) => ({ placeOf: () => transcript.transcript.entries.length }))
  })

  finds("a call is answered in the prompt by whatever was answered first", ["valid"], {
    "transcript/renderPrompt": (original) => ({
      renderPrompt: (transcript, options) => {
        const prompt = original.renderPrompt(transcript, options)
        return {
          ...prompt,
          content: prompt.content.map((message) =>
            message.role === "tool" ? { ...message, content: [...message.content].reverse() } : message
          )
        }
      }
    })
  })

  finds("late results are taken, and not consumed", ["once", "wake"], {
    "loop/internal/calls": () => ({
      collectLate: (conversation) =>
        Effect.gen(function*() {
          const manager = yield* TaskManager
          const { resolutions } = yield* manager.takePendingLoopUpdates(conversation.sessionId)
          const found: Array<TaskId> = []
          for (const resolution of resolutions) {
            if (resolution._tag === "Approval") continue
            const part = resolution.item.parts.find((one) => one._tag === "ToolResult")
            if (part === undefined) continue
            const { callId, isError, output } = part
            yield* conversation.acceptLate({ callId, toolName: "work", taskId: resolution.taskId, isError, output })
            yield* conversation.flush
            found.push(resolution.taskId)
          }
          return found
        })
    })
  }, (plan) => ({
    ...plan,
    manager: "Live",
    preemption: 0.06,
    features: { ...plan.features, background: true, interrupts: true, slowStore: true, storeFailures: true }
  }))

  finds("what is delivered again is added again", ["once", "valid", "answered", "log", "order"], {
    "transcript/internal/GrowingTranscript": (original) => growing(original, () => ({ has: () => false }))
  })

  finds("a turn that has failed is begun again by the message that waits", ["hang"], {
    "loop/internal/machine": (original) => ({
      step: (...given) => {
        const next = original.step(...given)
        const messages = next.state.messages.map((message): typeof message =>
          message.stage === "Begun" ? { ...message, stage: "Waiting" } : message
        )
        return { ...next, state: { ...next.state, messages } }
      }
    })
  }, (plan) => ({ ...plan, messages: 4, features: { ...plan.features, storeAway: true } }))

  finds("the store is told, and what it says is ignored", ["log"], {
    "loop/internal/Conversation": (original) => ({
      Conversation: class extends original.Conversation {
        constructor(...[transcript, store, onLate]: ConstructorParameters<typeof original.Conversation>) {
          super(transcript, { append: (id, entry) => Effect.ignore(store.append(id, entry)) }, onLate)
        }
      }
    })
  })

  finds("what the store refuses is forgotten", ["log", "once", "answered", "wake", "order", "hang"], {
    "loop/internal/Conversation": (original) => ({
      Conversation: class extends original.Conversation {
        override get flush() {
          return Effect.tapError(super.flush, () => Effect.sync(() => Object.assign(this, { unstored: [] })))
        }
      }
    })
  })

  finds("a late result comes twice", ["once"], {
    "transcript/renderPrompt": (original) => ({
      renderPrompt: (transcript, options) =>
        original.renderPrompt({
          ...transcript,
          entries: transcript.entries.flatMap((entry): ReadonlyArray<TranscriptEntry> =>
            entry._tag === "LateResult" ? [entry, entry] : [entry]
          )
        }, options)
    })
  })

  finds("a late result is not shown", ["once"], {
    "transcript/renderPrompt": (original) => ({
      renderPrompt: (transcript, options) =>
        original.renderPrompt({
          ...transcript,
          entries: transcript.entries.filter((entry, index) => index % 7 !== 6 || entry._tag !== "LateResult")
        }, options)
    })
  }, (plan) => ({ ...plan, calls: 8, messages: 3, features: { ...plan.features, background: true } }))

  finds("an interrupted turn says that its calls did not run", ["true"], {
    "loop/internal/calls": (original) => ({
      runCalls: (conversation, started, options) =>
        Effect.gen(function*() {
          if (!options.start) {
            for (const [callId, known] of started) {
              if (known._tag === "Running" && conversation.isOpen(callId)) {
                yield* conversation.add(neverStarted(callId, "work"))
              }
            }
          }
          return yield* original.runCalls(conversation, started, options)
        })
    })
  })

  finds("an interrupt closes its calls before they have ended", ["true"], {
    "loop/internal/machine": (original) => ({
      step: (state, command, policy, facts) => {
        const next = original.step(state, command, policy, facts)
        return command._tag !== "Interrupt" ? next : {
          ...next,
          actions: next.actions.flatMap((action): ReadonlyArray<Machine.Action> =>
            action._tag === "StopTurn" ? [action, { _tag: "InterruptStep" }] : [action]
          )
        }
      }
    }),
    "loop/internal/calls": (original) => ({
      runCalls: (conversation, started, options) =>
        Effect.gen(function*() {
          if (!options.start) {
            for (
              const { callId, toolName } of [...conversation.transcript.entries].flatMap((entry) =>
                entry._tag === "AssistantMessage"
                  ? entry.parts.flatMap((part) => part._tag === "ToolCall" ? [part] : [])
                  : []
              )
            ) {
              if (conversation.isOpen(callId)) yield* conversation.add(neverStarted(callId, toolName))
            }
          }
          return yield* original.runCalls(conversation, started, options)
        })
    })
  })

  finds("a wake-up during a turn is forgotten", ["wake"], {
    "loop/internal/machine": (original) => ({
      step: (state, command, policy, facts) =>
        command._tag === "Wake" && state.phase._tag !== "Idle"
          ? { state, actions: [] }
          : original.step(state, command, policy, facts)
    })
  }, (plan) => ({ ...plan, manager: "Live", wake: "AtOnce", features: { ...plan.features, background: true } }))

  finds("the loop tells before it has told what the manager has published", ["told"], {
    "loop/internal/news": (original) => ({
      make: (options) =>
        Effect.map(original.make(options), (news) => ({
          ...news,
          // as soon as it is published would be too soon: schedules in which the loop tells something between the two are rare
          listen: Effect.forever(Effect.delay(Effect.sync(news.unsafePull), tick)),
          unsafePull: () => {
            if (options.unsafeState().phase !== "Closed") return
            news.unsafePull()
          }
        }))
    })
  }, (plan) => ({ ...plan, features: { ...plan.features, instant: true } }))

  finds("a close does not name what its interrupt has cancelled", ["receipt"], {
    "loop/internal/interrupts": (original) => ({
      make: (sessionId) =>
        Effect.map(original.make(sessionId), (interrupts) => ({
          ...interrupts,
          answer: Effect.as(interrupts.answer, [])
        }))
    })
  }, (plan) => ({
    ...plan,
    crashes: 0,
    hostActions: 6,
    features: { ...plan.features, closing: true, background: true, interrupts: false }
  }))

  finds("an unknown tool fails the turn", ["turns"], {
    "loop/internal/modelCall": (original) => ({
      callModel: (model, prompt, listener) =>
        original.callModel(
          { ...model, toolkit: Effect.map(model.toolkit, (toolkit) => ({ ...toolkit, tools: {} })) },
          prompt,
          listener
        )
    })
  })

  finds("a call that was cut off runs", ["cut"], {
    "loop/internal/callVerdict": () => ({ verdict: () => undefined })
  }, (plan) => ({ ...plan, features: { ...plan.features, strangeCalls: true } }))

  finds("two calls with one id", ["valid", "program", "hang", "once", "answered"], {
    "loop/internal/reply": (original) => ({
      ReplyBuilder: class extends original.ReplyBuilder {
        override whole(): ReturnType<InstanceType<typeof original.ReplyBuilder>["whole"]> {
          return super.whole(new Set())
        }
      }
    })
  }, (plan) => ({
    ...plan,
    sessions: 1,
    calls: 8,
    crashes: 0,
    repeatedIds: 0.6,
    features: { ...plan.features, strangeCalls: true, hanging: false, modelFailures: false, storeFailures: false }
  }))

  finds("a change of the conversation drops what is going on", ["rewrite"], {
    "transcript/internal/rewriting": () => ({ withLive: (_, after) => after })
  }, (plan) => ({
    ...plan,
    compactAt: 80,
    features: { ...plan.features, background: true, compacting: true, rewriting: true }
  }))

  finds("a conversation is changed during a turn", ["rewrite"], {
    "loop/internal/machine": (original) => ({
      step: (state, command, policy, facts) =>
        command._tag === "Rewrite"
          ? { state, actions: [{ _tag: "Rewrite" }] }
          : original.step(state, command, policy, facts)
    })
  }, (plan) => ({ ...plan, hostActions: 6, features: { ...plan.features, rewriting: true, slowModel: true } }))

  finds("a compaction may leave nothing to answer", ["valid"], {
    "transcript/internal/rewriting": () => ({ compactionProblems: () => [] })
  }, (plan) => ({ ...plan, messages: 3, compactAt: 80, features: { ...plan.features, compacting: true } }))

  finds("what a provider refuses stays in the conversation", ["refused"], {
    "loop/internal/refusals": () => ({ mend: () => undefined })
  }, (plan) => ({ ...plan, messages: 3, features: { ...plan.features, refusing: true } }))

  let asked = 0
  finds("what a provider refuses is replaced with each second refusal", ["refused"], {
    "loop/internal/refusals": ({ mend }) => ({
      mend: (...refusal) => ++asked % 2 === 0 ? mend(...refusal) : undefined
    })
  }, (plan) => ({ ...plan, messages: 3, features: { ...plan.features, refusing: true } }))

  finds(
    "what nobody has answered goes for a file that another provider has taken",
    ["refused"],
    {
      "loop/internal/refusals": ({ mend }) => ({
        mend: (transcript, error, _provider, maxBytes) => mend(transcript, error, undefined, maxBytes)
      })
    },
    (plan) => ({
      ...plan,
      messages: 3,
      hostActions: 6,
      features: { ...plan.features, refusing: true, switching: true }
    })
  )

  finds("a prompt is made for the provider of the last reply", ["provider", "valid"], {
    "transcript/renderPrompt": (original) => ({
      renderPrompt: (transcript, options) => original.renderPrompt(transcript, { ...options, provider: undefined })
    })
  }, (plan) => ({ ...plan, hostActions: 6, messages: 3, features: { ...plan.features, switching: true } }))

  finds("a provider that went on from another one's pause was not asked to", ["append only"], {
    "transcript/renderPrompt": (original) => ({
      renderPrompt: (transcript, options) => {
        const { content, ...prompt } = original.renderPrompt(transcript, options)
        return {
          ...prompt,
          content: content.filter((message, index) =>
            index === content.length - 1 || !JSON.stringify(message).includes(texts.goOn)
          )
        }
      }
    })
  }, (plan) => ({
    ...plan,
    crashes: 0,
    hostActions: 6,
    messages: 3,
    calls: 2,
    pauses: 0.8,
    features: { ...plan.features, slowModel: true, strangeCalls: true, switching: true }
  }))
})

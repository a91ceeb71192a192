/**
 * One session and the client that watches it: a fiber that reads the events of the session, tells the client what follows from
 * each (Told.ts), and waits until that was written. A client that reads slowly so falls behind its session, and gets a `Reset`.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberMap from "effect/FiberMap"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { AgentEvent, TurnEnd } from "../../ai/loop/AgentEvent.js"
import type { AgentSession } from "../../ai/loop/AgentSession.js"
import type { TranscriptEntry } from "../../ai/transcript/TranscriptEntry.js"
import type { TaskApproval } from "../../model/Approval.js"
import type { TaskId, TurnId } from "../../model/ids.js"
import { isSettled } from "../../model/settled.js"
import type { TaskManagerHandle } from "../../services/TaskManager.js"
import { withCause } from "../../shared/logging.js"
import type { AcpAgentOptions } from "../AcpAgentOptions.js"
import { viewOf } from "./calls.js"
import { type Block, messageOf } from "./content.js"
import { endsWith, replay, unanswered } from "./history.js"
import { type ClientGone, type ClientPort, internalError, invalidParams, isDefect, type Refused } from "./port.js"
import { Terminals } from "./terminals.js"
import { Told } from "./Told.js"
import type { Update } from "./updates.js"

/** How a prompt came into the conversation, or did not. */
type Taken = { readonly _tag: "Taken"; readonly messageId: string } | { readonly _tag: "TakenBack" }

/** How the turn ended that took a prompt. `undefined`: nobody heard how. */
export type Ended = { readonly _tag: "Ended"; readonly end: TurnEnd | undefined } | { readonly _tag: "TakenBack" }

interface Prompt {
  readonly messageId: string
  readonly blocks: ReadonlyArray<Block>
  readonly taken: Deferred.Deferred<Taken>
  readonly ended: Deferred.Deferred<Ended>
  /** The turn that has taken it. */
  turnId: TurnId | undefined
}

export interface ClientSession {
  readonly sessionId: string
  readonly cwd: string
  /** Tells a client that has the session already what was said so far, if it asks for that, and then how the session is. */
  readonly tellAgain: (withHistory: boolean) => Effect.Effect<void, ClientGone>
  /** Hands in a prompt; returns when it was handed in. `withdraw` gives up on it: false if a turn has taken it. Where the store fails it is true, with a warning. */
  readonly prompt: (blocks: ReadonlyArray<Block>) => Effect.Effect<{
    readonly taken: Effect.Effect<Taken>
    readonly ended: Effect.Effect<Ended>
    readonly withdraw: Effect.Effect<boolean>
  }, Refused>
  /** Takes back the prompts that no turn has taken, and stops the turn. */
  readonly cancel: Effect.Effect<void>
  readonly cancelCall: (toolCallId: string) => Effect.Effect<void, Refused>
  readonly detach: (toolCallId: string) => Effect.Effect<void, Refused>
  /** Returns when the session is closed and the client was told everything of it. */
  readonly close: Effect.Effect<void>
  /** Returns when nothing more happens in the session. */
  readonly over: Effect.Effect<void>
}

/** What a client is told of a session at first. Of a new one, of which it does not know the id yet, nothing. */
export type Beginning = "New" | "State" | "HistoryAndState"

/** Tells the client of a session what it is told at first, and what happens from then on. */
export const make = (settings: {
  readonly session: AgentSession
  readonly beginning: Beginning
  readonly handle: TaskManagerHandle
  readonly port: ClientPort
  readonly options: AcpAgentOptions
  readonly cwd: string
}): Effect.Effect<ClientSession, ClientGone, Scope.Scope> =>
  Effect.gen(function*() {
    const { beginning, cwd, handle, options, port, session } = settings
    const { sessionId } = session
    const scope = yield* Effect.scope
    const { events, ...state } = yield* session.watch
    // of the same step as the state: nothing suspends between the two
    const said = beginning === "HistoryAndState" ? (yield* session.transcript).entries : []
    const view = (toolName: string, input: unknown) => viewOf(options.describe, toolName, input)
    const told = new Told(view)
    const terminals = new Terminals(handle, (sent) => port.send(sessionId, sent))
    /** One event after the other, and a replay between two. */
    const telling = yield* Effect.makeSemaphore(1)
    /** While a prompt is handed in nothing is told of prompts that are taken: it is found here when it is. */
    const handingIn = yield* Effect.makeSemaphore(1)
    const asking = yield* FiberMap.make<TaskId>()
    const prompts = new Map<string, Prompt>()
    const finished = yield* Deferred.make<void>()
    /** Opened while the client waits for the answer to a prompt, for clients that want no questions at other times. */
    const mayAsk = yield* Effect.makeLatch(!port.asksInPromptsOnly)
    let nextPrompt = yield* Deferred.make<void>()
    let cancels = 0
    let cancelling = 0
    /** Events were missed: what became of prompts may have been among them. */
    let hasMissed = false

    // ---- prompts ----

    const forget = (prompt: Prompt) => {
      prompts.delete(prompt.messageId)
      if (port.asksInPromptsOnly && prompts.size === 0) mayAsk.unsafeClose()
    }

    const take = (prompt: Prompt, turnId: TurnId | undefined) =>
      Effect.suspend(() => {
        prompt.turnId = turnId
        return Deferred.succeed(prompt.taken, { _tag: "Taken", messageId: prompt.messageId })
      })

    const takeBack = (prompt: Prompt) =>
      Effect.suspend(() => {
        forget(prompt)
        return Effect.zipRight(
          Deferred.succeed(prompt.taken, { _tag: "TakenBack" }),
          Deferred.succeed(prompt.ended, { _tag: "TakenBack" })
        )
      })

    const endPrompts = (turnId: TurnId, end: TurnEnd | undefined) =>
      Effect.forEach([...prompts.values()].filter((prompt) => prompt.turnId === turnId), (prompt) => {
        forget(prompt)
        return Deferred.succeed(prompt.ended, { _tag: "Ended", end })
      }, { discard: true })

    const withdraw = (prompt: Prompt) =>
      session.withdraw(prompt.messageId).pipe(
        // no turn of this process takes it, and only a turn would answer the client
        Effect.catchAllCause((cause) =>
          Effect.logWarning("A prompt that was taken back is still stored, so another process may take it").pipe(
            withCause(cause),
            Effect.as(true)
          )
        ),
        Effect.tap((isBack) => isBack ? takeBack(prompt) : Effect.void)
      )

    /** What became of prompts while nobody heard: the transcript has those that were taken. */
    const reconcile = Effect.gen(function*() {
      const waiting = [...prompts.values()].filter(({ turnId }) => turnId === undefined)
      if (!hasMissed || waiting.length === 0) return
      const { entries } = yield* session.transcript
      const said = new Set(entries.flatMap((entry) => entry._tag === "UserMessage" ? [entry.messageId] : []))
      const turnId = told.turn
      for (const prompt of waiting) {
        if (!said.has(prompt.messageId)) continue
        yield* take(prompt, turnId)
        if (turnId === undefined) {
          forget(prompt)
          yield* Deferred.succeed(prompt.ended, { _tag: "Ended", end: undefined })
        }
      }
      hasMissed = turnId !== undefined
    })

    // ---- questions ----

    /** What the host does wrong is for its log: the user is asked without the offer, and what the user allows is allowed. */
    const alwaysOf = (approval: TaskApproval): Effect.Effect<Option.Option<Effect.Effect<void>>> =>
      Effect.sync(() => Option.filter(options.always?.(approval) ?? Option.none(), (given) => Effect.isEffect(given)))
        .pipe(
          Effect.catchAllCause((cause) =>
            Effect.logError("AcpAgentOptions.always has thrown").pipe(withCause(cause), Effect.as(Option.none()))
          )
        )

    const answered = (answer: Effect.Effect<unknown, unknown>): Effect.Effect<void> =>
      // not asked any more, or the manager is shutting down
      Effect.uninterruptible(Effect.ignore(answer))

    const approve = (approval: TaskApproval, always: Option.Option<Effect.Effect<void>>) =>
      Effect.catchAllCause(
        Option.getOrElse(always, () => Effect.void),
        (cause) => Effect.logError("What AcpAgentOptions.always gave has failed").pipe(withCause(cause))
      ).pipe(Effect.zipRight(session.approve(approval)), answered)

    const reject = (approval: TaskApproval, why: string) => answered(session.reject(approval, why))

    const askUser = (approval: TaskApproval, toolCallId: string): Effect.Effect<void, ClientGone> =>
      Effect.gen(function*() {
        // a yes does not do there, and the task would wait for ever
        if ((approval.approval.questions ?? []).length > 0) {
          return yield* reject(
            approval,
            "The user could not be asked: the client takes a yes or a no, and no other answer."
          )
        }
        while (true) {
          yield* mayAsk.await
          const later = nextPrompt
          const always = yield* alwaysOf(approval)
          const given = yield* port.ask({ sessionId, toolCallId, approval, offersAlways: Option.isSome(always) })
          switch (given) {
            case "Allow":
              return yield* approve(approval, Option.none())
            case "Always":
              return yield* approve(approval, always)
            case "Reject":
              return yield* reject(approval, "The user said no.")
            case "Failed":
              return yield* reject(approval, "The user could not be asked.")
            case "Cancelled":
              // what is in the background goes on, and asks again when the user is there again
              if (told.isBackground(approval.taskId)) {
                yield* Deferred.await(later)
                break
              }
              // the interrupt decides about what holds up the turn
              if (cancelling > 0) return
              return yield* reject(approval, "The user gave no answer.")
          }
        }
      })

    /** Nobody waits for it: what goes wrong in it must not leave the task waiting. */
    const ask = (approval: TaskApproval, toolCallId: string): Effect.Effect<void, ClientGone> =>
      Effect.catchAllCause(askUser(approval, toolCallId), (cause) =>
        isDefect(cause)
          ? Effect.logError("A user could not be asked").pipe(
            withCause(cause),
            Effect.zipRight(reject(approval, "The user could not be asked."))
          )
          : Effect.failCause(cause))

    const stopAsking = (taskId: TaskId) =>
      Option.match(FiberMap.unsafeGet(asking, taskId), { onNone: () => Effect.void, onSome: Fiber.interruptFork })

    // ---- what the client is told ----

    const perform = (update: Update): Effect.Effect<void, ClientGone> => {
      switch (update._tag) {
        case "Said":
        case "Thought":
        case "Unsaid":
        case "State":
          return port.send(sessionId, update)
        case "Call": {
          const { call } = update
          const { toolCallId } = call
          const terminalId = terminals.idOf(toolCallId)
          const shown = port.send(
            sessionId,
            terminalId === undefined ? update : { ...update, call: { ...call, terminalId } }
          )
          return call.status === "completed" || call.status === "failed" || call.status === "cancelled"
            ? Effect.zipRight(terminals.end(toolCallId, call.output), shown)
            : shown
        }
        case "MessageTaken":
          return Effect.gen(function*() {
            const prompt = yield* handingIn.withPermits(1)(Effect.sync(() => prompts.get(update.messageId)))
            if (prompt === undefined) return
            const { blocks: content, messageId } = prompt
            yield* port.send(sessionId, { _tag: "UserSaid", messageId, content, isEcho: true })
            yield* take(prompt, update.turnId)
          })
        case "Wrote":
          return terminals.follow(update.taskId, update.toolCallId)
        case "Missed":
          return Effect.gen(function*() {
            const { taskId, toolCallId } = update
            yield* terminals.follow(taskId, toolCallId)
            const snapshot = yield* Effect.option(handle.get(taskId))
            const result = Option.flatten(yield* Effect.option(handle.result(taskId)))
            yield* perform(told.missed(toolCallId, Option.getOrUndefined(snapshot), Option.getOrUndefined(result)))
          })
        case "Ask":
          return Effect.asVoid(
            FiberMap.run(asking, update.approval.taskId, ask(update.approval, update.toolCallId))
          )
        case "StopAsking":
          return stopAsking(update.taskId)
        case "TurnEnded":
          return endPrompts(update.turnId, update.end)
      }
    }

    const performAll = (updates: ReadonlyArray<Update>) => Effect.forEach(updates, perform, { discard: true })

    const finish = Effect.gen(function*() {
      for (const prompt of prompts.values()) yield* takeBack(prompt)
      yield* Deferred.succeed(finished, undefined)
    })

    /** Events that were read, and that nothing was told of yet. */
    const heard: Array<AgentEvent> = []
    const mostHeard = 64

    const hear = (event: AgentEvent) =>
      Effect.suspend(() => {
        if (event._tag === "Reset") hasMissed = true
        const updates = told.hear(event)
        return Effect.zipRight(
          performAll(updates),
          event._tag === "Reset" || event._tag === "TurnEnded" ? reconcile : Effect.void
        )
      })

    const hearNext = Effect.suspend(() => {
      const event = heard.shift()
      return event === undefined ? Effect.void : hear(event)
    })

    /** Everything that has happened until now. */
    const hearAll = Effect.gen(function*() {
      while (true) {
        if (heard.length === 0) heard.push(...yield* Queue.takeUpTo(events, mostHeard))
        if (heard.length === 0) return
        yield* hearNext
      }
    })

    const tell = Stream.fromQueue(events, { maxChunkSize: mostHeard }).pipe(
      Stream.runForEachChunk((read) =>
        Effect.suspend(() => {
          // behind what `hearAll` has left of an earlier one
          heard.push(...read)
          return Effect.forEach(read, () => telling.withPermits(1)(hearNext), { discard: true })
        })
      )
    )

    // ---- what the client asks for ----

    const liveTask = (toolCallId: string): Effect.Effect<TaskId, Refused> => {
      const taskId = told.taskOf(toolCallId)
      return taskId === undefined
        ? Effect.fail(invalidParams("There is no such tool call that runs"))
        : Effect.succeed(taskId)
    }

    /** How a call ended whose result the conversation does not have yet. One that is lost is told by the next turn. */
    const recall = (taskId: TaskId, toolCallId: string) =>
      Effect.gen(function*() {
        const snapshot = yield* Effect.option(handle.get(taskId))
        if (Option.isNone(snapshot) || !isSettled(snapshot.value)) return
        yield* perform({ _tag: "Missed", taskId, toolCallId })
      })

    const replayed = (entries: ReadonlyArray<TranscriptEntry>, live: ReadonlySet<TaskId>) =>
      Effect.gen(function*() {
        const all = replay(entries, view, live)
        const late = unanswered(entries)
        yield* Effect.forEach(all, (sent) => port.send(sessionId, sent), { discard: true })
        told.replayed(all, late)
        for (const [toolCallId, taskId] of late) if (!live.has(taskId)) yield* recall(taskId, toolCallId)
        return all
      })

    yield* replayed(said, new Set(state.live.map(({ id }) => id)))
    if (beginning !== "New") yield* performAll(told.catchUp(state))
    yield* tell.pipe(
      // that the connection is over ends the session, too
      Effect.catchTag("ClientGone", () => Effect.void),
      Effect.catchAllCause((cause) =>
        Effect.logError("A client is told nothing more of a session").pipe(withCause(cause))
      ),
      Effect.ensuring(finish),
      Effect.forkIn(scope)
    )

    return {
      sessionId,
      cwd,
      over: Deferred.await(finished),
      tellAgain: (withHistory) =>
        Effect.gen(function*() {
          if (withHistory) {
            yield* hearAll
            const { entries } = yield* session.transcript
            const { speaking } = told
            terminals.again()
            const all = yield* replayed(entries, told.liveTasks)
            if (!endsWith(entries, speaking)) yield* performAll(speaking)
            yield* performAll(told.again(all))
          }
          yield* port.send(sessionId, told.current)
        }).pipe(telling.withPermits(1)),
      prompt: (blocks) =>
        Effect.gen(function*() {
          if (blocks.length === 0) return yield* invalidParams("A prompt has at least one block")
          const message = messageOf(blocks, options.accepts ?? ["image"])
          if ("refused" in message) {
            return yield* invalidParams(
              message.why === "Kind" ? "This kind of content is not taken" : "The data of a file must be base64",
              message.refused
            )
          }
          const before = cancels
          const taken = yield* Deferred.make<Taken>()
          const ended = yield* Deferred.make<Ended>()
          const prompt = yield* session.submit(message.parts).pipe(
            Effect.mapError(() => internalError("The session is closed")),
            Effect.map((messageId): Prompt => {
              const prompt: Prompt = { messageId, blocks, taken, ended, turnId: undefined }
              prompts.set(messageId, prompt)
              mayAsk.unsafeOpen()
              return prompt
            }),
            Effect.uninterruptible,
            handingIn.withPermits(1)
          )
          const waited = nextPrompt
          nextPrompt = yield* Deferred.make<void>()
          yield* Deferred.succeed(waited, undefined)
          // it was handed in while the ones before it were cancelled
          if (before !== cancels) yield* withdraw(prompt)
          return {
            taken: Deferred.await(taken),
            ended: Deferred.await(ended),
            withdraw: withdraw(prompt)
          }
        }),
      cancel: Effect.gen(function*() {
        cancels++
        cancelling++
        for (const prompt of prompts.values()) if (prompt.turnId === undefined) yield* withdraw(prompt)
        yield* session.interrupt
      }).pipe(Effect.ensuring(Effect.sync(() => {
        cancelling--
      }))),
      cancelCall: (toolCallId) =>
        Effect.gen(function*() {
          const taskId = yield* liveTask(toolCallId)
          if (!told.askCancel(toolCallId)) return yield* invalidParams("The tool call is being cancelled already")
          // it is accepted now; what becomes of it is told by an event
          yield* handle.cancel(taskId).pipe(Effect.ignore, Effect.forkIn(scope))
        }),
      detach: (toolCallId) =>
        Effect.gen(function*() {
          const taskId = yield* liveTask(toolCallId)
          const isDetached = yield* Effect.mapError(
            handle.detach(taskId),
            () => invalidParams("The tool call does not run now")
          )
          if (!isDetached) return yield* invalidParams("The tool call is in the background already")
        }),
      close: Effect.gen(function*() {
        // not waited for: an answer may be on its way
        for (const [taskId] of asking) yield* stopAsking(taskId)
        yield* session.close
        yield* Deferred.await(finished)
      })
    }
  })

/**
 * A tool runs in the process that has the case, for a launch that is on a runner: what it asks of its task, the runner does, and what
 * the runner does to the launch comes to the tool.
 */
import { Chunk, Context, Effect, Exit, FiberId, Option, Scope, Stream } from "effect"
import { CurrentTask, type ToolExecutor } from "effect-task-manager"
import type { Ancestry } from "../../../../src/machine/state/Waiter.js"
import { RunningIn } from "../../../../src/runtime/launch/RunningIn.js"
import type { Handlers } from "./Link.js"
import { pack, unpack } from "./values.js"

type Task = CurrentTask["Type"]
type Ask = (what: string, payload: unknown) => Effect.Effect<unknown, unknown>

/** One launch of the chain that a tool works for, innermost first: which task it is of, and which was stopped. */
interface SentLink {
  readonly task: string | undefined
  readonly stopped: string | undefined
}

export interface SentLaunch {
  readonly id: number
  readonly request: unknown
  readonly task: unknown
  readonly chain: ReadonlyArray<SentLink>
}

export interface SentChain {
  readonly id: number
  readonly chain: ReadonlyArray<SentLink>
}

const chainOf = (ancestry: Ancestry | undefined): ReadonlyArray<SentLink> => {
  const chain: Array<SentLink> = []
  for (let link = ancestry; link !== undefined; link = link.parent) {
    chain.push({ task: link.task?.snapshot.id, stopped: link.stopped })
  }
  return chain
}

/** What a client reads of the chain; it asks for nothing else. */
const ancestryOf = (
  chain: ReadonlyArray<SentLink>,
  has: (index: number) => SentLink | undefined
): Ancestry | undefined =>
  chain.reduceRight<Ancestry | undefined>((parent, _, index) => {
    const link = {
      parent,
      get task() {
        const task = has(index)?.task
        return task === undefined ? undefined : { snapshot: { id: task } }
      },
      get stopped() {
        return has(index)?.stopped
      }
    }
    // a client reads no other fields: `callerOf`
    return link as unknown as Ancestry
  }, undefined)

const never = "nothing that a tool asks of its task fails"

/** The tools of the case, for a runner. */
export const toolsOnRunner = (ask: Ask, executesAs: { readonly specs: unknown }) => {
  let launches = 0
  const tasks = new Map<number, Task>()
  const chains = new Map<number, Ancestry>()
  const pulls = new Map<
    number,
    { readonly pull: Effect.Effect<unknown, Option.Option<never>>; readonly scope: Scope.CloseableScope }
  >()
  let readers = 0
  const taskOf = ({ id }: { readonly id: number }): Effect.Effect<Task> =>
    Effect.orDie(Effect.fromNullable(tasks.get(id)))
  const executor: ToolExecutor["Type"] = {
    // what the executor of the case has
    specs: Effect.succeed(unpack(executesAs.specs) as Effect.Effect.Success<ToolExecutor["Type"]["specs"]>),
    execute: (request) =>
      Effect.gen(function*() {
        const id = ++launches
        const task = yield* CurrentTask
        const ancestry = Context.getOption(yield* Effect.context<never>(), RunningIn)
        tasks.set(id, task)
        if (Option.isSome(ancestry)) chains.set(id, ancestry.value)
        const { answers, approval, epoch, idempotencyKey, launch, maxResultBytes, taskId } = task
        const sent: SentLaunch = {
          id,
          request: pack(request),
          task: pack({
            answers,
            approval,
            epoch,
            idempotencyKey,
            launch,
            maxResultBytes,
            request: task.request,
            taskId
          }),
          chain: chainOf(Option.getOrUndefined(ancestry))
        }
        return yield* ask("execute", sent)
      }) as ReturnType<ToolExecutor["Type"]["execute"]>
  }
  const handlers: Handlers = {
    kind: (launch: { readonly id: number }) => Effect.flatMap(taskOf(launch), ({ kind }) => kind),
    cancelReason: (launch: { readonly id: number }) =>
      Effect.flatMap(taskOf(launch), ({ cancelReason }) => cancelReason),
    reportProgress: (said: { readonly id: number; readonly value: unknown }) =>
      Effect.flatMap(taskOf(said), ({ reportProgress }) => reportProgress(unpack(said.value) as never)),
    write: (said: { readonly id: number; readonly value: unknown }) =>
      Effect.flatMap(taskOf(said), ({ write }) => write(unpack(said.value) as never)),
    addUsage: (said: { readonly id: number; readonly value: unknown }) =>
      Effect.flatMap(taskOf(said), ({ addUsage }) => addUsage(unpack(said.value) as never)),
    read: (launch: { readonly id: number }) =>
      Effect.gen(function*() {
        const task = yield* taskOf(launch)
        const scope = yield* Scope.make()
        const reader = ++readers
        pulls.set(reader, { pull: yield* Scope.extend(Stream.toPull(task.messages), scope), scope })
        return reader
      }),
    pull: ({ reader }: { readonly reader: number }) =>
      Effect.matchEffect(Effect.flatten(Effect.fromNullable(pulls.get(reader)?.pull)), {
        onSuccess: (chunk) => Effect.succeed(Chunk.toReadonlyArray(chunk as Chunk.Chunk<string>)),
        onFailure: () => Effect.succeed(null)
      }),
    closeReader: ({ isGood, reader }: { readonly isGood: boolean; readonly reader: number }) =>
      Effect.suspend(() => {
        const open = pulls.get(reader)
        pulls.delete(reader)
        return open === undefined
          ? Effect.void
          : Scope.close(open.scope, isGood ? Exit.void : Exit.interrupt(FiberId.none))
      })
  }
  return {
    executor,
    handlers,
    /** The chains as they are now. */
    chains: (): ReadonlyArray<SentChain> => [...chains].map(([id, ancestry]) => ({ id, chain: chainOf(ancestry) }))
  }
}

/** Runs the tools of the case for a runner. */
export const toolsOfCase = (ask: Ask, executor: ToolExecutor["Type"]) => {
  const chains = new Map<number, ReadonlyArray<SentLink>>()
  const messagesOf = (id: number): Stream.Stream<string> => {
    const acquire = Effect.acquireRelease(
      Effect.orDie(ask("read", { id })),
      (reader, exit) => Effect.ignore(ask("closeReader", { reader, isGood: Exit.isSuccess(exit) }))
    )
    return Stream.fromPull(
      Effect.map(acquire, (reader) =>
        Effect.flatMap(Effect.orDie(ask("pull", { reader })), (chunk) =>
          // `pull` answers with a list, or null at the end
          chunk === null
            ? Effect.fail(Option.none())
            : Effect.succeed(Chunk.unsafeFromArray(chunk as ReadonlyArray<string>))))
    )
  }
  const taskOf = (id: number, sent: unknown): Task => {
    const asks = <A>(what: string, value?: unknown) =>
      // what the task of the runner answers
      Effect.orDieWith(ask(what, { id, value: pack(value) }), () => new Error(never)) as Effect.Effect<A>
    return {
      // as the runner has packed it
      ...unpack(sent) as Task,
      kind: asks("kind"),
      cancelReason: asks("cancelReason"),
      reportProgress: (progress) => asks("reportProgress", progress),
      write: (chunk) => asks("write", chunk),
      addUsage: (costs) => asks("addUsage", costs),
      messages: messagesOf(id)
    }
  }
  return {
    execute: ({ chain, id, request, task }: SentLaunch) => {
      chains.set(id, chain)
      const running = ancestryOf(chain, (index) => chains.get(id)?.[index])
      // the request as the runner has packed it
      const executed = executor.execute(unpack(request) as never).pipe(
        Effect.provideService(CurrentTask, taskOf(id, task)),
        // that of the launch is in the runner
        Effect.scoped
      )
      return running === undefined ? executed : Effect.provideService(executed, RunningIn, running)
    },
    hear: (all: ReadonlyArray<SentChain>): void => {
      for (const { chain, id } of all) chains.set(id, chain)
    }
  }
}

/** `npm run demo`: an agent turn that a newcomer can watch. See demo/options.ts for the command line. */
import { FileSystem, Path } from "@effect/platform"
import { Console, Effect, Layer, Option, Ref, SubscriptionRef } from "effect"
import { RoutingPolicy, SessionId, type TaskApproval, TaskManagerLive } from "effect-task-manager"
import { decide } from "./approval.js"
import { type Aftermath, checksOf, checksOfAftermath, type Evidence } from "./checks.js"
import { Journal } from "./journal.js"
import { runAgent } from "./loop.js"
import { type Options, parseOptions, usage } from "./options.js"
import { exportTo, telemetryTo } from "./otlp.js"
import { leftProcesses } from "./processTable.js"
import { proofRows, proofTable } from "./proof.js"
import { type Repository, temporaryRepository, userRepository } from "./repository.js"
import { route } from "./routing.js"
import { runDemo } from "./run.js"
import { Screen } from "./screen.js"
import { Shell, type StartedProcess } from "./shell.js"
import { plain } from "./text.js"
import { showTimeline } from "./timeline.js"
import { AllTools, ReadOnlyTools } from "./tools.js"
import { judge, showChecks } from "./verdict.js"
import { type CancelReport, type InterruptReport, lookAfterCancel, pressEsc } from "./witness.js"

const sessionId = SessionId.make("demo")

/** What was made on the machine, noted as it is made: it is looked at again when everything is over, however it ended. */
interface Traces {
  processes: ReadonlyArray<StartedProcess>
  folder: Option.Option<string>
}

/** Runs the agent on a repository and shows the picture and the proof. */
const runOn = (repository: Repository, options: Options) =>
  Effect.gen(function*() {
    const screen = yield* Screen
    const journal = yield* Journal
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const interrupts = yield* Ref.make<ReadonlyArray<InterruptReport>>([])
    const cancels = yield* Ref.make<ReadonlyArray<CancelReport>>([])
    const approvals = yield* Ref.make<ReadonlyArray<boolean>>([])

    const transcript = yield* runAgent(sessionId, {
      decide: (asked: TaskApproval) =>
        Effect.tap(decide(asked, options.answer), ({ isApproved }) =>
          Ref.update(approvals, (all) => [...all, isApproved])),
      duringTurn: (turn, calls) =>
        pressEsc(turn, calls, interrupts),
      afterCancel: (callId) => lookAfterCancel(callId, cancels)
    })

    const events = yield* journal.events
    const isStillThere = yield* Effect.orDie(fs.exists(path.join(repository.root, "build")))
    const evidence: Evidence = {
      events,
      transcript,
      interrupts: yield* Ref.get(interrupts),
      cancels: yield* Ref.get(cancels),
      isWritable: Option.isSome(repository.temporary),
      approvals: (yield* Ref.get(approvals)).map((isApproved) => ({ isApproved, isStillThere }))
    }

    yield* showTimeline(evidence.interrupts.map(({ at }) => ({ at, name: "Esc" })))
    yield* journal.heading("the proof")
    yield* Effect.forEach(proofTable(proofRows(transcript, events), screen), screen.line, { discard: true })
    return evidence
  })

/** Makes everything the run needs, runs it, and has taken everything away again when it returns. */
const session = (options: Options, traces: Traces) =>
  Effect.gen(function*() {
    const screen = yield* Screen
    const repository = yield* Option.match(options.repo, {
      onNone: () => temporaryRepository,
      onSome: userRepository
    })
    traces.folder = repository.temporary
    const isWritable = Option.isSome(repository.temporary)
    yield* screen.line(
      isWritable
        ? `The repository: ${plain(repository.root)} (temporary, removed at the end)`
        : `The repository: ${plain(repository.root)} (yours: only what reads it is run)`
    )
    const Manager = TaskManagerLive.pipe(Layer.provide(RoutingPolicy.layer(route)))
    const Tools = isWritable ? AllTools : ReadOnlyTools
    const Agent = Layer.mergeAll(Tools, Journal.layer).pipe(
      Layer.provideMerge(Layer.merge(Manager, Shell.layer(repository))),
      Layer.provideMerge(telemetryTo(options.otlp))
    )
    const noteProcesses = Effect.flatMap(Shell, ({ processes }) =>
      Effect.map(SubscriptionRef.get(processes), (all) => {
        traces.processes = all
      }))
    return yield* runOn(repository, options).pipe(Effect.ensuring(noteProcesses), Effect.provide(Agent))
  }).pipe(Effect.scoped)

const inspect = (traces: Traces) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const aftermath: Aftermath = {
      started: traces.processes.length,
      left: yield* leftProcesses(traces.processes.map((process) => process.group)),
      isFolderLeft: yield* Effect.transposeMapOption(traces.folder, (folder) => Effect.orDie(fs.exists(folder)))
    }
    return aftermath
  })

const demo = (options: Options) =>
  Effect.gen(function*() {
    const screen = yield* Screen
    yield* screen.line(
      screen.paint("bold", "effect-task-manager: an agent works on a git repository with real shell commands.")
    )
    yield* screen.line(
      "No model is called: a small script that reads the tool results (demo/planner.ts) stands in for it."
    )
    const traces: Traces = { processes: [], folder: Option.none() }
    const evidence = yield* session(options, traces).pipe(
      Effect.onInterrupt(() =>
        Effect.gen(function*() {
          yield* screen.line("\nInterrupted.")
          yield* showChecks(checksOfAftermath(yield* inspect(traces)))
        })
      )
    )
    yield* judge(checksOf(evidence, yield* inspect(traces)))
  })

runDemo(
  Effect.flatMap(
    parseOptions(process.argv.slice(2)),
    (options) => options.help ? Console.log(usage) : Effect.provide(demo(options), exportTo(options.otlp))
  ),
  usage
)

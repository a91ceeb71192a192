import { FetchHttpClient } from "@effect/platform"
import { it } from "@effect/vitest"
import { Cause, Chunk, Effect, Exit, Layer, Option, Redacted, Stream } from "effect"
import * as L from "effect-task-manager"
import {
  ApprovalId,
  ApprovalRequired,
  CurrentTask,
  SessionId,
  TaskId,
  TaskLaunchRequest,
  TaskManager,
  TaskManagerConfig,
  TaskManagerLive,
  ToolCallId,
  ToolError,
  ToolExecutor,
  TurnId
} from "effect-task-manager"
import { TaskManagerDurable } from "effect-task-manager/durable"
import { TaskManagerClient } from "effect-task-manager/http"
import * as util from "node:util"
import { oneProcess } from "../cluster/support.js"
import { serve } from "../http/support.js"
import { sqliteLayer } from "../support/sqlite.js"
const show = (x: unknown) => util.inspect(x, { depth: 7, breakLength: 200 }).slice(0, 700)
const turn = { sessionId: SessionId.make("s"), turnId: TurnId.make("t") }
let c = 0
const req = (toolName: string, input: unknown = null, more: any = {}) => ({
  ...turn,
  callId: ToolCallId.make(`c${c++}`),
  toolName,
  input,
  metadata: {},
  ...more
})
const H = "a\ud83c"
const ask = () =>
  new ApprovalRequired({
    approval: { id: ApprovalId.make("a"), requestKind: "k", reason: "r", summary: "s", metadata: { amount: 10 } }
  })
const Tools = ToolExecutor.fromHandlers({
  echo: (r: any) => Effect.succeed(r.input),
  hang: () => Effect.never,
  half: () => Effect.succeed({ [H]: H }),
  text: () => Effect.succeed(H),
  date: () => Effect.succeed({ at: new Date(0), u: undefined }),
  nothing: () => Effect.void,
  big: () => Effect.succeed({ a: 1n }),
  die: () => Effect.die(new Error("boom\n\u001b[31m")),
  err: () =>
    Effect.fail(new ToolError({ reason: "Unavailable", toolName: "err", message: H, cause: new Error("SECRET") })),
  twice: () => Effect.flatMap(CurrentTask, (t) => t.launch < 3 ? ask() : Effect.succeed("paid " + t.launch)),
  write: () =>
    Effect.gen(function*() {
      const t = yield* CurrentTask
      for (let i = 0; i < 5; i++) {
        yield* t.write("é" + i)
        yield* Effect.sleep(10)
      }
      return "w"
    }),
  reason: () =>
    Effect.gen(function*() {
      const t = yield* CurrentTask
      return yield* Effect.onInterrupt(Effect.never, () =>
        Effect.flatMap(t.cancelReason, (r) => Effect.sync(() => seen.push(r))))
    }),
  sub: (r: any) =>
    Effect.gen(function*() {
      const m = yield* TaskManager
      const inner = { ...turn, turnId: TurnId.make("inner") }
      yield* m.startTask(TaskLaunchRequest.plain({ request: { ...req("echo", 1), turnId: inner.turnId } }))
      let n = 0
      while (Option.isSome(yield* m.waitForTurn(inner))) n++
      return "sub " + n
    }) as any
})
const seen: any[] = []
const layers: Record<string, () => Layer.Layer<any, any, any>> = {
  live: () => TaskManagerLive,
  durable: () => TaskManagerDurable.layer({}).pipe(Layer.provide(sqliteLayer())),
  cluster: () => oneProcess({ groups: 1 }).pipe(Layer.provide(Layer.empty)) as any
}
const bads: any[] = ["-5 seconds", -1, NaN, -Infinity, [-1, 0], [NaN, NaN], -1n, "x", {}, null, "-0.5 millis"]
for (const [name, layer] of Object.entries(layers)) {
  it.live(`${name}`, () =>
    Effect.gen(function*() {
      const m = yield* TaskManager
      const start = (r: any, more: any = {}) => m.startTask(TaskLaunchRequest.plain({ request: r, ...more }))
      const one = (r: any) =>
        Effect.gen(function*() {
          yield* start(r)
          const u: any = Option.getOrThrow(yield* m.waitForTurn(turn, { timeout: "8 seconds" }))
          return u.resolution
        })
      const out: any = {}
      for (const n of ["half", "text", "date", "nothing", "big", "die", "err", "nope", "sub"]) {
        const r: any = yield* one(req(n, null, { metadata: { via: "x", [H]: H } }))
        out[n] = [r.result?.output, r.result?.isError, r.result?.metadata]
      }
      console.log(name, show(out))
      // durations
      const miss: any[] = []
      for (const bad of bads) {
        for (
          const [w, f] of Object.entries({
            turn: () => m.waitForTurn(turn, { timeout: bad }),
            consume: () => m.consumeTurnUpdate(turn, () => Effect.void, { timeout: bad }),
            task: () => m.waitForTask([TaskId.make("task-1")], { timeout: bad }),
            task0: () => m.waitForTask([], { timeout: bad }),
            loop: () => m.waitForLoopUpdate(turn.sessionId, { timeout: bad }),
            idle: () => m.handle.waitForIdleWithin(bad)
          })
        ) {
          let e: any
          try {
            e = yield* Effect.exit((f as any)() as Effect.Effect<any, any>).pipe(
              Effect.timeout("2 seconds"),
              Effect.merge
            )
          } catch (x) {
            e = ["THROWN SYNC", x]
          }
          if (
            !(Exit.isExit(e) && Exit.isFailure(e) && Cause.isDie(e.cause) &&
              String(Cause.squash(e.cause)).includes(w === "idle" ? "imeout" : "timeout"))
          ) miss.push([w, bad, show(e).slice(0, 200)])
        }
      }
      for (const after of [-1, 1.5, NaN, Infinity, "1"]) {
        for (
          const [w, f] of Object.entries({
            sub: () => m.handle.subscribeTo({ after } as any),
            watch: () => m.handle.watchOf({ after } as any),
            ev: () => Stream.runDrain(m.handle.eventsOf({ after } as any))
          })
        ) {
          let e: any
          try {
            e = yield* Effect.exit((f as any)() as any).pipe(Effect.timeout("2 seconds"), Effect.merge)
          } catch (x) {
            e = ["THROWN SYNC", x]
          }
          if (
            !(Exit.isExit(e) && Exit.isFailure(e) && Cause.isDie((e as any).cause) &&
              String(Cause.squash((e as any).cause)).includes("after"))
          ) miss.push([w, after, show(e).slice(0, 200)])
        }
      }
      for (
        const [w, f] of Object.entries({
          out: () => m.handle.output(TaskId.make("task-1"), { start: -1 }),
          out2: () => m.handle.output(TaskId.make("task-1"), { maxBytes: NaN }),
          hist: () => m.handle.history({ limit: 0 }),
          hist2: () => m.handle.history({ before: -1 }),
          prio: () => m.handle.setPriority(TaskId.make("task-1"), NaN),
          conc: () => m.handle.setConcurrency("x", 0),
          steer: () => m.handle.steer(TaskId.make("task-1"), 5 as any),
          st: () => m.startTask({} as any),
          st2: () => m.startTask(TaskLaunchRequest.plain({ request: {} } as any)),
          st3: () => start(req("echo", { a: [1n] })),
          use: () => m.addUsage(turn, { a: -1 })
        })
      ) {
        let e: any
        try {
          e = yield* Effect.exit((f as any)() as any).pipe(Effect.timeout("2 seconds"), Effect.merge)
        } catch (x) {
          e = ["THROWN SYNC", x]
        }
        console.log(
          name,
          w.padEnd(6),
          Exit.isExit(e) && Exit.isFailure(e)
            ? (Cause.isDie((e as any).cause) ? "die " : "fail ") + String(Cause.squash((e as any).cause)).slice(0, 200)
            : show(e)
        )
      }
      console.log(name, "MISS", show(miss))
      // asking
      const a: any = (yield* one(req("twice"))).approval
      yield* m.answerApproval(a, "approve")
      yield* Effect.sleep(300)
      for (const ans of ["approve", { reject: "x" }] as const) {
        const e: any = yield* Effect.flip(m.answerApproval(a, ans))
        console.log(name, "stale", e._tag, e.field)
      }
      const [b] = yield* m.handle.listSuspended
      const { asking: _, ...noTok } = b!.approval as any
      const e2: any = yield* Effect.flip(
        m.startTask(TaskLaunchRequest.approved({ taskId: b!.taskId, request: b!.toolRequest, approval: noTok }))
      )
      console.log(name, "no token", e2._tag, e2.field)
      const e5: any = yield* Effect.flip(m.rejectApproval({ taskId: b!.taskId, asking: a.approval.asking }))
      console.log(name, "reject stale", e5._tag, e5.field)
      yield* m.answerApproval(b!, "approve")
      yield* Effect.sleep(300)
      const e3: any = yield* Effect.flip(m.answerApproval(b!, "approve"))
      console.log(name, "2nd click", e3._tag, e3.field)
      const e4: any = yield* Effect.flip(m.answerApproval({ ...b!, taskId: TaskId.make("zz") }, "approve"))
      console.log(name, "unknown", e4._tag, e4.field)
      // OutputGrew + events + reasons
      const q = yield* m.handle.subscribe
      yield* start(req("write"))
      yield* start(req("reason"))
      yield* start(req("hang"))
      yield* Effect.sleep(400)
      yield* m.onTurnInterrupted(turn)
      yield* m.closeSession(turn.sessionId)
      yield* Effect.sleep(300)
      const evs = [...(yield* q.takeAll)] as any[]
      console.log(
        name,
        show(
          evs.map((e) =>
            [e._tag, e.seq, e.sessionId, e.turnId, e.taskId, e.end].filter((x) => x !== undefined).join(" ")
          )
        ),
        seen.splice(0)
      )
      const rep = yield* m.handle.eventsOf({ sessionId: turn.sessionId, after: 0 }).pipe(
        Stream.take(1),
        Stream.runCollect,
        Effect.timeoutOption("1 second")
      )
      console.log(name, "after close", show(rep))
    }).pipe(Effect.scoped, Effect.provide(layer().pipe(Layer.provideMerge(Tools)) as any)) as any, 120000)
}
it.live("http", () =>
  Effect.gen(function*() {
    const m = yield* TaskManager
    const world = yield* serve({ maxStreamsPerToken: 32 })
    const h: any = yield* Effect.provide(
      TaskManagerClient,
      TaskManagerClient.layer({ url: world.url, token: Redacted.make(world.token), patience: "3 seconds" }).pipe(
        Layer.provide(FetchHttpClient.layer)
      )
    )
    const start = (r: any, more: any = {}) => m.startTask(TaskLaunchRequest.plain({ request: r, ...more }))
    for (const n of ["half", "text", "date", "nothing", "big", "err", "twice", "hang", "write"]) {
      yield* start(req(n, null, { metadata: { via: "x" } }))
    }
    yield* Effect.sleep(300)
    for (let i = 1; i <= 9; i++) {
      const r: any = yield* h.result(TaskId.make(`task-${i}`))
      console.log("http", i, show(Option.getOrUndefined(r)?.output))
    }
    const ex = (f: () => any) =>
      Effect.gen(function*() {
        let e: any
        try {
          e = yield* Effect.exit(f()).pipe(Effect.timeout("3 seconds"), Effect.merge)
        } catch (x) {
          return "THROWN SYNC " + x
        }
        return Exit.isExit(e) && Exit.isFailure(e)
          ? (Cause.isDie((e as any).cause) ? "die " : "fail ") + String(Cause.squash((e as any).cause)).slice(0, 200)
          : show(e)
      })
    for (const bad of bads) console.log("http idle", bad, yield* ex(() => h.waitForIdleWithin(bad)))
    for (const after of [-1, 1.5, NaN, Infinity, "1"]) {
      for (
        const [w, f] of Object.entries({
          sub: () => Effect.scoped(h.subscribeTo({ after })),
          watch: () => Effect.scoped(h.watchOf({ after })),
          ev: () => Stream.runDrain(h.eventsOf({ after }))
        })
      ) console.log("http", w, after, yield* ex(f as any))
    }
    for (
      const [w, f] of Object.entries({
        out: () => h.output("task-1", { start: -1 }),
        out2: () => h.output("task-1", { maxBytes: NaN }),
        hist: () => h.history({ limit: 0 }),
        hist2: () => h.history({ before: -1 }),
        prio: () => h.setPriority("task-8", NaN),
        conc: () => h.setConcurrency("x", 0),
        steer: () => h.steer("task-8", 5),
        steer2: () => h.steer("task-8", "x"),
        get: () => h.get(""),
        get5: () => h.get(5),
        list: () => h.list({ status: "Run" }),
        usage: () => h.usage({}),
        turnUpdates: () => Stream.runDrain(h.turnUpdates(turn))
      })
    ) console.log("http", w, yield* ex(f as any))
    const [a] = yield* h.listSuspended
    console.log("http approve", yield* ex(() => h.answerApproval(a, "approve")))
    yield* Effect.sleep(50)
    console.log(
      "http stale",
      yield* ex(() => h.answerApproval(a, "approve")),
      yield* ex(() => h.answerApproval(a, { reject: "x" }))
    )
    const { asking: _, ...noTok } = a.approval
    console.log(
      "http notok",
      yield* ex(() => h.answerApproval({ ...a, approval: noTok }, "approve")),
      yield* ex(() => h.answerApproval({ ...a, approval: { ...a.approval, asking: "" } }, "approve"))
    )
    const evs: any = yield* h.eventsOf({ sessionId: "s", after: 0 }).pipe(Stream.take(12), Stream.runCollect)
    console.log(
      "http",
      show([...evs].map((e: any) => [e._tag, e.seq, e.sessionId, e.turnId, e.taskId, e.end].join(" ")))
    )
    const fut: any = yield* h.eventsOf({ sessionId: "s", after: 99999 }).pipe(Stream.take(1), Stream.runCollect)
    console.log("http future", show([...fut]))
    for (const p of ["-5 seconds", -1, NaN, [-1, 0]]) {
      console.log(
        "http patience",
        yield* ex(() =>
          Effect.scoped(
            Layer.build(
              TaskManagerClient.layer({ url: world.url, token: Redacted.make("x"), patience: p as any }).pipe(
                Layer.provide(FetchHttpClient.layer)
              )
            )
          )
        )
      )
    }
  }).pipe(Effect.scoped, Effect.provide(Layer.merge(TaskManagerLive, Tools))) as any, 120000)

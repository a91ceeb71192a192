import { Effect, Stream, Option, Chunk, Fiber, TestClock, Exit, Layer } from "effect"
import { TaskManagerTestControl, TaskManager, ScriptedOutcome } from "effect-task-manager"
import { UiMessageStream } from "effect-task-manager/ui-stream"
import { asks, complete, hang, open, settle, Text, ToolCall, withWorld, promptLines } from "../test/ai/loop/support.js"
import { readPageRequest } from "../src/ui-stream/internal/requests.js"
import { fileData } from "../src/ai/transcript/internal/files.js"
const toChunks = (s: any) => Effect.map(Stream.runCollect(s), Chunk.toReadonlyArray) as any
const show = (x: any) => JSON.stringify(x)
const idIn = (cs: any) => cs.find((c: any) => c.type === "tool-approval-request" || c.type === "data-approval")?.approvalId
const run = (name: string, e: any) => Effect.runPromiseExit(Effect.timeout(Effect.provide(e, (TestCtx as any)), "1 hour")).then((x) => console.log("==", name, Exit.isSuccess(x) ? "done" : String(x)))
import { TestContext } from "effect"
const TestCtx = TestContext.TestContext
const withTimeout = (fiber: any) => Effect.gen(function*() { yield* settle; return yield* Fiber.poll(fiber) })

// 1 SSRF
{
  const r: any = readPageRequest(JSON.stringify({ id: "c", messages: [{ role: "user", parts: [{ type: "file", mediaType: "image/png", url: "data:image/png;base64,http://169.254.169.254/latest/meta-data" }] }] }))
  console.log("== ssrf", show(r), fileData(r.request.input[0].data))
}
const tests: Record<string, any> = {
  "bg approval while idle": withWorld({ model: [[ToolCall("later", {})], [Text("It runs.")], [Text("next")]] }, Effect.gen(function*() {
    const control = yield* TaskManagerTestControl
    yield* control.script("later", ScriptedOutcome.Hang)
    const session = yield* open()
    const chat = yield* UiMessageStream.make(session)
    const a = yield* toChunks(yield* chat.send("go"))
    console.log(show(a.map((c: any) => c.type)))
  })),
  "asks bg": withWorld({ model: [[ToolCall("later", {})], [Text("It runs.")], [Text("next")]] }, Effect.gen(function*() {
    const control = yield* TaskManagerTestControl
    yield* control.script("later", asks("delete?"))
    const session = yield* open()
    const chat = yield* UiMessageStream.make(session)
    const a = yield* toChunks(yield* chat.send("go"))
    console.log(show(a))
  })),
  "paused: user sends": withWorld({ model: [[ToolCall("first", {})], [Text("next")]] }, Effect.gen(function*() {
    const control = yield* TaskManagerTestControl
    yield* control.script("first", asks("delete?"))
    const session = yield* open()
    const chat = yield* UiMessageStream.make(session)
    const a = yield* toChunks(yield* chat.send("go"))
    const f = yield* Effect.fork(Effect.flatMap(chat.send("something else"), toChunks))
    yield* settle; yield* TestClock.adjust("1 minute"); yield* settle
    console.log("second send:", show(yield* Fiber.poll(f)))
    const r = yield* chat.resume
    console.log("resume", r._tag)
    console.log(show((yield* session.approvals).length))
  })),
  "bg result during pause": withWorld({ model: [[ToolCall("later", {}), ToolCall("first", {})], [Text("done")], [Text("late")]] }, Effect.gen(function*() {
    const control = yield* TaskManagerTestControl
    yield* control.script("first", asks("delete?", ScriptedOutcome.Succeed("deleted")))
    yield* hang("later")
    const session = yield* open()
    const chat = yield* UiMessageStream.make(session)
    const a = yield* toChunks(yield* chat.send("go"))
    console.log("first", show(a.map((c: any) => c.type)))
    yield* complete("task-1", "found")
    const b = yield* toChunks(yield* chat.answer([{ approvalId: idIn(a), approved: true }]))
    console.log("answer", show(b.map((c: any) => c.type)))
    for (let i = 0; i < 4; i++) {
      const r = yield* chat.resume
      if (r._tag === "None") { console.log("resume none"); break }
      const f = yield* Effect.fork(toChunks(r.value)); yield* settle
      console.log("resume", show(yield* Fiber.poll(f)))
    }
  })),
  "stop while paused": withWorld({ model: [[ToolCall("first", {})], [ToolCall("later", {})], [Text("runs")], [Text("It is back")]] }, Effect.gen(function*() {
    const control = yield* TaskManagerTestControl
    yield* control.script("first", asks("delete?", ScriptedOutcome.Succeed("deleted")))
    yield* hang("later")
    const session = yield* open()
    const chat = yield* UiMessageStream.make(session)
    const a = yield* toChunks(yield* chat.send("go"))
    yield* chat.stop
    yield* settle
    const b = yield* toChunks(yield* chat.send("other"))
    console.log("answer", show(b.map((c: any) => c.messageId ?? c.type)))
    const r: any = yield* chat.resume
    const f = yield* Effect.fork(toChunks(r.value)); yield* settle
    console.log("resume after m2:", show(yield* Fiber.poll(f)))
  })),
  "result taken by host": withWorld({ model: [[ToolCall("later", {})], [Text("runs")], [Text("It is back")]] }, Effect.gen(function*() {
    yield* hang("later")
    const session = yield* open({ wakePolicy: undefined } as any)
    const chat = yield* UiMessageStream.make(session)
    yield* toChunks(yield* chat.send("go"))
    const m: any = yield* TaskManager
    console.log(Object.keys(m), Object.keys(m.handle))
  })),
  "eventBuffer 1": withWorld({ model: [[Text("hi")], [Text("ho")]] }, Effect.gen(function*() {
    const session = yield* open({ eventBuffer: 1 } as any)
    const chat = yield* UiMessageStream.make(session)
    const f = yield* Effect.fork(Effect.flatMap(chat.send("go"), toChunks))
    yield* settle; yield* TestClock.adjust("1 minute"); yield* settle
    console.log("send with buffer 1:", show(yield* Fiber.poll(f)), (yield* session.transcript).entries.length)
  })),
  "asks again": withWorld({ model: [[ToolCall("first", {})], [Text("done")]] }, Effect.gen(function*() {
    const control = yield* TaskManagerTestControl
    yield* control.script("first", asks("delete?", asks("really?", ScriptedOutcome.Succeed("deleted"))))
    const session = yield* open()
    const chat = yield* UiMessageStream.make(session)
    const a = yield* toChunks(yield* chat.send("go"))
    const b = yield* toChunks(yield* chat.answer([{ approvalId: idIn(a), approved: true }]))
    console.log("answer", show(b))
  })),
  "same call id twice in a message": withWorld({ model: [[ToolCall("first", {}, { id: "x" } as any)], [ToolCall("first", {}, { id: "x" } as any)], [Text("done")]] }, Effect.gen(function*() {
    const control = yield* TaskManagerTestControl
    yield* control.script("first", ScriptedOutcome.Succeed("one"))
    const session = yield* open()
    const chat = yield* UiMessageStream.make(session)
    const a = yield* toChunks(yield* chat.send("go"))
    console.log(show(a.filter((c: any) => c.toolCallId)))
  })),
}
for (const [n, t] of Object.entries(tests)) if (!process.argv[2] || n.includes(process.argv[2])) await run(n, t)

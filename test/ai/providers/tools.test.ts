/** Every tool that we ship, and every tool of a program that Effect can describe, is taken by the providers. */
import { LanguageModel, Tool, Toolkit } from "@effect/ai"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { CurrentTask, SessionId, ToolCallId, TurnId } from "effect-task-manager"
import { ModelToolkit, ShellTool, TaskToolkit, ToolAnnotations, ToolkitExecutor } from "effect-task-manager/ai"
import { notStrict, providers } from "../../support/providers/models.js"
import { text } from "../../support/providers/script.js"
import { anthropicSchemaProblem, openAiSchemaProblem } from "../../support/providers/toolSchemas.js"

const shipped = Toolkit.merge(TaskToolkit.toolkit, ShellTool.toolkit)

interface Folder extends Schema.Schema.Type<typeof FolderFields> {
  readonly folders: ReadonlyArray<Folder>
}
const FolderFields = Schema.Struct({ name: Schema.NonEmptyString })
const Folder: Schema.Schema<Folder> = Schema.Struct({
  ...FolderFields.fields,
  folders: Schema.Array(Schema.suspend(() => Folder))
}).annotations({ identifier: "Folder" })

class Place extends Schema.Class<Place>("Place")({ line: Schema.NonNegativeInt, column: Schema.Int }) {}

/** Schemas with names of their own, one that contains itself, and no parameters at all. */
const named = Toolkit.make(
  Tool.make("go", { parameters: { place: Place, times: Schema.Int.pipe(Schema.between(1, 9)) } }),
  Tool.make("copy", { parameters: { folder: Folder } }),
  Tool.make("stop", { parameters: {} }),
  Tool.make("start", { parameters: {} }).annotate(ToolAnnotations.ModelChoosesBackground, true),
  Tool.make("wait")
)

class Filter extends Schema.Class<Filter>("Filter")({
  name: Schema.String,
  limit: Schema.optional(Schema.Int.pipe(Schema.between(1, 100)))
}) {}

/** Parameters that may be left out, at every depth. */
const optional = Toolkit.make(
  Tool.make("find", {
    parameters: {
      text: Schema.optional(Schema.String.annotations({ description: "What to look for" })),
      kind: Schema.optional(Schema.Literal("file", "folder")),
      since: Schema.optional(Schema.Date),
      depth: Schema.optional(Schema.Int),
      nothing: Schema.optional(Schema.NullOr(Schema.String)),
      filter: Schema.optional(Filter),
      others: Schema.Array(Schema.Struct({ path: Schema.optional(Schema.String), id: Schema.optional(Schema.UUID) })),
      from: Schema.Union(Schema.Struct({ start: Schema.optional(Schema.Int) }), Schema.String)
    }
  })
)

const toolkits = {
  "tools whose parameters may be left out": optional,
  "the tools that we ship": shipped,
  "tools with named schemas": named
}

describe("tools", () => {
  for (const [what, toolkit] of Object.entries(toolkits)) {
    for (const { model, name, server } of [...providers, notStrict]) {
      it.scoped(`${name} takes ${what}`, () =>
        Effect.gen(function*() {
          const opened = yield* server
          opened.reply(text("Hello"))
          const answer = yield* LanguageModel.generateText({
            prompt: "Hello",
            toolkit: ModelToolkit.fromToolkit(toolkit),
            disableToolCallResolution: true
          }).pipe(Effect.provide(model(opened)))
          assert.strictEqual(answer.text, "Hello")
          assert.deepStrictEqual(opened.refusals(), [])
        }))
    }
  }

  it.effect("are sent null for what is left out, and their handlers are not", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const executor = yield* ToolkitExecutor.make(optional).pipe(
        Effect.provide(optional.toLayer({ find: (parameters) => Effect.sync(() => void seen.push(parameters)) }))
      )
      const call = (input: unknown) =>
        executor.execute({
          sessionId: SessionId.make("s"),
          turnId: TurnId.make("t"),
          callId: ToolCallId.make("c"),
          toolName: "find",
          input,
          metadata: {}
        }).pipe(Effect.provideService(CurrentTask, CurrentTask.of({} as never)), Effect.scoped)
      const least = { others: [{}], from: {} }
      const none = { text: null, kind: null, since: null, depth: null, filter: null }
      yield* call({ ...none, nothing: null, others: [{ path: null, id: null }], from: { start: null } })
      assert.deepStrictEqual(seen.pop(), { ...least, nothing: null })
      yield* call({ ...none, filter: { name: "x", limit: null }, others: [], from: "here" })
      assert.deepInclude(seen.pop(), { filter: new Filter({ name: "x" }), others: [], from: "here" })
      // what may not be left out may not be null
      const refused = yield* Effect.flip(call({ others: null, from: {} }))
      assert.include(String(refused), "others")
    }))

  it("that we ship are taken as they are, too, whoever shows them to the model", () => {
    for (const tool of Object.values<Tool.Any>(shipped.tools)) {
      const schema = Tool.getJsonSchemaFromSchemaAst(tool.parametersSchema.ast)
      for (const isStrict of [true, false]) assert.isUndefined(openAiSchemaProblem(schema, isStrict), tool.name)
      assert.isUndefined(anthropicSchemaProblem(schema), tool.name)
    }
  })
})

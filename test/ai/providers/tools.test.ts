/** Every tool that we ship, and every tool of a program that Effect can describe, is taken by the providers. */
import { LanguageModel, Tool, Toolkit } from "@effect/ai"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { ModelToolkit, ShellTool, TaskToolkit, ToolAnnotations } from "effect-task-manager/ai"
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

const toolkits = { "the tools that we ship": shipped, "tools with named schemas": named }

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

  it("that we ship are taken as they are, too, whoever shows them to the model", () => {
    for (const tool of Object.values<Tool.Any>(shipped.tools)) {
      const schema = Tool.getJsonSchemaFromSchemaAst(tool.parametersSchema.ast)
      for (const isStrict of [true, false]) assert.isUndefined(openAiSchemaProblem(schema, isStrict), tool.name)
      assert.isUndefined(anthropicSchemaProblem(schema), tool.name)
    }
  })
})

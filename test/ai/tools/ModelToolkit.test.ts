/** The toolkit that a language model is shown. */
import { LanguageModel, type Response, Tool, Toolkit } from "@effect/ai"
import { it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Schema, Stream } from "effect"
import { ModelToolkit, ToolAnnotations, ToolkitExecutor } from "effect-task-manager/ai"
import { assert, describe } from "vitest"
import { bad, good, managerOf, run, text } from "./support.js"

interface Tree {
  readonly children: ReadonlyArray<Tree>
}
const Tree: Schema.Schema<Tree> = Schema.Struct({ children: Schema.Array(Schema.suspend(() => Tree)) })
  .annotations({ identifier: "Tree" })

class Lookup extends Schema.TaggedRequest<Lookup>()("Lookup", {
  success: Schema.Number,
  failure: Schema.Never,
  payload: { key: Schema.NumberFromString }
}) {}

class Marker extends Context.Tag("test/Marker")<Marker, string>() {}

const Search = Tool.providerDefined({
  id: "test.search",
  toolkitName: "Search",
  providerName: "search",
  args: { limit: Schema.Number },
  success: Schema.String
})
const Shell = Tool.providerDefined({
  id: "test.shell",
  toolkitName: "Shell",
  providerName: "shell",
  args: {},
  requiresHandler: true,
  parameters: { command: Schema.NonEmptyString },
  success: Schema.String
})

const toolkit = Toolkit.make(
  Tool.make("empty"),
  Tool.make("add", {
    description: "Adds",
    parameters: { a: Schema.NumberFromString, at: Schema.Date, note: Schema.optional(Schema.String) },
    success: Schema.String,
    dependencies: [Marker]
  }).annotate(Tool.Title, "Adder"),
  Tool.make("tree", { parameters: { root: Tree } }),
  Tool.fromTaggedRequest(Lookup),
  Search({ limit: 3 }),
  Shell({})
)
const mirrors = ModelToolkit.fromToolkit(toolkit).tools

const chooses = (tool: Tool.Any & { readonly annotate: typeof toolkit.tools.empty.annotate }) =>
  tool.annotate(ToolAnnotations.ModelChoosesBackground, true)

const schemaOf = (tool: Tool.Any | undefined): unknown =>
  tool === undefined ? assert.fail("no such tool") : Tool.getJsonSchemaFromSchemaAst(tool.parametersSchema.ast)

/** What a model is told of a schema: a parameter that may be left out may be null. */
const told = (tool: Tool.Any): { properties: object; required: ReadonlyArray<string> } => {
  const schema = schemaOf(tool) as { properties: Record<string, object>; required: ReadonlyArray<string> }
  const nullable = Object.entries(schema.properties).map(([key, one]) => [
    key,
    schema.required.includes(key) ? one : { anyOf: [one, { type: "null" }] }
  ])
  return { ...schema, properties: Object.fromEntries(nullable), required: Object.keys(schema.properties) }
}

describe("the mirrors", () => {
  it("have the names, descriptions, annotations and JSON Schemas of the tools", () => {
    assert.sameMembers(Object.keys(mirrors), Object.keys(toolkit.tools))
    for (const name of ["empty", "add", "tree", "Lookup"] as const) {
      const original = toolkit.tools[name]
      const mirror = mirrors[name]
      assert.strictEqual(mirror?.name, original.name)
      assert.isTrue(Tool.isUserDefined(mirror))
      assert.deepStrictEqual(schemaOf(mirror), told(original))
      // as the providers ask for them
      assert.deepStrictEqual<unknown>(mirror === undefined ? undefined : Tool.getJsonSchema(mirror), told(original))
      assert.deepStrictEqual(mirror?.annotations, original.annotations)
    }
    assert.strictEqual(mirrors["add"]?.description, "Adds")
    assert.deepNestedInclude(schemaOf(mirrors["tree"]), { "$defs.Tree.type": "object" })
  })

  it("say what a description in the schema of the parameters says", () => {
    class Described extends Schema.TaggedRequest<Described>()("Described", {
      success: Schema.Void,
      failure: Schema.Never,
      payload: {}
    }, { description: "From the schema" }) {}
    const described = Tool.make("plain").setParameters(
      Schema.Struct({ a: Schema.String }).annotations({ description: "From the parameters" })
    )
    const { tools } = ModelToolkit.fromToolkit(Toolkit.make(Tool.fromTaggedRequest(Described), described))
    assert.deepStrictEqual(
      [tools["Described"]?.description, tools["plain"]?.description],
      ["From the schema", "From the parameters"]
    )
  })

  it("have one parameter more where the model may choose, and nothing else differs", () => {
    const background = {
      anyOf: [{ type: "boolean" }, { type: "number", minimum: 0 }, { type: "null" }]
    }
    for (const tool of [toolkit.tools.empty, toolkit.tools.add, toolkit.tools.tree]) {
      const original = told(tool)
      const annotated = chooses(tool as typeof toolkit.tools.empty)
      const chosen = ModelToolkit.fromToolkit(Toolkit.make(annotated)).tools[tool.name]
      const schema = schemaOf(chosen) as { properties: Record<string, object>; required: ReadonlyArray<string> }
      assert.deepInclude(schema.properties["background"], background)
      const { background: _added, ...properties } = schema.properties
      assert.deepStrictEqual({ ...schema, properties, required: original.required }, original)
      assert.deepStrictEqual(schema.required, [...original.required, "background"])
    }
    // what was there before is not changed
    assert.notNestedProperty(schemaOf(toolkit.tools.empty), "properties.background")
  })

  it("have names that providers take: others fail with the tool's name", () => {
    for (const name of ["fs.read", "a b", "x".repeat(65), "zażółć"]) {
      assert.throws(() => ModelToolkit.fromToolkit(Toolkit.make(Tool.make(name))), name)
    }
    const spaced = Tool.make("paint", { parameters: { "the color": Schema.String } })
    assert.throws(() => ModelToolkit.fromToolkit(Toolkit.make(spaced)), /"the color" of the tool "paint"/)
    const either = Tool.make("either").setParameters(
      // refused by the types as well
      Schema.Union(Schema.Struct({ a: Schema.String }), Schema.Struct({ b: Schema.String })) as never
    )
    assert.throws(() => ModelToolkit.fromToolkit(Toolkit.make(either)), /parameters of the tool "either" are no object/)
  })

  it("cannot have it twice", () => {
    const paint = chooses(Tool.make("paint", { parameters: { background: Schema.String } }) as never)
    assert.throws(() => ModelToolkit.fromToolkit(Toolkit.make(paint)), /"paint" has a parameter "background"/)
  })

  it("of tools that the provider runs are those tools, as they are", () => {
    const mirror: Tool.Any | undefined = mirrors["Search"]
    assert.isTrue(Tool.isProviderDefined(mirror))
    assert.deepInclude(mirror, { ...toolkit.tools.Search })
    assert.strictEqual(mirror?.parametersSchema, toolkit.tools.Search.parametersSchema)
  })

  it("of a provider's tools with a handler are still the provider's, with any parameters", () => {
    const mirror: Tool.Any | undefined = mirrors["Shell"]
    assert.isTrue(Tool.isProviderDefined(mirror))
    const { parametersSchema: _mine, ...rest } = { ...mirror }
    const { parametersSchema: _original, ...original } = { ...toolkit.tools.Shell }
    assert.deepStrictEqual(rest as object, original as object)
  })
})

/** A model that answers with these parts, whole and streamed. */
const answering = (parts: ReadonlyArray<Response.PartEncoded & Response.StreamPartEncoded>) =>
  Layer.effect(
    LanguageModel.LanguageModel,
    LanguageModel.make({
      generateText: () => Effect.succeed([...parts]),
      streamText: () => Stream.fromIterable(parts)
    })
  )

const toolCall = (name: string, params: unknown, providerExecuted = false) => ({
  type: "tool-call" as const,
  id: `call-${name}`,
  name,
  params,
  providerExecuted
})

describe("a model that is given the mirrors", () => {
  const parts = [
    toolCall("add", { a: { not: "a number" } }),
    toolCall("empty", "no object"),
    toolCall("Lookup", { key: "7" }),
    toolCall("tree", JSON.parse(`{"__proto__":{"a":1}}`)),
    toolCall("Shell", { command: "" })
  ]
  const options = { prompt: "Go", toolkit: ModelToolkit.fromToolkit(toolkit), disableToolCallResolution: true } as const

  it.effect("may send any parameters: the reply stands, and they are not decoded", () =>
    Effect.gen(function*() {
      const reply = yield* LanguageModel.generateText(options)
      assert.deepStrictEqual(
        reply.toolCalls.map(({ name, params }) => ({ name, params })),
        parts.map(({ name, params }) => ({ name, params }))
      )
      const streamed = yield* Stream.runCollect(LanguageModel.streamText(options))
      assert.deepStrictEqual(
        [...streamed].flatMap((part) => part.type === "tool-call" ? [{ name: part.name, params: part.params }] : []),
        parts.map(({ name, params }) => ({ name, params }))
      )
    }).pipe(Effect.provide(answering(parts))))

  it.effect("may send calls and results of its provider's tools", () =>
    Effect.gen(function*() {
      const reply = yield* LanguageModel.generateText(options)
      assert.deepStrictEqual(reply.toolResults.map(({ name, result }) => [name, result]), [["Search", "found"]])
      assert.isTrue(reply.toolCalls.every((call) => call.providerExecuted === true))
    }).pipe(Effect.provide(answering([
      toolCall("Search", {}, true),
      {
        type: "tool-result",
        id: "call-Search",
        name: "Search",
        result: "found",
        isFailure: false,
        providerExecuted: true
      }
    ]))))

  it.effect("dies if it is left to resolve the calls itself", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(
        LanguageModel.generateText({ prompt: "Go", toolkit: ModelToolkit.fromToolkit(toolkit) })
      )
      assert.isTrue(Exit.isFailure(exit) && exit.cause._tag === "Die")
      assert.include(JSON.stringify(exit), "disableToolCallResolution")
    }).pipe(Effect.provide(answering(parts))))

  it.effect("what it sent is decoded once, by the executor", () =>
    Effect.gen(function*() {
      const reply = yield* LanguageModel.generateText(options)
      const results = yield* Effect.forEach(reply.toolCalls, (call) => run(call.name, call.params))
      const [right, wrong] = results
      if (right === undefined || wrong === undefined) return assert.fail("no results")
      assert.deepStrictEqual(good(right), text("1 at 0, marked"))
      assert.match(bad(wrong), /^Invalid input for the tool: .*`a` must be string/)
    }).pipe(Effect.provide(Layer.merge(
      answering([
        toolCall("add", { a: "1", at: "1970-01-01T00:00:00.000Z" }),
        toolCall("add", { a: 1, at: "1970-01-01T00:00:00.000Z" })
      ]),
      managerOf(
        toolkit,
        ToolkitExecutor.layer(toolkit).pipe(
          Layer.provide(toolkit.toLayer({
            add: ({ a, at }) => Effect.map(Marker, (marker) => `${a} at ${at.getTime()}, ${marker}`),
            empty: () => Effect.void,
            tree: () => Effect.void,
            Lookup: () => Effect.succeed(1),
            Shell: () => Effect.succeed("")
          })),
          Layer.provide(Layer.succeed(Marker, "marked"))
        )
      )
    ))))
})

/** What the compiler must accept and must refuse. Nothing here runs; `tsc` is the test, `expectTypeOf` its words. */
// @effect-diagnostics floatingEffect:off missingEffectContext:off missingEffectError:off
// @effect-diagnostics multipleEffectProvide:off
import { type AiError, LanguageModel, type Response, Tool, Toolkit } from "@effect/ai"
import { Context, Effect, type Effect as EffectType, Layer, Schema, Scope, type Stream } from "effect"
import {
  ApprovalRequired,
  CurrentTask,
  type RouteToolCall,
  type RoutingPolicy,
  ToolExecutor
} from "effect-task-manager"
import { ModelToolkit, ToolAnnotations, ToolkitExecutor, ToolRouting } from "effect-task-manager/ai"
import { assert, describe, expectTypeOf, it } from "vitest"

class Flavour extends Context.Tag("test/Flavour")<Flavour, string>() {}
class Codec extends Context.Tag("test/Codec")<Codec, string>() {}
class Database extends Context.Tag("test/Database")<Database, string>() {}

/** Code that is type-checked and never run. */
const checked = (_code: () => unknown): void => {
  assert.isTrue(true)
}

const NeedsCodec = Schema.transformOrFail(Schema.String, Schema.Number, {
  strict: true,
  decode: (text) => Effect.map(Codec, (codec) => text.length + codec.length),
  encode: (number) => Effect.succeed(String(number))
})

const plain = Tool.make("plain", { parameters: { a: Schema.NumberFromString }, success: Schema.String })
const flavoured = Tool.make("flavoured", { dependencies: [Flavour] })
const tasked = Tool.make("tasked", { dependencies: [CurrentTask], failure: ApprovalRequired })
const coded = Tool.make("coded", { parameters: { a: NeedsCodec } })
const search = Tool.providerDefined({ id: "test.search", toolkitName: "Search", providerName: "search", args: {} })({})
const shell = Tool.providerDefined({
  id: "test.shell",
  toolkitName: "Shell",
  providerName: "shell",
  args: {},
  requiresHandler: true
})({})
const toolkit = Toolkit.make(plain, flavoured, tasked, coded, search, shell)

type Handlers = Tool.Handler<"plain"> | Tool.Handler<"flavoured"> | Tool.Handler<"tasked"> | Tool.Handler<"coded">

describe("the executor of a toolkit", () => {
  it("needs the handlers, and what these and the schemas depend on; nothing else", () => {
    expectTypeOf(ToolkitExecutor.layer(toolkit)).toEqualTypeOf<
      Layer.Layer<ToolExecutor, never, Handlers | Tool.Handler<"Shell"> | Flavour | Codec>
    >()
    expectTypeOf(ToolkitExecutor.make(toolkit)).toEqualTypeOf<
      EffectType.Effect<ToolExecutor["Type"], never, Handlers | Tool.Handler<"Shell"> | Flavour | Codec>
    >()
  })

  it("does not need CurrentTask or Scope: they belong to each launch", () => {
    const scoped = Toolkit.make(tasked, Tool.make("scoped", { dependencies: [Scope.Scope] }))
    expectTypeOf(ToolkitExecutor.layer(scoped)).toEqualTypeOf<
      Layer.Layer<ToolExecutor, never, Tool.Handler<"tasked"> | Tool.Handler<"scoped">>
    >()
  })

  it("keeps what the handlers' layer needs in the layer", () => {
    const one = Toolkit.make(plain)
    const handlers = one.toLayer(
      Effect.map(Database, (database) => ({ plain: ({ a }: { readonly a: number }) => Effect.succeed(database + a) }))
    )
    expectTypeOf(ToolkitExecutor.layer(one).pipe(Layer.provide(handlers))).toEqualTypeOf<
      Layer.Layer<ToolExecutor, never, Database>
    >()
  })

  it("a layer without its handlers provides no ToolExecutor to run", () => {
    checked(() => {
      const program = Effect.provide(ToolExecutor, ToolkitExecutor.layer(toolkit))
      // @ts-expect-error the handlers are missing
      return Effect.runPromise(program)
    })
  })

  it("a handler must take what its schema decodes, and answer what it encodes", () => {
    checked(() => {
      const one = Toolkit.make(plain)
      one.toLayer({
        plain: ({ a }) => {
          expectTypeOf(a).toEqualTypeOf<number>()
          return Effect.succeed("text")
        }
      })
      // @ts-expect-error the success schema is a string
      one.toLayer({ plain: () => Effect.succeed(1) })
      // @ts-expect-error the tool does not depend on it
      one.toLayer({ plain: () => Effect.as(Database, "text") })
      // @ts-expect-error a handler that asks says so in its failure schema
      one.toLayer({ plain: () => new ApprovalRequired({ approval: {} as ApprovalRequired["approval"] }) })
    })
  })

  it("takes merged and empty toolkits", () => {
    expectTypeOf(ToolkitExecutor.layer(Toolkit.merge(Toolkit.make(plain), Toolkit.make(flavoured)))).toEqualTypeOf<
      Layer.Layer<ToolExecutor, never, Tool.Handler<"plain"> | Tool.Handler<"flavoured"> | Flavour>
    >()
    expectTypeOf(ToolkitExecutor.layer(Toolkit.empty)).toEqualTypeOf<Layer.Layer<ToolExecutor>>()
  })

  it("takes a toolkit of tools that are not known yet", () => {
    checked(() => {
      const generic = <Tools extends Record<string, Tool.Any>>(some: Toolkit.Toolkit<Tools>) => {
        expectTypeOf(ToolkitExecutor.layer(some)).toExtend<
          Layer.Layer<ToolExecutor, never, ToolkitExecutor.Requirements<Tools>>
        >()
        expectTypeOf(ModelToolkit.fromToolkit(some)).toEqualTypeOf<ModelToolkit.ModelToolkit>()
        return ToolRouting.layer(some)
      }
      return generic
    })
  })
})

describe("the routing of a toolkit", () => {
  it("needs nothing", () => {
    expectTypeOf(ToolRouting.fromToolkit(toolkit)).toEqualTypeOf<RouteToolCall>()
    expectTypeOf(ToolRouting.layer(toolkit)).toEqualTypeOf<Layer.Layer<RoutingPolicy>>()
  })
})

describe("the model's toolkit", () => {
  const options = { prompt: "Go", toolkit: ModelToolkit.fromToolkit(toolkit), disableToolCallResolution: true } as const

  it("keeps what the tools need out of what a model call needs", () => {
    checked(() => {
      expectTypeOf(LanguageModel.generateText(options)).toEqualTypeOf<
        EffectType.Effect<
          LanguageModel.GenerateTextResponse<Readonly<Record<string, ModelToolkit.ModelTool>>>,
          AiError.AiError,
          LanguageModel.LanguageModel
        >
      >()
      expectTypeOf(LanguageModel.streamText(options)).toExtend<
        Stream.Stream<unknown, AiError.AiError, LanguageModel.LanguageModel>
      >()
    })
  })

  it("the parameters of a call are unknown: nobody has looked at them yet", () => {
    checked(() =>
      Effect.map(LanguageModel.generateText(options), ({ toolCalls: [call] }) => {
        expectTypeOf(call).toExtend<Response.ToolCallPart<string, unknown> | undefined>()
        expectTypeOf(call?.params).toEqualTypeOf<unknown>()
      })
    )
  })
})

describe("annotations", () => {
  it("take the values that they are for", () => {
    checked(() => {
      plain
        .annotate(ToolAnnotations.Background, true)
        .annotate(ToolAnnotations.DetachAfter, "1 second")
        .annotate(ToolAnnotations.Timeout, 1000)
        .annotate(ToolAnnotations.ModelChoosesBackground, true)
        .annotate(ToolAnnotations.NeedsApproval, (parameters) => {
          expectTypeOf(parameters).toEqualTypeOf<unknown>()
          return Effect.succeed("because")
        })
      // @ts-expect-error no duration
      plain.annotate(ToolAnnotations.DetachAfter, "soon")
      // @ts-expect-error no boolean
      plain.annotate(ToolAnnotations.Background, "yes")
      // @ts-expect-error a rule cannot fail: what it cannot decide, a human must
      plain.annotate(ToolAnnotations.NeedsApproval, () => Effect.fail("no idea"))
      // @ts-expect-error a rule needs nothing
      plain.annotate(ToolAnnotations.NeedsApproval, () => Effect.as(Database, true))
    })
  })
})

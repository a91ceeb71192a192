/** What servers say of their tools, which is whatever they want, and the names under which providers take them. */
import { NodeContext } from "@effect/platform-node"
import { it } from "@effect/vitest"
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js"
import { Server } from "@modelcontextprotocol/sdk/server/index.js"
import { CallToolRequestSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js"
import { Cause, Effect, Exit, Layer } from "effect"
import { ToolExecutor } from "effect-task-manager"
import { McpTools, type McpToolServer } from "effect-task-manager/mcp"
import { assert, describe } from "vitest"
import { withoutNulls } from "../../src/mcp/tools/internal/inputs.js"
import { safeNames } from "../../src/mcp/tools/internal/names.js"
import { readResult } from "../../src/mcp/tools/internal/outputs.js"
import { call, inMemory, specNames, world } from "./toolsSupport.js"

/** A server that lists what a test says, page by page, and answers with the name that it was called by. */
const listing = (name: string, pages: (cursor: string | undefined) => object): McpToolServer => ({
  _tag: "Transport",
  name,
  connect: () => {
    const server = new Server({ name, version: "1" }, { capabilities: { tools: {} } })
    server.setRequestHandler(ListToolsRequestSchema, ({ params }) => pages(params?.cursor) as never)
    server.setRequestHandler(
      CallToolRequestSchema,
      ({ params }) => ({ content: [{ type: "text", text: `called ${params.name}` }] })
    )
    const [ours, its] = InMemoryTransport.createLinkedPair()
    void server.connect(its)
    // both generations of the SDK have the same transports, with types of their own
    return ours as unknown as ReturnType<Extract<McpToolServer, { readonly _tag: "Transport" }>["connect"]>
  }
})

const tool = (name: unknown, more: object = {}) => ({ name, inputSchema: { type: "object" }, ...more })

describe("names", () => {
  const namesOf = (...tools: ReadonlyArray<readonly [server: string, tool: string]>) =>
    [...safeNames(tools.map(([server, tool]) => ({ server, tool })))].map((
      [name, { server, tool }]
    ) => [name, server, tool])

  it("are plain where they can be, and always such that providers take them", () => {
    assert.deepStrictEqual(namesOf(["files", "read_file"]), [["files__read_file", "files", "read_file"]])
    const strange = [["My Server", "lösche!"], ["s", "x".repeat(128)], ["", ""], ["s", "a b"], ["s", "a_b"]] as const
    const names = namesOf(...strange)
    assert.lengthOf(new Set(names.map(([name]) => name)), strange.length)
    for (const [name] of names) assert.match(name ?? "", /^[a-zA-Z0-9_-]{1,64}$/)
    assert.deepInclude(names, ["s__a_b", "s", "a_b"])
  })

  it("do not depend on the order in which servers and tools are listed", () => {
    const tools = [["a", "b__c"], ["a__b", "c"], ["a", "b"], ["x", "ü"], ["x", "ö"]] as const
    const sorted = (names: ReturnType<typeof namesOf>) => names.map((one) => one.join(" ")).sort()
    assert.deepStrictEqual(sorted(namesOf(...tools)), sorted(namesOf(...[...tools].reverse())))
    // one that could be the other has neither's plain name
    assert.notInclude(namesOf(...tools).map(([name]) => name), "a__b__c")
    assert.lengthOf(new Set(namesOf(...tools).map(([name]) => name)), tools.length)
  })

  it.live("lead back to the tool of the server", () =>
    Effect.gen(function*() {
      const names = yield* specNames
      assert.lengthOf(names, 3)
      const said = yield* Effect.forEach(names, (name) => call(name))
      assert.sameMembers(said, ["Completed: called lösche!", "Completed: called a b", "Completed: called a_b"])
    }).pipe(Effect.provide(world({
      servers: [listing("s", () => ({ tools: ["lösche!", "a b", "a_b"].map((name) => tool(name)) }))]
    }))))
})

describe("a hostile list", () => {
  const listed = (pages: (cursor: string | undefined) => object) =>
    Effect.gen(function*() {
      return yield* (yield* ToolExecutor).specs
    }).pipe(Effect.provide(world({ servers: [listing("s", pages)] })))

  it.live("costs only the tools that are wrong", () =>
    Effect.gen(function*() {
      let deep: object = { type: "string" }
      for (let depth = 0; depth < 100; depth++) deep = { type: "array", items: deep }
      const specs = yield* listed(() => ({
        tools: [
          tool("good"),
          tool(""),
          tool(5),
          tool({ toString: 5 }),
          tool("x".repeat(1_000)),
          null,
          tool("noObject", { inputSchema: { type: "string" } }),
          tool("noSchema", { inputSchema: undefined }),
          tool("large", { inputSchema: { type: "object", description: "x".repeat(100_000) } }),
          tool("deep", { inputSchema: { type: "object", properties: { deep } } }),
          tool("parameter", { inputSchema: { type: "object", properties: { "a b": {} } } }),
          tool("good", { description: "another of that name" })
        ]
      }))
      assert.deepStrictEqual(specs.map(({ description, name }) => [name, description]), [["s__good", ""]])
    }))

  it.live("has texts of a bounded length, without characters that do not show", () =>
    Effect.gen(function*() {
      const [spec] = yield* listed(() => ({
        tools: [tool("t", {
          description: `first\u202e line\n\u0007${"x".repeat(10_000)}`,
          inputSchema: { type: "object", properties: { a: { type: "string", description: "\u200bhidden" } } },
          annotations: { title: "T", readOnlyHint: "yes", destructiveHint: true }
        })]
      }))
      assert.strictEqual(spec?.description.length, 4_097)
      assert.isTrue(spec?.description.startsWith("first\ufffd line\n\ufffdxxx"))
      assert.deepInclude(spec?.inputSchema as object, {
        properties: { a: { type: "string", description: "\ufffdhidden" } }
      })
      // a hint of another type counts as absent
      assert.deepStrictEqual(spec?.annotations, { title: "T", destructiveHint: true })
    }))

  it.live("without an end is read as far as its bounds", () =>
    Effect.gen(function*() {
      let pages = 0
      const endless = yield* listed((cursor) => {
        pages++
        return { tools: [tool(`t${cursor ?? 0}`)], nextCursor: String(Number(cursor ?? 0) + 1) }
      })
      assert.strictEqual(pages, 64)
      assert.lengthOf(endless, 64)
      const many = yield* listed(() => ({ tools: Array.from({ length: 2_000 }, (_, at) => tool(`t${at}`)) }))
      assert.lengthOf(many, 512)
    }))

  it.live("keeps what the schema of a tool says, and leaves out only what narrows the whole", () =>
    Effect.gen(function*() {
      const inputSchema = {
        type: "object",
        properties: { a: { anyOf: [{ type: "string" }, { $ref: "#/$defs/n" }] } },
        required: ["a"],
        $defs: { n: { type: "number" } }
      }
      const [spec] = yield* listed(() => ({
        tools: [tool("t", { inputSchema: { ...inputSchema, oneOf: [{ required: ["a"] }] } })]
      }))
      assert.deepStrictEqual(spec?.inputSchema, inputSchema)
    }))
})

describe("options", () => {
  const failing = (options: object) =>
    Effect.map(
      Effect.exit(Effect.provide(Effect.void, Layer.provide(McpTools.layer(options as never), NodeContext.layer))),
      (exit) => Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "made"
    )

  it.effect("that are none are named", () =>
    Effect.gen(function*() {
      const server = inMemory("s", () => {})
      assert.include(yield* failing({ servers: [server, server] }), "McpToolsOptions.servers")
      assert.include(yield* failing({ servers: [{ ...server, name: "" }] }), "McpToolsOptions.servers[0].name")
      assert.include(yield* failing({ servers: [], approval: "sometimes" }), "McpToolsOptions.approval")
      assert.include(yield* failing({ servers: [], connectTimeout: -1 }), "McpToolsOptions.connectTimeout")
      const secret = yield* failing({ servers: [McpTools.http({ name: "s", url: "ftp://user:secret@host" })] })
      assert.include(secret, "McpToolsOptions.servers[0].url")
      assert.notInclude(secret, "secret")
    }))
})

describe("what a model sends", () => {
  const schema = {
    type: "object",
    properties: {
      path: { type: "string" },
      head: { type: "number" },
      maybe: { anyOf: [{ type: "string" }, { type: "null" }] },
      nested: { $ref: "#/$defs/nested" },
      list: { type: "array", items: { $ref: "#/$defs/nested" } }
    },
    required: ["path"],
    $defs: { nested: { type: "object", properties: { a: { type: "string" }, again: { $ref: "#/$defs/nested" } } } }
  }

  it("is without the nulls of what it leaves out, and has those that the schema takes", () => {
    assert.deepStrictEqual(
      withoutNulls(schema, {
        path: null,
        head: null,
        maybe: null,
        other: null,
        nested: { a: null, again: { a: null, again: null } },
        list: [{ a: null }, { a: "x" }]
      }),
      { path: null, maybe: null, other: null, nested: { again: {} }, list: [{}, { a: "x" }] }
    )
  })

  it("is read once, however often a schema refers to the same", () => {
    const twice = (at: number) => ({ anyOf: [{ $ref: `#/$defs/a${at}` }, { $ref: `#/$defs/a${at}` }] })
    const chain = Array.from({ length: 60 }, (_, at) => [`a${at}`, at === 59 ? { const: 1 } : twice(at + 1)])
    const $defs = { ...Object.fromEntries(chain), itself: { anyOf: [{ $ref: "#/$defs/itself" }, { type: "string" }] } }
    assert.deepStrictEqual(
      withoutNulls(
        { $defs, properties: { x: { $ref: "#/$defs/a0" }, y: { $ref: "#/$defs/itself" } } },
        { x: null, y: null }
      ),
      {}
    )
  })
})

describe("what a server answers", () => {
  const read = (result: unknown) => readResult("t", result)

  it("is text where it is nothing else", () => {
    const left = (content: unknown) => JSON.stringify(read({ content: [content] }))
    assert.include(left({ type: "image", mimeType: "image/svg+xml", data: "<svg>" }), "[an image that is no base64]")
    assert.include(left({ type: "image", mimeType: "image\n/png", data: "AAAA" }), "[an image without a media type]")
    assert.include(left({ type: "hologram" }), "[content of a kind that is not known]")
    assert.include(left("text"), "[content that is none]")
    assert.include(JSON.stringify(read(5)), "answered with no result")
    assert.deepStrictEqual(read({}), { _tag: "Text", text: "" })
  })

  it("is data with what is beside it, and without the same in words", () => {
    const link = { type: "resource_link", name: "report", uri: "file:///report" }
    const words = { type: "text", text: "{\"size\":3}" }
    assert.deepStrictEqual(read({ structuredContent: { size: 3 }, content: [words] }), {
      _tag: "Structured",
      value: { size: 3 }
    })
    assert.deepStrictEqual(read({ structuredContent: { size: 3 }, content: [words, link] }), {
      _tag: "Parts",
      parts: [{ _tag: "Text", text: "{\"size\":3}" }, { _tag: "Text", text: "[a resource: report: file:///report]" }]
    })
  })

  it("has a bound in parts, and in the text of an error", () => {
    const many = read({ content: Array.from({ length: 1_100 }, () => ({ type: "text", text: "x" })) })
    assert.lengthOf("parts" in many ? many.parts : [], 1_001)
    const error = read({ isError: true, content: [{ type: "text", text: "x".repeat(100_000) }] })
    assert.isBelow("message" in error ? error.message.length : Infinity, 17_000)
  })
})

/** The JSON Schema that answers are checked with: as strict as the schema of Effect that it was made of. */
import { Either, FastCheck as fc, JSONSchema, Schema } from "effect"
import { assert, describe, it } from "vitest"
import { answerFault, schemaFault } from "../../src/model/answerSchema.js"

interface Tree {
  readonly value: number
  readonly children: ReadonlyArray<Tree>
}
const Tree: Schema.Schema<Tree> = Schema.Struct({
  value: Schema.Number,
  children: Schema.Array(Schema.suspend(() => Tree))
}).annotations({ identifier: "Tree" })

const Pets = Schema.Literal("cat", "dog")

/** What JSON Schema can say whole. */
const schemas: Readonly<Record<string, Schema.Schema.AnyNoContext>> = {
  text: Schema.String,
  "a text of some length": Schema.String.pipe(Schema.minLength(2), Schema.maxLength(3)),
  "a pattern": Schema.String.pipe(Schema.pattern(/^[ab]+$/)),
  "two patterns": Schema.String.pipe(Schema.pattern(/^[ab]/), Schema.pattern(/[bc]$/)),
  number: Schema.Finite,
  integer: Schema.Int.pipe(Schema.between(-2, 2)),
  "above and below": Schema.Finite.pipe(Schema.greaterThan(0), Schema.lessThan(1)),
  "a multiple": Schema.Finite.pipe(Schema.multipleOf(0.5)),
  boolean: Schema.Boolean,
  null: Schema.Null,
  literals: Schema.Literal("a", 1, true, null),
  enum: Schema.Enums({ One: "one", Two: 2 }),
  list: Schema.Array(Pets).pipe(Schema.minItems(1), Schema.maxItems(2)),
  tuple: Schema.Tuple(Schema.String, Schema.optionalElement(Schema.Number)),
  "a tuple with a rest": Schema.Tuple([Schema.String], Schema.Boolean),
  struct: Schema.Struct({ a: Schema.String, b: Schema.optionalWith(Schema.Int, { exact: true }) }),
  "an open struct": Schema.Struct({ a: Schema.String }, { key: Schema.String, value: Schema.Unknown }),
  record: Schema.Record({ key: Schema.String, value: Schema.Boolean }),
  "a record of some keys": Schema.Record({ key: Schema.String.pipe(Schema.maxLength(1)), value: Schema.Boolean }),
  union: Schema.Union(Schema.Struct({ a: Schema.String }), Schema.Struct({ b: Schema.Number }), Schema.Null),
  tree: Tree,
  unknown: Schema.Unknown
}

const value = fc.oneof(
  { weight: 3, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  fc.constantFrom<unknown>("a", "b", "ab", "cat", "one", "bc", 0, 0.25, 0.5, 1, 2, -2, null, true, [], ["cat"], {}),
  fc.record({ a: fc.constantFrom<unknown>("x", 1), b: fc.constantFrom<unknown>(1, 1.5, "x") }, { requiredKeys: [] }),
  fc.record({ value: fc.constantFrom<unknown>(1, "x"), children: fc.constantFrom<unknown>([], [{}]) })
)

describe("answerFault", () => {
  for (const [name, schema] of Object.entries(schemas)) {
    const jsonSchema: unknown = JSONSchema.make(schema)
    const is = Schema.is(schema, { onExcessProperty: "error" })

    it(`${name}: takes what the schema takes, and nothing else`, () => {
      assert.isUndefined(schemaFault(jsonSchema, { patterns: true }))
      fc.assert(
        fc.property(value, (json) => {
          const fault = answerFault(jsonSchema, json)
          assert.strictEqual(fault === undefined, is(json), `${JSON.stringify(json)} ${fault?.detail}`)
        }),
        { numRuns: 500 }
      )
    })
  }

  it("names the place and what it takes, and never the value", () => {
    const secret = "s3cret"
    const order = {
      type: "object",
      properties: {
        items: {
          type: "array",
          items: { type: "object", properties: { price: { type: "number" } }, required: ["price"] }
        },
        to: { anyOf: [{ type: "string", maxLength: 3 }, { type: "null" }] },
        size: { oneOf: [{ type: "integer" }, { minimum: 5 }] },
        only: { const: 5 }
      },
      additionalProperties: false
    }
    const faults: ReadonlyArray<readonly [unknown, string, string]> = [
      [secret, "", "must be an object"],
      [{ items: [{ price: 1 }, { price: secret }] }, "items.1.price", "must be a number"],
      [{ items: [{}] }, "items.0.price", "is missing"],
      [{ [secret]: 1 }, secret, "is not expected"],
      [{ to: 5 }, "to", "must be a string or null"],
      [{ to: secret }, "to", "must have at most 3 characters or must be null"],
      [{ size: 7 }, "size", "fits more than one of the forms that exclude each other"],
      [{ only: secret }, "only", "must be 5"]
    ]
    for (const [json, path, detail] of faults) {
      const fault = answerFault(order, json)
      assert.deepStrictEqual([fault?.path.join("."), fault?.detail], [path, detail])
    }
  })

  it("ends for a schema that names itself, or grows with every level", () => {
    const loop = { $ref: "#" }
    assert.strictEqual(answerFault(loop, 1)?.detail, "takes too long to be checked")
    const growing = {
      $ref: "#/$defs/a",
      $defs: {
        a: { anyOf: [{ type: "array", items: { $ref: "#/$defs/a" } }, { items: { $ref: "#/$defs/a" }, type: "array" }] }
      }
    }
    let deep: unknown = 1
    for (let level = 0; level < 40; level++) deep = [deep]
    assert.isUndefined(schemaFault(growing, { patterns: false }))
    assert.isDefined(answerFault(growing, deep))
  })

  it("takes keys that are data for data", () => {
    const named = { type: "object", properties: { toString: { type: "number" } }, additionalProperties: false }
    assert.isUndefined(answerFault(named, {}))
    assert.deepInclude(answerFault(named, JSON.parse("{\"__proto__\":1}")), { detail: "is not expected" })
    assert.isDefined(answerFault({ required: ["toString"] }, {}))
  })
})

describe("schemaFault", () => {
  it("refuses what is not checked, at any place", () => {
    const wrong: ReadonlyArray<readonly [unknown, string]> = [
      [5, "it must be a JSON Schema"],
      [null, "it must be a JSON Schema"],
      [{ dependentRequired: {} }, "`dependentRequired` is none of the keywords that are checked"],
      [{ properties: { a: { uniqueItems: true } } }, "`uniqueItems` is none of the keywords that are checked"],
      [{ anyOf: [] }, "`anyOf` must be a list of schemas"],
      [{ items: [{ type: "text" }] }, "`type` must be a type or a list of types"],
      [{ type: "string", pattern: "(" }, "`pattern` must be a regular expression"],
      [{ multipleOf: 0 }, "`multipleOf` must be a number above 0"],
      [
        { $ref: "http://example.com/schema" },
        "`$ref` must be `#`, or the name of one of its own `$defs` or `definitions`"
      ],
      [{ $ref: "#/$defs/a" }, "`$ref` must be `#`, or the name of one of its own `$defs` or `definitions`"]
    ]
    for (const [schema, fault] of wrong) assert.strictEqual(schemaFault(schema, { patterns: true }), fault)
  })

  it("takes patterns from the program alone", () => {
    for (const schema of [{ pattern: "^a" }, { patternProperties: { "^a": true } }]) {
      assert.isUndefined(schemaFault(schema, { patterns: true }))
      assert.isDefined(schemaFault({ allOf: [schema] }, { patterns: false }))
    }
  })

  it("never throws, and neither does the check with what it lets pass", () => {
    const keyword = fc.constantFrom(
      "type",
      "enum",
      "const",
      "anyOf",
      "allOf",
      "not",
      "$ref",
      "items",
      "properties",
      "required",
      "minimum"
    )
    const some = fc.dictionary(
      keyword,
      fc.oneof(fc.jsonValue(), fc.constantFrom<unknown>("string", ["number"], "#", {}, [{}], { a: {} }))
    )
    fc.assert(fc.property(some, value, (schema, json) => {
      const checked = Either.try(() => schemaFault(schema, { patterns: true }) ?? answerFault(schema, json))
      assert.isTrue(Either.isRight(checked))
    }))
  })
})

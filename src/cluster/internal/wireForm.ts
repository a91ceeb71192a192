/**
 * What a value is on the wire, as its schema says, without looking at every part of it: nearly all parts are the same on both sides.
 *
 * To the wire go the fields that a schema names, and what is to be JSON is made so: it comes from hosts and tools. From the wire comes
 * what the other side has made of the same schema: nothing is checked again, and only what is another value here is made.
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"

type Way = "encode" | "decode"

type Convert = (value: unknown) => unknown

/** Undefined where a value stays what it is. */
type Change = Convert | undefined

/** As the schema does it, with every check. */
const whole = (ast: AST.AST, way: Way): Convert => {
  const convert = way === "encode" ? Schema.encodeUnknownSync : Schema.decodeUnknownSync
  let made: Convert | undefined
  return (value) => {
    made ??= convert(Schema.make<unknown>(ast))
    return made(value)
  }
}

interface Fields {
  readonly [name: PropertyKey]: unknown
}

const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null

const ofStruct = (ast: AST.TypeLiteral, way: Way): Change => {
  const check = whole(ast, way)
  if (ast.indexSignatures.length > 0) return check
  const fields = ast.propertySignatures.map(({ name, type }) => ({ name, change: changeOf(type, way) }))
  if (way === "encode") {
    return (value) => {
      // a host without types may give anything: the schema says what is wrong with it
      if (!isObject(value)) return check(value)
      const made: { [name: PropertyKey]: unknown } = {}
      for (const { change, name } of fields) {
        const field = value[name]
        if (field === undefined && (change === undefined || !(name in value))) continue
        made[name] = change === undefined ? field : change(field)
      }
      return made
    }
  }
  const changed = fields.flatMap(({ change, name }) => change === undefined ? [] : [{ change, name }])
  if (changed.length === 0) return undefined
  return (value) => {
    if (!isObject(value)) return check(value)
    const made: { [name: PropertyKey]: unknown } = { ...value }
    for (const { change, name } of changed) {
      if (name in made) made[name] = change(made[name])
    }
    return made
  }
}

const ofList = (ast: AST.TupleType, way: Way): Change => {
  const check = whole(ast, way)
  const { elements, rest } = ast
  if (rest.length > 1) return check
  const changes = elements.map(({ type }) => changeOf(type, way))
  const [others] = rest.map(({ type }) => changeOf(type, way))
  if (others === undefined && changes.every((change) => change === undefined)) return undefined
  return (value) =>
    Array.isArray(value)
      ? value.map((item, index) => {
        const change = index < changes.length ? changes[index] : others
        return change === undefined ? item : change(item)
      })
      : check(value)
}

const bare: ReadonlySet<AST.AST["_tag"]> = new Set([
  "Literal",
  "UndefinedKeyword",
  "VoidKeyword",
  "NeverKeyword",
  "UnknownKeyword",
  "AnyKeyword",
  "StringKeyword",
  "NumberKeyword",
  "BooleanKeyword",
  "Enums",
  "TemplateLiteral"
])

type Mark = "Bare" | "Object" | `_tag ${string}` | undefined

/** What a value of a member of a union is known by: it is not an object, or has a tag, or is an object or list without one. */
const markOf = (member: AST.AST, way: Way): Mark => {
  const side = way === "encode" ? AST.typeAST(member) : AST.encodedAST(member)
  if (AST.isRefinement(side)) return markOf(side.from, way)
  if (bare.has(side._tag)) return "Bare"
  if (AST.isTupleType(side)) return "Object"
  if (!AST.isTypeLiteral(side)) return undefined
  const tag = side.propertySignatures.find(({ name }) => name === "_tag")?.type
  return tag !== undefined && AST.isLiteral(tag) ? `_tag ${String(tag.literal)}` : "Object"
}

const ofUnion = (ast: AST.Union, way: Way): Change => {
  const members = ast.types.map((type) => ({ mark: markOf(type, way), change: changeOf(type, way) }))
  if (members.every(({ change }) => change === undefined)) return undefined
  const check = whole(ast, way)
  const objects = members.filter(({ mark }) => mark !== "Bare")
  const byMark = new Map(objects.map(({ change, mark }) => [mark, change]))
  const isClear = !byMark.has(undefined) && byMark.size === objects.length &&
    (!byMark.has("Object") || objects.length === 1) &&
    members.every(({ change, mark }) => mark !== "Bare" || change === undefined)
  if (!isClear) return check
  const isTagged = !byMark.has("Object")
  const hasBare = objects.length < members.length
  return (value) => {
    if (!isObject(value)) return hasBare ? value : check(value)
    const mark: Mark = isTagged ? `_tag ${String(value["_tag"])}` : "Object"
    if (!byMark.has(mark)) return check(value)
    const change = byMark.get(mark)
    return change === undefined ? value : change(value)
  }
}

const ofTransformation = (ast: AST.Transformation, way: Way): Change => {
  const check = whole(ast, way)
  const { from, to, transformation } = ast
  // with nothing left to be done on the side of what it becomes
  if (!AST.isFinalTransformation(transformation) || AST.typeAST(to) !== to) return check
  const change = changeOf(from, way)
  const transform = transformation[way]
  return (value) => {
    const given = way === "encode" || change === undefined ? value : change(value)
    const made = transform(given, {}, ast, given)
    // what fails, or is not done at once, is for the schema
    if (!Either.isEither(made) || Either.isLeft(made)) return check(value)
    return way === "decode" || change === undefined ? made.right : change(made.right)
  }
}

const changeOf = (ast: AST.AST, way: Way): Change => {
  if (bare.has(ast._tag)) return undefined
  switch (ast._tag) {
    case "Refinement":
      return changeOf(ast.from, way)
    case "TypeLiteral":
      return ofStruct(ast, way)
    case "TupleType":
      return ofList(ast, way)
    case "Union":
      return ofUnion(ast, way)
    case "Transformation":
      return ofTransformation(ast, way)
    case "Declaration":
      // what is declared is no other value on the wire, and is made so where it is sent
      return way === "decode" && ast.typeParameters.length === 0 ? undefined : whole(ast, way)
    default:
      return whole(ast, way)
  }
}

const itself: Convert = (value) => value

/** Makes a value what it is on the wire. Throws as the schema does where it cannot. */
export const toWire = (schema: Schema.Schema.All): Convert => changeOf(schema.ast, "encode") ?? itself

/** Makes what came from the wire a value again; it was made by `toWire` of the same schema. */
export const fromWire = (schema: Schema.Schema.All): Convert => changeOf(schema.ast, "decode") ?? itself

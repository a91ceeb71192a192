/**
 * The building blocks of the data schemas. They are Effect's, but their errors name what a field takes and never show the
 * value they rejected: it may be a secret, and it may be hostile.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as AST from "effect/SchemaAST"
import { describeIssue } from "./describeIssue.js"

/**
 * The annotations of a schema whose message says what it takes.
 *
 * @since 0.1.0
 * @category constructors
 */
export const takes = (what: string) => ({ message: () => `must be ${what}` })

// override: an unknown tag is reported by a schema that Union makes up on the fly, which no annotation can reach
const describeAll = { message: (issue: ParseResult.ParseIssue) => ({ message: describeIssue(issue), override: true }) }

/**
 * For the schema of an error class: its three sides.
 *
 * @since 0.1.0
 * @category annotations
 */
export const describedError = [describeAll, describeAll, describeAll] as const

/**
 * A string.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Text = Schema.String.annotations(takes("a string"))

/**
 * A string that is not empty.
 *
 * @since 0.1.0
 * @category schemas
 */
export const NonEmptyText = Text.pipe(
  Schema.nonEmptyString({ ...takes("a non-empty string"), identifier: "NonEmptyString" })
)

/**
 * A boolean.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Flag = Schema.Boolean.annotations(takes("a boolean"))

/**
 * A number.
 *
 * @since 0.1.0
 * @category schemas
 */
export const AnyNumber = Schema.Number.annotations(takes("a number"))

/**
 * An integer.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Whole = AnyNumber.pipe(Schema.int(takes("an integer")))

/**
 * An integer from 0.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Count = Whole.pipe(Schema.nonNegative(takes("an integer from 0")))

/**
 * A finite number.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Finite = AnyNumber.pipe(Schema.finite(takes("a finite number")))

/**
 * A finite duration, encoded as milliseconds: JSON knows no endless one.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Millis = Schema.DurationFromMillis.pipe(
  Schema.filter((duration) => Number.isFinite(Duration.toMillis(duration)), {
    message: () => ({ message: "must be a number of milliseconds from 0", override: true })
  })
)

/**
 * One of several strings.
 *
 * @since 0.1.0
 * @category schemas
 */
export const oneOf = <const Literals extends readonly [string, ...Array<string>]>(
  ...literals: Literals
): Schema.Literal<[...Literals]> =>
  Schema.Literal(...literals).annotations({
    message: () => ({ message: `must be one of ${literals.join(", ")}`, override: true })
  })

/**
 * An object.
 *
 * @since 0.1.0
 * @category schemas
 */
export const struct = <Fields extends Schema.Struct.Fields>(fields: Fields): Schema.Struct<Fields> =>
  Schema.Struct(fields).annotations(takes("an object"))

/**
 * An object with a tag.
 *
 * @since 0.1.0
 * @category schemas
 */
export const tagged = <const Tag extends string, Fields extends Schema.Struct.Fields>(
  tag: Tag,
  fields: Fields
): Schema.TaggedStruct<Tag, Fields> =>
  struct({
    _tag: Schema.Literal(tag).annotations(takes(`"${tag}"`)).pipe(
      Schema.propertySignature,
      Schema.withConstructorDefault(() => tag)
    ),
    ...fields
  })

/**
 * One of several objects.
 *
 * @since 0.1.0
 * @category schemas
 */
export const union = <Members extends AST.Members<Schema.Schema.All>>(...members: Members): Schema.Union<Members> =>
  Schema.Union(...members).annotations(describeAll)

/**
 * A list.
 *
 * @since 0.1.0
 * @category schemas
 */
export const list = <Value extends Schema.Schema.Any>(value: Value): Schema.Array$<Value> =>
  Schema.Array(value).annotations(takes("an array"))

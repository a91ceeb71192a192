/** Schemas of ids in an address: see addressText.ts. */
import * as Schema from "effect/Schema"
import { readText, writtenText } from "./addressText.js"

const Written = Schema.String.annotations({
  description:
    "One that is empty, `.` or `..`, or begins with `~`, is written as `~` and then itself with each `~` doubled."
})

/** In a query. */
export const inQuery = <A extends string, R>(schema: Schema.Schema<A, string, R>): Schema.Schema<A, string, R> =>
  Schema.transform(Written, schema, { strict: true, decode: readText, encode: writtenText })

/** In a path. The router decodes what is percent-encoded, and HttpApiClient puts a part of a path in as it is. */
export const inPath = <A extends string, R>(schema: Schema.Schema<A, string, R>): Schema.Schema<A, string, R> =>
  Schema.transform(Written, schema, {
    strict: true,
    decode: readText,
    encode: (text) => encodeURIComponent(writtenText(text))
  })

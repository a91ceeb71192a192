/** What a runner answers to a call. */
import * as Schema from "effect/Schema"

/** With what it follows from: `news` has the events that the readers of the header have missed. */
export const answerOf = <A, I, News, NewsEncoded>(value: Schema.Schema<A, I>, news: Schema.Schema<News, NewsEncoded>) =>
  Schema.Union(
    // a wait is answered before its caller gives it up: the caller asks again
    Schema.TaggedStruct("Waiting", {}),
    Schema.TaggedStruct("Done", { news: Schema.Array(news), value })
  )

export type AnswerOf<A, News> =
  | { readonly _tag: "Waiting" }
  | { readonly _tag: "Done"; readonly news: ReadonlyArray<News>; readonly value: A }

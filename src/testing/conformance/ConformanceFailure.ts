/**
 * What a conformance case fails with.
 *
 * @since 0.1.0
 */
import * as Inspectable from "effect/Inspectable"
import * as Schema from "effect/Schema"

/**
 * A layer does not do what the contract says: `what` names the promise, `expected` and `actual` show the difference.
 *
 * @since 0.1.0
 * @category errors
 */
export class ConformanceFailure
  extends Schema.TaggedError<ConformanceFailure>("effect-task-manager/ConformanceFailure")("ConformanceFailure", {
    what: Schema.String,
    expected: Schema.Unknown,
    actual: Schema.Unknown
  })
{
  override get message(): string {
    return `${this.what}\n  expected: ${Inspectable.toStringUnknown(this.expected, 0)}\n  actual:   ${
      Inspectable.toStringUnknown(this.actual, 0)
    }`
  }
}

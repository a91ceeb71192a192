/**
 * Text from outside, made fit for a log line or a message.
 *
 * @since 0.1.0
 */

// C0, DEL, C1, the Unicode line breaks and the marks of text direction: what comes from outside must not forge a line,
// move a cursor, or stand there in another order than it runs
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const controls = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g

/**
 * Text without control characters, of at most 200 characters.
 *
 * @since 0.1.0
 * @category combinators
 */
export const printable = (text: string): string => text.slice(0, 200).replace(controls, "\ufffd")

/**
 * Text from outside, made fit for a log line or a message.
 *
 * @since 0.1.0
 */

// C0, DEL, C1 and the Unicode line breaks: a name from outside must not forge a line or move a cursor
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const controls = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g

/**
 * Text without control characters, of at most 200 characters.
 *
 * @since 0.1.0
 * @category combinators
 */
export const printable = (text: string): string => text.slice(0, 200).replace(controls, "\ufffd")

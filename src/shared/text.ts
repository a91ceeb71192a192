/**
 * Text from outside, made fit for a log line or a message.
 *
 * @since 0.1.0
 */

/**
 * Characters with which text from outside could forge a line, move a cursor, hide words, or stand in another order than it runs:
 * controls, formats (bidirectional overrides, zero width, tags), line breaks, halves of characters, what fonts leave out
 * (fillers, blanks of single scripts, variation selectors, what Unicode does not define), and every space but the one that separates words.
 *
 * @since 0.1.0
 * @category constants
 */
export const unseen =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Cn}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|[\u{13441}\u{13442}]|\u{16FE4}|\u{1D159}|(?! )\p{Zs}/gu

/**
 * Text without characters that do not show, of at most 200 characters; half of one that is cut does not show either.
 *
 * @since 0.1.0
 * @category combinators
 */
export const printable = (text: string): string => text.slice(0, 200).replace(unseen, "\ufffd")

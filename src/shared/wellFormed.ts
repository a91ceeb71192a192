/**
 * Text without halves of characters. A tool that cuts text anywhere makes them, and no strict reader of UTF-8 or JSON takes
 * them.
 *
 * @since 0.1.0
 */

// with the flag, pairs are one character: these are surrogates without their other half
const halves = /\p{Cs}/gu

// Node 20 and all current browsers have it; a long text of one-byte characters costs it nothing
const hasNative = "isWellFormed" in String.prototype

/**
 * Whether every surrogate in the text has its other half.
 *
 * @since 0.1.0
 * @category guards
 */
export const isWellFormedText = (text: string): boolean =>
  // the library of types is older than the method, whose presence was just checked
  hasNative ? (text as unknown as { readonly isWellFormed: () => boolean }).isWellFormed() : text.search(halves) < 0

/**
 * The text with U+FFFD in the place of each half of a character; the same text if there is none.
 *
 * @since 0.1.0
 * @category combinators
 */
export const wellFormedText = (text: string): string => isWellFormedText(text) ? text : text.replace(halves, "\ufffd")

/**
 * Text for a human who decides by what is seen.
 *
 * @since 0.1.0
 */

// controls, formats (bidirectional overrides, zero width), line breaks, halves of characters, what fonts leave out (fillers,
// variation selectors), and every space but the one that separates words
const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu

/**
 * The whole text, with every character that does not show or that moves others written as `\u{a}`, and every backslash as
 * two: what looks like `\u{a}` is nothing else.
 *
 * @since 0.1.0
 * @category formatters
 */
export const visible = (text: string): string =>
  text.replaceAll("\\", "\\\\").replace(unseen, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)

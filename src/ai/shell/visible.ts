/**
 * Text for a human who decides by what is seen.
 *
 * @since 0.1.0
 */

import { unseen } from "../../shared/text.js"

// more blanks than anybody sees at a glance
const blanks = / {4,}/g

/**
 * The whole text, with every character that does not show or that moves others written as `\u{a}`, and every backslash as
 * two: what looks like `\u{a}` is nothing else. Four and more spaces are written as `\{300 spaces}`, so that nothing is moved out
 * of sight.
 *
 * @since 0.1.0
 * @category formatters
 */
export const visible = (text: string): string =>
  text.replaceAll("\\", "\\\\")
    .replace(unseen, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)
    .replace(blanks, ({ length }) => `\\{${length} spaces}`)

/**
 * Text from outside that is kept.
 *
 * @since 0.1.0
 */
import { wellFormedText } from "./wellFormed.js"

// V8 copies shorter pieces itself
const shortestPiece = 13

/**
 * The text without halves of characters, and on its own: a piece that was cut out of a longer text (`page.slice(0, 200)`)
 * keeps all of that text in memory, however short it is.
 *
 * @since 0.1.0
 * @category conversions
 */
export const ownText = (text: string): string =>
  // joining and cutting again copies it; no other way is cheaper, and none tells whether it is a piece
  text.length < shortestPiece ? wellFormedText(text) : ` ${wellFormedText(text)}`.slice(1)

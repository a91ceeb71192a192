/** Text from outside: never markup, each in its own direction, and nothing in it is hidden. */
import type { JSX } from "preact"
import { manyLines, oneLine } from "../model/words.js"

export const Text = (
  { class: name, text, title }: { readonly text: string; readonly class?: string; readonly title?: boolean }
): JSX.Element => {
  const shown = oneLine(text)
  return (
    <bdi class={name} title={title === true ? shown : undefined}>
      {shown}
    </bdi>
  )
}

export const Lines = (
  { label, text }: { readonly text: string; readonly label: string }
): JSX.Element => (
  // it can be scrolled with the keyboard
  <pre class="lines" dir="auto" tabIndex={0} aria-label={label}>{manyLines(text)}</pre>
)

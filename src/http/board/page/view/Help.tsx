/** The keys, and how they are read. */
import type { JSX } from "preact"
import { searchFields } from "../model/rows.js"
import type { App } from "./App.js"

const shortcuts: ReadonlyArray<readonly [keys: ReadonlyArray<string>, what: string]> = [
  [["/"], "search"],
  [["↓", "↑"], "next and previous task; also j and k"],
  [["Enter"], "details of the task"],
  [["Esc"], "close what is open"],
  [["a"], "approvals"],
  [["g"], "group by nothing, session, family"],
  [["+", "−"], "zoom the time line; also Ctrl and the wheel"],
  [["←", "→"], "move the time line; also Shift and the wheel"],
  [["f"], "fit the task, or all of them"],
  [["0"], "follow the clock"],
  [["Shift", "C"], "cancel the task"],
  [["Shift", "D"], "detach the task"],
  [["?"], "this list"]
]

export const Help = ({ app }: { readonly app: App }): JSX.Element => (
  <dialog
    class="help"
    aria-label="Keyboard shortcuts"
    ref={(element) => {
      if (element !== null && !element.open) element.showModal()
    }}
    onClose={() => app.help(false)}
    onClick={(event) => {
      if (event.target === event.currentTarget) app.help(false)
    }}
  >
    <div class="help-body">
      <h2>Keyboard shortcuts</h2>
      <dl>
        {shortcuts.map(([keys, what]) => (
          <div key={what}>
            <dt>{keys.map((key) => <kbd key={key}>{key}</kbd>)}</dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <p class="quiet">
        A search finds tasks that have every word. {searchFields.map((field) => `${field}:`).join(" ")}{" "}
        look in one field; a word after - must not be there.
      </p>
      <button type="button" class="button" onClick={() => app.help(false)}>Close</button>
    </div>
  </dialog>
)

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement

/** Does what a key stands for; whether it did anything. */
const pressed = (app: App, event: KeyboardEvent): boolean => {
  const { panel, selected } = app.ui
  switch (event.key) {
    case "/":
      document.getElementById("search")?.focus()
      return true
    case "ArrowDown":
    case "j":
      app.step(1)
      return true
    case "ArrowUp":
    case "k":
      app.step(-1)
      return true
    case "PageDown":
      app.step(15)
      return true
    case "PageUp":
      app.step(-15)
      return true
    case "Home":
      app.step(-1e9)
      return true
    case "End":
      app.step(1e9)
      return true
    case "Enter":
      // a button is pressed with it
      if (selected === undefined || event.target instanceof HTMLButtonElement) return false
      app.show("Details")
      return true
    case "Escape":
      if (panel !== undefined) app.show(undefined)
      else if (selected !== undefined) app.select(undefined)
      app.list.focus()
      return true
    case "a":
      app.show(panel === "Inbox" ? undefined : "Inbox")
      return true
    case "g":
      app.group()
      return true
    case "+":
    case "=":
      app.zoom(1 / 1.6)
      return true
    case "-":
      app.zoom(1.6)
      return true
    case "ArrowLeft":
      app.pan(-1)
      return true
    case "ArrowRight":
      app.pan(1)
      return true
    case "f":
      app.fit()
      return true
    case "0":
      app.live()
      return true
    case "C":
      if (selected !== undefined) app.cancel(selected)
      return true
    case "D":
      if (selected !== undefined) app.detach(selected)
      return true
    case "?":
      app.help(true)
      return true
    default:
      return false
  }
}

/** Listens to the keyboard, except where something is typed. */
export const listenToKeys = (app: App): void => {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return
    if (isTyping(event.target)) {
      if (event.key === "Escape" && event.target instanceof HTMLElement) {
        event.target.blur()
        app.list.focus()
      }
      return
    }
    if (app.ui.hasHelp) return
    // a log is scrolled with them
    if (event.target instanceof HTMLPreElement && event.key !== "Escape") return
    if (pressed(app, event)) event.preventDefault()
  })
}

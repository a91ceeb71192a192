/** What is above the list: the connection, the search, the filters, and the piece of time. */
import type { JSX } from "preact"
import type { TaskStatus } from "../../../../model/Task.js"
import { type Freshness, staleness } from "../model/freshness.js"
import { groupings } from "../model/rows.js"
import { counted, lasting } from "../model/words.js"
import type { App } from "./App.js"
import { pictures, StatusIcon } from "./icons.js"
import { Text } from "./Text.js"

const statuses: ReadonlyArray<TaskStatus> = [
  "Running",
  "Queued",
  "Suspended",
  "Cancelling",
  "Completed",
  "Failed",
  "Cancelled"
]

const states: Readonly<Record<Freshness, string>> = {
  Connecting: "Connecting…",
  Reading: "Reading the tasks…",
  Live: "Live",
  Stale: "Not up to date",
  Lost: "Connection lost, trying again…",
  Full: "Too many pages are open: close one",
  Denied: "Logged out: open the address that the server printed"
}

const Search = ({ app }: { readonly app: App }): JSX.Element => (
  <label class="search">
    {pictures.search}
    <input
      id="search"
      type="search"
      aria-label="Search"
      aria-keyshortcuts="/"
      placeholder="Search, or tool:shell -kind:background"
      autocomplete="off"
      spellcheck={false}
      value={app.ui.view.search}
      onInput={(event) => app.see({ search: event.currentTarget.value })}
    />
    <kbd>/</kbd>
  </label>
)

export const Head = ({ app }: { readonly app: App }): JSX.Element => {
  const { hasCharts, panel } = app.ui
  const { freshness } = app
  const waiting = app.board.approvals.size
  return (
    <header class="head-bar">
      <h1>Tasks</h1>
      <span class={`connection is-${freshness}`} role="status">{states[freshness]}</span>
      <Search app={app} />
      <button
        type="button"
        class={`button inbox${waiting > 0 ? " has-waiting" : ""}`}
        aria-pressed={panel === "Inbox"}
        aria-label={`Approvals: ${waiting} waiting`}
        aria-keyshortcuts="a"
        onClick={() => app.show(panel === "Inbox" ? undefined : "Inbox")}
      >
        {pictures.inbox}
        <span class="label">Approvals</span>
        <span class="count">{counted(waiting)}</span>
      </button>
      <button
        type="button"
        class="icon-button"
        aria-label="Charts"
        aria-pressed={hasCharts}
        onClick={() => app.switchCharts()}
      >
        {pictures.charts}
      </button>
      <button type="button" class="icon-button" aria-label="Keyboard shortcuts" onClick={() => app.help(true)}>
        {pictures.help}
      </button>
    </header>
  )
}

/** What could not be read, for as long as that is so. */
export const Stale = ({ app }: { readonly app: App }): JSX.Element | null => {
  const words = app.freshness === "Stale" ? staleness(app.tasks.reading, app.approvals.reading) : undefined
  if (words === undefined) return null
  return (
    <div class="stale" role="alert">
      <p>
        <Text text={words} /> It is tried again by itself.
      </p>
      <button type="button" class="button is-small" onClick={() => app.readAgain()}>Try now</button>
    </div>
  )
}

export const Filters = ({ app }: { readonly app: App }): JSX.Element => {
  const { range, view } = app.ui
  return (
    <div class="tool-bar">
      <div class="chips" role="group" aria-label="Statuses">
        {statuses.map((status) => (
          <button
            key={status}
            type="button"
            class="chip"
            aria-pressed={view.statuses.has(status)}
            data-filter={status}
            onClick={() => app.toggle(status)}
          >
            <StatusIcon status={status} />
            <span class="label">{status === "Suspended" ? "Approval" : status}</span>
            <span class="count">{counted(app.board.counts[status])}</span>
          </button>
        ))}
      </div>
      <label class="grouping">
        <span class="label">Group by</span>
        <select
          aria-label="Group by"
          aria-keyshortcuts="g"
          value={view.grouping}
          onChange={(event) => app.group(groupings.find((one) => one === event.currentTarget.value) ?? "None")}
        >
          <option value="None">nothing</option>
          <option value="Session">session</option>
          <option value="Family">family</option>
        </select>
      </label>
      <div class="zoom" role="group" aria-label="Time line">
        <button type="button" class="icon-button" aria-label="Longer" onClick={() => app.zoom(1.6)}>−</button>
        <span class="span" aria-live="off">{lasting(range.length)}</span>
        <button type="button" class="icon-button" aria-label="Shorter" onClick={() => app.zoom(1 / 1.6)}>+</button>
        <button type="button" class="button is-small" onClick={() => app.fit()}>Fit</button>
        <button
          type="button"
          class="button is-small"
          aria-pressed={range.until === undefined}
          onClick={() => app.live()}
        >
          Live
        </button>
      </div>
    </div>
  )
}

const looks = ["queued", "foreground", "background", "approval", "retry"] as const

export const Legend = ({ app }: { readonly app: App }): JSX.Element => (
  <footer class="legend">
    {looks.map((look) => (
      <span key={look} class={`look is-${look}`}>{look === "retry" ? "waiting to retry" : look}</span>
    ))}
    <span class="total">
      {counted(app.board.rows.size - app.board.settled.size)} live
      {app.board.hidden.size > 0 ? `, and ${counted(app.board.hidden.size)} that are not shown` : ""}
    </span>
  </footer>
)

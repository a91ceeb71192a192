/** Everything that waits for a human, over all sessions. */
import type { JSX } from "preact"
import { plural } from "../model/words.js"
import type { App } from "./App.js"
import { Approval } from "./Approval.js"
import { pictures } from "./icons.js"

/** More are not shown at once. */
const mostShown = 100

export const Inbox = ({ app }: { readonly app: App }): JSX.Element => {
  const asked = [...app.board.asked.values()]
  return (
    <aside class="panel" aria-label="Approvals">
      <header class="panel-head">
        <div class="panel-title">
          <h2>Approvals</h2>
          <span class="quiet">{asked.length === 0 ? "" : `${plural(asked.length, "task")} waiting`}</span>
        </div>
        <button type="button" class="icon-button" aria-label="Close" onClick={() => app.show(undefined)}>
          {pictures.close}
        </button>
      </header>
      <div class="panel-body">
        {asked.length === 0 ? <p class="empty">Nothing waits for an answer.</p> : undefined}
        {asked.slice(0, mostShown).map((one) => <Approval key={one.approval.id} app={app} asked={one} />)}
        {asked.length > mostShown
          ? <p class="quiet">{asked.length - mostShown} more come once these are answered.</p>
          : undefined}
      </div>
    </aside>
  )
}

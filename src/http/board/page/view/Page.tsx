/** The page. */
import type { JSX } from "preact"
import type { App } from "./App.js"
import { Charts } from "./Charts.js"
import { Details } from "./Details.js"
import { Filters, Head, Legend, Stale } from "./Head.js"
import { Help } from "./Help.js"
import { pictures } from "./icons.js"
import { Inbox } from "./Inbox.js"
import { List } from "./List.js"
import { Text } from "./Text.js"

const Notices = ({ app }: { readonly app: App }): JSX.Element => (
  <div class="notices" role="status" aria-live="polite">
    {app.ui.notices.map((notice) => (
      <div key={notice.id} class={`notice${notice.isBad ? " is-bad" : ""}`}>
        <Text text={notice.text} />
        <button type="button" class="icon-button" aria-label="Dismiss" onClick={() => app.dismiss(notice)}>
          {pictures.close}
        </button>
      </div>
    ))}
  </div>
)

export const Page = ({ app }: { readonly app: App }): JSX.Element => {
  const { hasCharts, hasHelp, panel } = app.ui
  return (
    <div class="page">
      <Head app={app} />
      <Stale app={app} />
      <Filters app={app} />
      <main class="middle">
        <div class="left">
          {hasCharts ? <Charts app={app} /> : undefined}
          <List app={app} />
          <Legend app={app} />
        </div>
        {panel === "Details" ? <Details app={app} /> : panel === "Inbox" ? <Inbox app={app} /> : undefined}
      </main>
      <Notices app={app} />
      {hasHelp ? <Help app={app} /> : undefined}
    </div>
  )
}

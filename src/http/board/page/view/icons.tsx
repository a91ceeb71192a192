/** Small pictures. Each status has a shape of its own, so that nobody needs the colours. */
import type { JSX } from "preact"
import type { TaskStatus } from "../../../../model/Task.js"

const picture = (content: JSX.Element): JSX.Element => (
  <svg
    class="icon"
    viewBox="0 0 16 16"
    width="14"
    height="14"
    fill="none"
    stroke="currentColor"
    stroke-width="1.75"
    aria-hidden="true"
  >
    {content}
  </svg>
)

const statusPictures: Readonly<Record<TaskStatus, JSX.Element>> = {
  Queued: picture(<circle cx="8" cy="8" r="5.5" stroke-dasharray="2.2 2.2" />),
  Running: picture(
    <g>
      <circle cx="8" cy="8" r="5.5" opacity="0.45" />
      <circle cx="8" cy="8" r="2.5" fill="currentColor" stroke="none" />
    </g>
  ),
  Suspended: picture(<path d="M5.5 3.5v9M10.5 3.5v9" stroke-linecap="round" />),
  Cancelling: picture(<path d="M8 2.5a5.5 5.5 0 1 0 5.5 5.5M10 6l-4 4M6 6l4 4" stroke-linecap="round" />),
  Completed: picture(<path d="M3 8.5l3.2 3.2L13 4.8" stroke-linecap="round" stroke-linejoin="round" />),
  Failed: picture(<path d="M4 4l8 8M12 4l-8 8" stroke-linecap="round" />),
  Cancelled: picture(
    <g>
      <circle cx="8" cy="8" r="5.5" />
      <path d="M4.2 11.8l7.6-7.6" />
    </g>
  )
}

export const StatusIcon = ({ status }: { readonly status: TaskStatus }): JSX.Element => (
  <span class={`status-icon is-${status}`}>{statusPictures[status]}</span>
)

export const pictures = {
  search: picture(
    <g>
      <circle cx="7" cy="7" r="4.2" />
      <path d="M10.2 10.2L14 14" stroke-linecap="round" />
    </g>
  ),
  inbox: picture(<path d="M2 9.5h3.2l1 2h3.6l1-2H14M2 9.5V13h12V9.5M2 9.5L4 3h8l2 6.5" stroke-linejoin="round" />),
  charts: picture(<path d="M2.5 13V8.5M6.2 13V4M9.9 13V6.5M13.5 13V2.5" stroke-linecap="round" />),
  close: picture(<path d="M4 4l8 8M12 4l-8 8" stroke-linecap="round" />),
  folded: picture(<path d="M6 4l4 4-4 4" stroke-linecap="round" stroke-linejoin="round" />),
  open: picture(<path d="M4 6l4 4 4-4" stroke-linecap="round" stroke-linejoin="round" />),
  help: picture(<path d="M5.7 6a2.3 2.3 0 1 1 3.3 2.1c-.7.4-1 .8-1 1.6M8 12.4v.1" stroke-linecap="round" />)
} as const

/** The list: of thousands of rows only those that are seen are elements. */
import type { JSX } from "preact"
import { isSettled } from "../../../../model/settled.js"
import type { Phase } from "../model/bars.js"
import { lengthsOf } from "../model/bars.js"
import type { Freshness } from "../model/freshness.js"
import type { Line } from "../model/rows.js"
import { clock, lasting, plural } from "../model/words.js"
import type { App } from "./App.js"
import { pictures, StatusIcon } from "./icons.js"
import { Text } from "./Text.js"

const statusWords: Readonly<Record<string, string>> = { Suspended: "Needs approval" }

/** How a status is called on the page. */
export const wordOf = (status: string): string => statusWords[status] ?? status

const phaseWords: Readonly<Record<Phase, string>> = {
  Queued: "queued",
  Foreground: "foreground",
  Background: "background",
  Approval: "waiting for approval",
  Retry: "waiting to retry"
}

const namesOfPhases: ReadonlyArray<Phase> = ["Queued", "Foreground", "Background", "Approval", "Retry"]

/** The bar in words: what a reader that cannot see it is told. */
const barInWords = (line: Extract<Line, { readonly _tag: "Task" }>, now: number): string => {
  const lengths = lengthsOf(line.row.phases, line.row.snapshot.settledAt ?? now)
  return namesOfPhases.flatMap((phase) => {
    const length = lengths.get(phase)
    return length === undefined ? [] : [`${lasting(length)} ${phaseWords[phase]}`]
  }).join(", ")
}

const TaskLine = (
  { app, index, line }: {
    readonly app: App
    readonly line: Extract<Line, { readonly _tag: "Task" }>
    readonly index: number
  }
): JSX.Element => {
  const { ui } = app
  const { progress, snapshot } = line.row
  const now = app.now()
  const since = snapshot.startedAt ?? snapshot.createdAt
  const isSelected = ui.selected === snapshot.id
  return (
    <div
      class={`line task is-${snapshot.status}${isSelected ? " is-selected" : ""}`}
      role="row"
      id={`line-${index}`}
      aria-rowindex={index + 1}
      aria-selected={isSelected}
      aria-label={`${wordOf(snapshot.status)}: ${barInWords(line, now)}`}
      data-task={snapshot.id}
      data-status={snapshot.status}
      style={{ top: `${index * app.list.geometry.height}px`, height: `${app.list.geometry.height}px` }}
      onClick={() => app.select(snapshot.id)}
    >
      <div class="cells" role="presentation">
        <span class="cell name" role="gridcell" style={{ paddingLeft: `${line.depth * 14}px` }}>
          <StatusIcon status={snapshot.status} />
          <Text class="tool" text={snapshot.toolName} title />
          <Text class="call" text={snapshot.callId} />
        </span>
        <span class="cell session" role="gridcell">
          <Text text={snapshot.sessionId} title />
        </span>
        <span class="cell state" role="gridcell">
          {snapshot.status === "Running" && progress?.fraction !== undefined
            ? `${Math.round(Math.min(1, Math.max(0, progress.fraction)) * 100)} %`
            : snapshot.status === "Running" || isSettled(snapshot)
            ? lasting((snapshot.settledAt ?? now) - since)
            : snapshot.status === "Suspended"
            ? "Approval"
            : snapshot.status}
        </span>
      </div>
    </div>
  )
}

const SessionLine = (
  { app, index, line }: {
    readonly app: App
    readonly line: Extract<Line, { readonly _tag: "Session" }>
    readonly index: number
  }
): JSX.Element => (
  <div
    class="line group"
    role="row"
    id={`line-${index}`}
    aria-rowindex={index + 1}
    style={{ top: `${index * app.list.geometry.height}px`, height: `${app.list.geometry.height}px` }}
  >
    <span role="gridcell">
      <button
        type="button"
        class="fold"
        aria-expanded={!line.isFolded}
        onClick={() => app.fold(line.sessionId)}
      >
        {line.isFolded ? pictures.folded : pictures.open}
        <Text class="tool" text={line.sessionId} />
        <span class="quiet">
          {plural(line.live, "live task")}, {line.settled} settled{line.failed > 0 ? `, ${line.failed} failed` : ""}
        </span>
      </button>
    </span>
  </div>
)

/** What is said where the page knows no task. */
const noTasks: Readonly<Record<Freshness, string>> = {
  Connecting: "Connecting…",
  Reading: "Reading the tasks…",
  Live: "No task yet. Each one shows here as soon as it is accepted.",
  Stale: "The tasks could not be read.",
  Lost: "No task is known: the server does not answer.",
  Full: "No task is known: the server has no place for one more page.",
  Denied: "No task is known: this page is logged out."
}

/** The lines, and the canvas of their bars. */
export const List = ({ app }: { readonly app: App }): JSX.Element => {
  const { lines } = app.list
  const { first, shown } = app.list.seen()
  const { height } = app.list.geometry
  const selected = lines.findIndex((line) => line._tag === "Task" && line.row.id === app.ui.selected)
  const isShown = selected >= first && selected < first + shown.length
  return (
    <div class={`list${app.list.geometry.isNarrow ? " is-narrow" : ""}`}>
      <div class="axis" aria-hidden="true">
        <span class="head name">Task</span>
        <span class="head session">Session</span>
        <span class="head state">State</span>
        <canvas ref={app.list.axisIs} />
      </div>
      <div
        class="scroller"
        ref={app.list.scrollerIs}
        role="grid"
        tabIndex={0}
        aria-label="Tasks"
        aria-rowcount={lines.length}
        aria-activedescendant={isShown ? `line-${selected}` : undefined}
        onScroll={app.list.scrolled}
      >
        <div class="content" role="rowgroup" style={{ height: `${lines.length * height}px` }}>
          <canvas class="bars" ref={app.list.barsAre} aria-hidden="true" style={{ top: `${first * height}px` }} />
          {shown.map((line, place) =>
            line._tag === "Task"
              ? <TaskLine key={line.key} app={app} line={line} index={first + place} />
              : <SessionLine key={line.key} app={app} line={line} index={first + place} />
          )}
        </div>
        {lines.length === 0
          ? (
            <p class="empty">
              {app.board.rows.size === 0
                ? noTasks[app.freshness]
                : "No task matches."}
            </p>
          )
          : undefined}
      </div>
    </div>
  )
}

/** When something was, next to how long ago. */
export const When = ({ at, now }: { readonly at: number; readonly now: number }): JSX.Element => (
  <time dateTime={new Date(at).toISOString()} title={`${lasting(now - at)} ago`}>{clock(at, true)}</time>
)

/** Everything about one task, and the buttons that change it. */
import type { ComponentChildren, JSX } from "preact"
import { useEffect, useRef } from "preact/hooks"
import { isSettled } from "../../../../model/settled.js"
import type { TaskSnapshot } from "../../../../model/Task.js"
import type { ToolOutputPart, ToolResultPart } from "../../../../model/ToolCall.js"
import { lengthsOf, phasesOf } from "../model/bars.js"
import type { Happening, Row } from "../model/Board.js"
import { bytes, laidOut, lasting } from "../model/words.js"
import type { App } from "./App.js"
import { Approval, keyOf } from "./Approval.js"
import { pictures, StatusIcon } from "./icons.js"
import { When, wordOf } from "./List.js"
import type { Opened } from "./opened.js"
import { Lines, Text } from "./Text.js"

const Section = (
  { children, name, note }: { readonly name: string; readonly note?: string; readonly children: ComponentChildren }
): JSX.Element => (
  <section class="section">
    <h3>
      {name}
      {note === undefined ? undefined : <span class="quiet">{note}</span>}
    </h3>
    {children}
  </section>
)

const Fact = ({ children, name }: { readonly name: string; readonly children: ComponentChildren }): JSX.Element => (
  <div class="fact">
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
)

const Facts = (
  { app, snapshot, row }: { readonly app: App; readonly snapshot: TaskSnapshot; readonly row: Row | undefined }
) => {
  const now = app.now()
  const end = snapshot.settledAt ?? now
  const lengths = lengthsOf(row?.phases ?? phasesOf(snapshot), end)
  const queued = lengths.get("Queued")
  const approval = lengths.get("Approval")
  const worked = (lengths.get("Foreground") ?? 0) + (lengths.get("Background") ?? 0)
  const { parentTaskId } = snapshot
  return (
    <dl class="facts">
      <Fact name="Session">
        <Text text={snapshot.sessionId} />
      </Fact>
      <Fact name="Turn">
        <Text text={snapshot.turnId} />
      </Fact>
      <Fact name="Call">
        <Text text={snapshot.callId} />
      </Fact>
      <Fact name="Task">
        <Text text={snapshot.id} />
      </Fact>
      {parentTaskId === undefined ? undefined : (
        <Fact name="Started by">
          <button type="button" class="link" onClick={() => app.select(parentTaskId)}>
            <Text text={parentTaskId} />
          </button>
        </Fact>
      )}
      <Fact name="Kind">{snapshot.kind}</Fact>
      {snapshot.lane === undefined ? undefined : (
        <Fact name="Lane">
          <Text text={snapshot.lane} />
        </Fact>
      )}
      {snapshot.priority === undefined ? undefined : <Fact name="Priority">{String(snapshot.priority)}</Fact>}
      {snapshot.attempt === undefined ? undefined : <Fact name="Attempt">{String(snapshot.attempt)}</Fact>}
      <Fact name="Accepted">
        <When at={snapshot.createdAt} now={now} />
      </Fact>
      {queued === undefined || queued < 1 ? undefined : <Fact name="In the queue">{lasting(queued)}</Fact>}
      {approval === undefined ? undefined : <Fact name="For approval">{lasting(approval)}</Fact>}
      {worked === 0 ? undefined : <Fact name="At work">{lasting(worked)}</Fact>}
      {snapshot.settledAt === undefined ? undefined : (
        <Fact name="Ended">
          <When at={snapshot.settledAt} now={now} />
        </Fact>
      )}
      {snapshot.usage === undefined ? undefined : (
        <Fact name="Usage">
          <Text
            text={[
              `${lasting(snapshot.usage.runMillis)} of work`,
              ...Object.entries(snapshot.usage.costs).map(([name, cost]) => `${name} ${cost}`)
            ].join(", ")}
          />
        </Fact>
      )}
    </dl>
  )
}

const Input = ({ opened }: { readonly opened: Opened | undefined }): JSX.Element | null => {
  if (opened?.input === undefined) return null
  return (
    <Section name="Input">
      {opened.input === "Unknown"
        ? <p class="quiet">It is not kept.</p>
        : <Lines text={opened.input.text} label="Input" />}
    </Section>
  )
}

const Part = ({ part }: { readonly part: ToolOutputPart }): JSX.Element =>
  part._tag === "Text"
    ? <Lines text={part.text} label="Result" />
    : (
      <p class="quiet">
        <Text text={part.mediaType} />, {bytes(part.data.length)} of base64
      </p>
    )

const Result = ({ result }: { readonly result: ToolResultPart }): JSX.Element => (
  <Section name={result.isError ? "Failure" : "Result"}>
    {result.output._tag === "Text"
      ? <Lines text={result.output.text} label="Result" />
      : result.output._tag === "Structured"
      ? <Lines text={laidOut(result.output.value)} label="Result" />
      : <div>{result.output.parts.slice(0, 20).map((part, index) => <Part key={index} part={part} />)}</div>}
  </Section>
)

/** What a task has written; it stays at its end while a person does not look further up. */
const Log = ({ opened: { output } }: { readonly opened: Opened }): JSX.Element => {
  const box = useRef<HTMLDivElement>(null)
  const isAtEnd = useRef(true)
  useEffect(() => {
    const element = box.current?.querySelector("pre")
    if (isAtEnd.current) element?.scrollTo(0, element.scrollHeight)
  }, [output.end])
  // scroll events do not bubble
  const scrolled = (event: Event): void => {
    const { target } = event
    if (!(target instanceof HTMLElement)) return
    isAtEnd.current = target.scrollTop + target.clientHeight >= target.scrollHeight - 8
  }
  return (
    <Section name="Log" note={output.isCut ? `${bytes(output.total)}, the newest part` : bytes(output.total)}>
      <div ref={box} class="log" onScrollCapture={scrolled}>
        <Lines text={output.text} label="Log" />
      </div>
    </Section>
  )
}

const Progress = ({ row }: { readonly row: Row }): JSX.Element | null => {
  const { progress } = row
  if (progress === undefined || isSettled(row.snapshot)) return null
  const fraction = progress.fraction === undefined ? undefined : Math.min(1, Math.max(0, progress.fraction))
  return (
    <Section name="Progress" {...(fraction === undefined ? {} : { note: `${Math.round(fraction * 100)} %` })}>
      {fraction === undefined ? undefined : <progress max={1} value={fraction} aria-label="Progress" />}
      {progress.message === undefined ? undefined : (
        <p>
          <Text text={progress.message} />
        </p>
      )}
    </Section>
  )
}

const Events = ({ happenings }: { readonly happenings: ReadonlyArray<Happening> }): JSX.Element => (
  <Section name="Events">
    <ol class="happenings">
      {happenings.map(({ at, detail, seq, tag }) => (
        <li key={seq}>
          <When at={at} now={at} />
          <span class={`tag is-${tag}`}>{tag}</span>
          {detail === "" ? undefined : <Text class="quiet" text={detail} title />}
        </li>
      ))}
    </ol>
  </Section>
)

const Buttons = ({ app, snapshot }: { readonly app: App; readonly snapshot: TaskSnapshot }): JSX.Element | null => {
  if (isSettled(snapshot) || !app.may("control")) return null
  const isBusy = app.ui.busy.has(snapshot.id)
  const canDetach = snapshot.kind === "Foreground" && (snapshot.status === "Running" || snapshot.status === "Queued")
  return (
    <div class="buttons">
      <button type="button" class="button is-danger" disabled={isBusy} onClick={() => app.cancel(snapshot.id)}>
        {app.ui.busy.get(snapshot.id) === "Cancelling" ? "Cancelling…" : "Cancel"}
      </button>
      {canDetach
        ? (
          <button type="button" class="button" disabled={isBusy} onClick={() => app.detach(snapshot.id)}>
            Detach
          </button>
        )
        : undefined}
    </div>
  )
}

export const Details = ({ app }: { readonly app: App }): JSX.Element | null => {
  const { opened } = app
  const { selected } = app.ui
  if (selected === undefined) return null
  const row = app.board.rows.get(selected)
  const snapshot = row?.snapshot ?? opened?.snapshot
  const asked = app.board.asked.get(selected)
  return (
    <aside class="panel" aria-label="Details of the task">
      <header class="panel-head">
        {snapshot === undefined ? <h2>Task</h2> : (
          <div class="panel-title">
            <StatusIcon status={snapshot.status} />
            <h2>
              <Text text={snapshot.toolName} title />
            </h2>
            <span class={`badge is-${snapshot.status}`}>{wordOf(snapshot.status)}</span>
          </div>
        )}
        <button type="button" class="icon-button" aria-label="Close" onClick={() => app.show(undefined)}>
          {pictures.close}
        </button>
      </header>
      <div class="panel-body" key={selected}>
        {snapshot === undefined ?
          <p class="quiet">{opened?.fault === undefined ? "Reading…" : <Text text={opened.fault} />}</p> :
          (
            <div>
              {opened?.fault === undefined ? undefined : (
                <div class="stale" role="alert">
                  <p>
                    Not all of it could be read: <Text text={opened.fault} />
                  </p>
                  <button type="button" class="button is-small" onClick={() => opened.read()}>Try again</button>
                </div>
              )}
              {asked === undefined ? undefined : <Approval key={keyOf(asked)} app={app} asked={asked} />}
              <Buttons app={app} snapshot={snapshot} />
              <Facts app={app} snapshot={snapshot} row={row} />
              <Input opened={opened} />
              {row === undefined ? undefined : <Progress row={row} />}
              {opened === undefined || opened.output.total === 0 ? undefined : <Log opened={opened} />}
              {opened?.result === undefined ? undefined : <Result result={opened.result} />}
              {row === undefined || row.happenings.length === 0 ? undefined : <Events happenings={row.happenings} />}
            </div>
          )}
      </div>
    </aside>
  )
}

/** A request for approval, and its answer. */
import type { JSX } from "preact"
import { useState } from "preact/hooks"
import type { ApprovalQuestion, TaskApproval } from "../../../../model/Approval.js"
import { answerOf, type Field, fieldOf } from "../model/questions.js"
import { laidOut, lasting } from "../model/words.js"
import type { App } from "./App.js"
import { Lines, Text } from "./Text.js"

const Input = (
  { change, field, id, text }: {
    readonly field: Field
    readonly id: string
    readonly text: string
    readonly change: (text: string) => void
  }
): JSX.Element => {
  switch (field._tag) {
    case "Choice":
      return (
        <select id={id} value={text} onChange={(event) => change(event.currentTarget.value)}>
          <option value="">Choose…</option>
          {field.choices.map((choice, place) => (
            <option key={place} value={String(place)}>{laidOut(choice).replace(/^"|"$/g, "")}</option>
          ))}
        </select>
      )
    case "Flag":
      return (
        <select id={id} value={text} onChange={(event) => change(event.currentTarget.value)}>
          <option value="">Choose…</option>
          <option value="true">Yes</option>
          <option value="false">No</option>
        </select>
      )
    case "Number":
      return <input id={id} inputMode="decimal" value={text} onInput={(event) => change(event.currentTarget.value)} />
    case "Json":
      return (
        <textarea
          id={id}
          rows={3}
          spellcheck={false}
          placeholder="JSON"
          value={text}
          onInput={(event) => change(event.currentTarget.value)}
        />
      )
    case "Text":
      return field.isLong
        ? <textarea id={id} rows={3} value={text} onInput={(event) => change(event.currentTarget.value)} />
        : <input id={id} value={text} onInput={(event) => change(event.currentTarget.value)} />
  }
}

interface Entry {
  readonly question: ApprovalQuestion
  readonly field: Field
}

const Questions = (
  { app, asked, isBusy }: { readonly app: App; readonly asked: TaskApproval; readonly isBusy: boolean }
): JSX.Element => {
  const [texts, setTexts] = useState<ReadonlyMap<string, string>>(new Map())
  const [faults, setFaults] = useState<ReadonlyMap<string, string>>(new Map())
  const answered = new Set(asked.answered ?? [])
  const open = (asked.approval.questions ?? []).filter(({ id }) => !answered.has(id))
  const entries = open.map((question): Entry => ({ question, field: fieldOf(question) }))

  const submit = (event: SubmitEvent): void => {
    event.preventDefault()
    const found = new Map<string, string>()
    const answers: Array<readonly [string, unknown]> = []
    for (const { field, question } of entries) {
      const answer = answerOf(field, texts.get(question.id) ?? "")
      if (answer._tag === "Fault") found.set(question.id, answer.fault)
      else answers.push([question.id, answer.value])
    }
    setFaults(found)
    // an id can be any text, `__proto__` too
    if (found.size === 0) app.answer(asked, { answers: Object.fromEntries(answers) })
  }

  return (
    <form onSubmit={submit} class="questions">
      {entries.map(({ field, question }, place) => {
        const id = `question-${asked.taskId}-${place}`
        const fault = faults.get(question.id)
        return (
          <div class="question" key={question.id}>
            <label for={id}>
              <Text text={question.text} />
            </label>
            <Input
              id={id}
              field={field}
              text={texts.get(question.id) ?? ""}
              change={(text) => setTexts(new Map(texts).set(question.id, text))}
            />
            {fault === undefined ? undefined : <p class="fault" role="alert">The answer {fault}.</p>}
          </div>
        )
      })}
      <div class="buttons">
        <button type="submit" class="button is-primary" disabled={isBusy}>Answer</button>
        <Reject app={app} asked={asked} isBusy={isBusy} />
      </div>
    </form>
  )
}

const Reject = (
  { app, asked, isBusy }: { readonly app: App; readonly asked: TaskApproval; readonly isBusy: boolean }
): JSX.Element => {
  const [reason, setReason] = useState<string | undefined>(undefined)
  const reject = (): void =>
    app.answer(asked, { reject: reason?.trim() === "" || reason === undefined ? "Rejected." : reason })
  if (reason === undefined) {
    return <button type="button" class="button" disabled={isBusy} onClick={() => setReason("")}>Reject…</button>
  }
  return (
    <span class="reject">
      <input
        aria-label="Why it is rejected"
        placeholder="Why? The model reads it."
        value={reason}
        ref={(element) => {
          if (element !== null && element.value === "") element.focus()
        }}
        onInput={(event) => setReason(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") {
            event.preventDefault()
            reject()
          }
          if (event.key === "Escape") {
            event.stopPropagation()
            setReason(undefined)
          }
        }}
      />
      <button type="button" class="button is-danger" disabled={isBusy} onClick={reject}>Reject</button>
    </span>
  )
}

/** What is asked, all of it: what is approved is what was shown. */
export const Approval = ({ app, asked }: { readonly app: App; readonly asked: TaskApproval }): JSX.Element => {
  const { approval, taskId, toolRequest } = asked
  const isBusy = app.ui.busy.has(taskId)
  const row = app.board.rows.get(taskId)
  const since = row?.phases.findLast(({ phase }) => phase === "Approval")?.from
  const hasQuestions = (approval.questions ?? []).length > 0
  return (
    <div class="approval" data-approval={taskId}>
      <div class="approval-head">
        <button type="button" class="link" onClick={() => app.select(taskId)}>
          <Text class="tool" text={toolRequest.toolName} />
        </button>
        <Text class="quiet" text={toolRequest.sessionId} />
        {since === undefined ? undefined : <span class="quiet waited">{lasting(app.now() - since)}</span>}
      </div>
      <Lines text={approval.summary} label="What is asked" />
      {approval.reason === "" ? undefined : (
        <p class="quiet">
          <Text text={approval.reason} />
        </p>
      )}
      <details>
        <summary>Input of the call</summary>
        <Lines text={laidOut(toolRequest.input)} label="Input" />
      </details>
      {!app.may("approve")
        ? <p class="quiet">This login may not answer.</p>
        : hasQuestions
        ? <Questions app={app} asked={asked} isBusy={isBusy} />
        : (
          <div class="buttons">
            <button
              type="button"
              class="button is-primary"
              disabled={isBusy}
              onClick={() => app.answer(asked, "approve")}
            >
              Approve
            </button>
            <Reject app={app} asked={asked} isBusy={isBusy} />
          </div>
        )}
    </div>
  )
}

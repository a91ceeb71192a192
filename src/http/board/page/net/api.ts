/** The calls of the page. The cookie of the page goes with each of them. */
import type { TaskApproval } from "../../../../model/Approval.js"
import type { TaskId } from "../../../../model/ids.js"
import type { TaskSnapshot } from "../../../../model/Task.js"
import type { TaskOutput } from "../../../../model/TaskOutput.js"
import type { ToolResultPart } from "../../../../model/ToolCall.js"
import { writtenText } from "../../../api/internal/addressText.js"

/** Why a call failed, in words for the person at the page. `status` is 0 where nobody answered. */
export class CallFailed extends Error {
  readonly status: number
  constructor(message: string, status: number) {
    super(message)
    this.name = "CallFailed"
    this.status = status
  }
}

/** Why something failed, in words. */
export const wordsOf = (error: unknown): string => error instanceof CallFailed ? error.message : "for no known reason"

/** What the page may do. */
export type Scope = "read" | "control" | "approve"

export interface Caller {
  readonly name: string
  readonly scopes: ReadonlyArray<Scope>
  /** Whether the server shows what tasks were called with. */
  readonly inputs: boolean
}

interface TaskPage {
  readonly tasks: ReadonlyArray<TaskSnapshot>
  readonly next?: string
}

/** The answer to a request for approval. */
export type ApprovalAnswer =
  | "approve"
  | { readonly reject: string }
  | { readonly answers: Readonly<Record<string, unknown>> }

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const detailOf = (body: unknown, status: number): string => {
  const detail = isObject(body) ? body["detail"] : undefined
  return typeof detail === "string" ? detail : `the server answered ${status}`
}

/** The server is the other half of this package, so what it says is taken to have the type of its endpoint. */
const call = async <Body>(path: string, init: RequestInit = {}): Promise<Body> => {
  let response: Response
  try {
    response = await fetch(new URL(path, document.baseURI), { ...init, credentials: "same-origin", cache: "no-store" })
  } catch {
    throw new CallFailed("the server does not answer", 0)
  }
  const text = await response.text()
  let body: unknown
  try {
    body = text === "" ? undefined : JSON.parse(text)
  } catch {
    body = undefined
  }
  if (!response.ok) throw new CallFailed(detailOf(body, response.status), response.status)
  return body as Body
}

const post = (path: string, body: unknown): Promise<unknown> =>
  call(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) })

const inPath = (id: TaskId): string => encodeURIComponent(writtenText(id))

const task = (id: TaskId): string => `api/tasks/${inPath(id)}`

export const api = {
  caller: () => call<Caller>("api/caller"),
  /** Live tasks, page by page. */
  live: (cursor?: string) =>
    call<TaskPage>(
      `api/tasks?status=Queued&status=Running&status=Suspended&status=Cancelling&limit=1000${
        cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`
      }`
    ),
  /** Settled tasks, the one that settled last first. */
  settled: (limit: number) =>
    call<TaskPage>(
      `api/tasks?status=Completed&status=Failed&status=Cancelled&limit=${limit}`
    ),
  get: (id: TaskId) => call<TaskSnapshot>(task(id)),
  /** What a task was called with, as JSON text. */
  input: (id: TaskId) => call<{ readonly input?: string }>(`${task(id)}/input`),
  result: (id: TaskId) => call<{ readonly result?: ToolResultPart }>(`${task(id)}/result`),
  /** The newest piece of what a task has written, or the one from `start` on. */
  output: (id: TaskId, maxBytes: number, start?: number) =>
    call<TaskOutput>(`${task(id)}/output?maxBytes=${maxBytes}${start === undefined ? "" : `&start=${start}`}`),
  cancel: (id: TaskId) => post(`${task(id)}/cancel`, {}),
  detach: (id: TaskId) => post(`${task(id)}/detach`, {}),
  approvals: () => call<{ readonly approvals: ReadonlyArray<TaskApproval> }>("api/approvals"),
  answer: (asked: TaskApproval, answer: ApprovalAnswer) =>
    post(`api/approvals/${inPath(asked.taskId)}/answer`, {
      asking: asked.approval.asking ?? "",
      answer,
      approval: asked
    }),
  /** Exchanges a token, or the code behind the `#` of the address, for the cookie of the page. */
  login: (token: string) => post("login", { token })
} as const

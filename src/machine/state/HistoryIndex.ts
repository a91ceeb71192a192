/**
 * Kept tasks by their status, over all sessions and of each session, so that a page of some of them looks at no others. A manager whose
 * host never asks for some of them has none, and pays nothing for it.
 */
import type { SessionId } from "../../model/ids.js"
import type { TaskStatus } from "../../model/Task.js"
import type { SettledTask } from "./TaskRecord.js"

/** Tasks in the order in which they settled. */
export interface KeptRun {
  /** How many settled before an event. */
  readonly countBelow: (seq: number) => number
  /** The task at a place, 0 for the oldest; undefined beyond the ends. */
  readonly at: (index: number) => SettledTask | undefined
}

/** Places that are free at its front, beyond which it is worth while to move the others there. */
const mostFree = 32

class Run implements KeptRun {
  private tasks: Array<SettledTask | undefined> = []
  private first = 0

  get length(): number {
    return this.tasks.length - this.first
  }

  at(index: number): SettledTask | undefined {
    return index < 0 ? undefined : this.tasks[this.first + index]
  }

  countBelow(seq: number): number {
    let below = 0
    let notBelow = this.length
    while (below < notBelow) {
      const middle = (below + notBelow) >> 1
      if ((this.at(middle)?.seq ?? Infinity) < seq) below = middle + 1
      else notBelow = middle
    }
    return below
  }

  push(task: SettledTask): void {
    this.tasks.push(task)
  }

  dropOldest(): void {
    // a free place holds nothing: what is forgotten is not in the budget of the history any more
    this.tasks[this.first] = undefined
    this.first++
    // half of them at least, so that each task is moved once
    if (this.first <= mostFree || this.first * 2 < this.tasks.length) return
    this.tasks = this.tasks.slice(this.first)
    this.first = 0
  }
}

type Runs = Map<TaskStatus, Run>

const pushTo = (runs: Runs, task: SettledTask): void => {
  const { status } = task.snapshot
  const run = runs.get(status) ?? new Run()
  if (run.length === 0) runs.set(status, run)
  run.push(task)
}

const dropFrom = (runs: Runs, { snapshot: { status } }: SettledTask): void => {
  const run = runs.get(status)
  run?.dropOldest()
  if (run?.length === 0) runs.delete(status)
}

export class HistoryIndex {
  private readonly all: Runs = new Map()
  private readonly sessions = new Map<SessionId, Runs>()

  constructor(kept: Iterable<SettledTask>) {
    for (const task of kept) this.push(task)
  }

  /** Adds the task that has settled last. */
  push(task: SettledTask): void {
    const { sessionId } = task.snapshot
    pushTo(this.all, task)
    const known = this.sessions.get(sessionId)
    const runs: Runs = known ?? new Map()
    if (known === undefined) this.sessions.set(sessionId, runs)
    pushTo(runs, task)
  }

  /** Drops the task that settled first. */
  drop(task: SettledTask): void {
    const { sessionId } = task.snapshot
    dropFrom(this.all, task)
    const runs = this.sessions.get(sessionId)
    if (runs === undefined) return
    dropFrom(runs, task)
    if (runs.size === 0) this.sessions.delete(sessionId)
  }

  /** The sessions of which something is kept. */
  sessionIds(): Iterable<SessionId> {
    return this.sessions.keys()
  }

  /** The tasks of these statuses, of one session or of all. */
  runsOf(statuses: ReadonlyArray<TaskStatus>, sessionId: SessionId | undefined): ReadonlyArray<KeptRun> {
    const runs = sessionId === undefined ? this.all : this.sessions.get(sessionId)
    return statuses.flatMap((status) => runs?.get(status) ?? [])
  }
}

/** What settled before an event, the last one first, out of several runs. */
export function* newestFirst(runs: ReadonlyArray<KeptRun>, before: number): IterableIterator<SettledTask> {
  const heads = runs.map((run) => ({ run, place: run.countBelow(before) }))
  for (;;) {
    let newest: { readonly task: SettledTask; readonly head: { place: number } } | undefined = undefined
    for (const head of heads) {
      const task = head.run.at(head.place - 1)
      if (task !== undefined && (newest === undefined || task.seq > newest.task.seq)) newest = { task, head }
    }
    if (newest === undefined) return
    newest.head.place--
    yield newest.task
  }
}

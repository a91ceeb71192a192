/** What must hold of rows that stay and of output that is kept: what is readable as long as its row is there, and what is gone. */
import type { SessionId } from "../../../src/model/ids.js"
import type { TaskOutput } from "../../../src/model/TaskOutput.js"
import type { JournalRow } from "../../../src/services/Journal.js"
import type { Teller, Violation } from "./DurableWorld.js"
import type { MemoryDatabase } from "./MemoryDatabase.js"
import { isOwed } from "./memoryRows.js"
import type { DurablePlan } from "./plan.js"
import type { Situation } from "./situations.js"

interface Checked {
  readonly database: MemoryDatabase
  readonly plan: DurablePlan
  readonly violate: (rule: Violation["rule"], message: string) => void
  readonly meet: (situation: Situation) => void
}

export class KeptChecks {
  private readonly world: Checked
  /** What the tools of each task have written since its launch, by the epoch and the launch. */
  private readonly pieces = new Map<string, string>()
  /** How many bytes of the output of a task somebody was told of, and in which epoch. */
  private readonly toldOutput = new Map<string, { readonly total: number; readonly epoch: number }>()

  constructor(world: Checked) {
    this.world = world
  }

  private get keepsSettled(): boolean {
    return this.world.plan.keeping.settled > 0
  }

  // ---- settled tasks ----

  /** Somebody begins to look a task up. What he calls says whether it was found. */
  lookUp({ process }: Teller, taskId: string, how: string): (isFound: boolean) => void {
    const { database } = this.world
    const before = database.rowOf(taskId)
    return (isFound) => {
      if (isFound) {
        if (this.keepsSettled && before?.settled !== null) this.world.meet("a settled task that memory has forgotten")
        return
      }
      // a manager that was shut down reads no rows
      if (process.isClosing) return
      const row = database.rowOf(taskId)
      if (this.keepsSettled && before !== undefined && before.settled !== null && row?.number === before.number) {
        this.world.violate("kept", `${taskId} has settled, its row is there, and ${how} does not find it`)
      }
    }
  }

  /** Somebody begins to page through the history, of one session or of all; and has come to its end. */
  page({ process }: Teller, sessionId: SessionId | undefined): (ids: ReadonlyArray<string>) => void {
    const settled = (): ReadonlyArray<JournalRow> =>
      [...this.world.database.rows.values()].filter((row) =>
        row.settled !== null && (sessionId === undefined || row.sessionId === sessionId)
      ).sort((one, other) => (other.settled ?? 0) - (one.settled ?? 0))
    const before = settled()
    return (ids) => {
      if (!this.keepsSettled || process.isClosing) return
      this.world.meet("a page of the history")
      if (new Set(ids).size < ids.length) this.world.violate("kept", "a task is in the history twice")
      const after = new Set(settled().map(({ number }) => number))
      const expected = before.filter(({ number }) => after.has(number)).map(({ taskId }) => taskId)
      const known = new Set(expected)
      const found = ids.filter((id) => known.has(id))
      if (found.join() !== expected.join()) {
        this.world.violate("kept", `the history has ${found.join()}, and there are rows of ${expected.join()}`)
      }
    }
  }

  // ---- output ----

  /** A tool has written. */
  wrote({ epoch }: Teller, taskId: string, launch: number, text: string): void {
    const key = `${epoch} ${taskId} ${launch}`
    const { database, meet } = this.world
    const before = this.pieces.get(key)
    const row = database.rowOf(taskId)
    if (launch > 1 && before === undefined && row !== undefined && database.output.written.has(row.number)) {
      meet("output that goes on after a restart")
    }
    this.pieces.set(key, (before ?? "") + text)
  }

  /** A task is told to have completed: all that its tool has written is written down. */
  completed({ epoch }: Teller, taskId: string): void {
    const { database, plan: { keeping } } = this.world
    const row = database.rowOf(taskId)
    if (!keeping.output || row === undefined) return
    const launch = Number(/"launch":(\d+)/.exec(row.doc)?.[1])
    const pieces = this.pieces.get(`${epoch} ${taskId} ${launch}`) ?? ""
    const tail = pieces.slice(-keeping.outputBuffer)
    if (!(database.output.written.get(row.number)?.text ?? "").endsWith(tail)) {
      this.world.violate("output", `${taskId} has completed, and what it has written is not written down`)
    }
  }

  /** Somebody is shown the output of a task. */
  showOutput({ epoch, process }: Teller, taskId: string, { end, start, text, total }: TaskOutput): void {
    const { database, plan: { keeping } } = this.world
    const row = database.rowOf(taskId)
    const violate = (message: string) => this.world.violate("output", `${taskId}: ${message}`)
    if (end !== total || end - start !== text.length || text.length > keeping.outputBuffer) {
      violate(`is shown with ${text.length} bytes from ${start} to ${end} of ${total}`)
    }
    const told = this.toldOutput.get(taskId)
    // who was taken over does not know what came after, be it that the row has gone; and a manager that was shut down reads no rows
    const isBehind = epoch < (told?.epoch ?? 0) || row === undefined && !database.isOwner(epoch)
    if (told !== undefined && !isBehind && !process.isClosing) {
      if (total < told.total) violate(`${told.total} bytes were told of, and there are ${total}`)
    }
    if (!keeping.output || row === undefined) return
    if (total >= (told?.total ?? 0)) this.toldOutput.set(taskId, { total, epoch })
    const written = database.output.written.get(row.number) ?? { from: 0, text: "" }
    const { from } = written
    if (total > from + written.text.length) {
      this.world.violate("written first", `byte ${total} of the output of ${taskId} is shown and not written`)
    }
    if (start > from) this.world.meet("output whose beginning is forgotten")
    // what came before a gap is not known here
    const known = Math.max(start, from)
    if (known < end && written.text.slice(known - from, end - from) !== text.slice(known - start)) {
      violate(`bytes from ${start} to ${end} are shown, and others are written`)
    }
    if (start > Math.max(from, total - keeping.outputBuffer)) violate(`what is kept begins at ${start} of ${total}`)
  }

  // ---- in the end ----

  /** Nobody has taken anything for so long. */
  checkDropped(millis: number): void {
    for (const row of this.world.database.rows.values()) {
      if (row.settled !== null && isOwed(row) && this.world.database.age(row.number) >= millis) {
        this.world.violate("gone", `nobody has taken what ${row.taskId} brings, and it is there`)
      }
    }
  }

  /** Everything is delivered and as old as it may become: no row is there, and nobody finds what it said. */
  checkGone(shown: number): void {
    const { database, plan: { historyLimit, keeping } } = this.world
    const settled = [...database.rows.values()].filter((row) => row.settled !== null)
    const most = keeping.settled === Infinity ? Infinity : keeping.settled === 0 ? historyLimit : 0
    if (settled.length > most) this.world.violate("gone", `${settled.length} rows are there that are too old`)
    if (shown > most) this.world.violate("gone", `${shown} tasks are shown that are too old`)
    for (const number of database.output.chunks.keys()) {
      if (!database.rows.has(number)) this.world.violate("gone", `the output of row ${number} is there without it`)
    }
  }

  /** What left its row without an acknowledgement: somebody has it, or it had waited for too long. Returns what was dropped. */
  checkUntaken(brought: ReadonlySet<string>, isClosing: (taskId: string) => boolean): ReadonlySet<string> {
    const dropped = new Set<string>()
    for (const { brings, isDue, taskId } of this.world.database.untaken) {
      // an approval is withdrawn when it is answered
      const what = `${brings} ${taskId} `
      if (brings === "approval" || brought.has(what) || isClosing(taskId)) continue
      if (isDue) {
        this.world.meet("a result that nobody takes in time")
        dropped.add(what)
      } else this.world.violate("retention", `the ${brings} of ${taskId} is dropped before its time`)
    }
    if (this.world.database.aged > 0) this.world.meet("a row that is too old")
    return dropped
  }
}

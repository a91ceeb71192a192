/** The page as a whole: what is shown, what a person can do, and when it is drawn. */
import type { TaskApproval } from "../../../../model/Approval.js"
import type { SessionId, TaskId } from "../../../../model/ids.js"
import { isSettled } from "../../../../model/settled.js"
import type { TaskStatus } from "../../../../model/Task.js"
import type { FilteredTaskEvent } from "../../../../model/TaskEvent.js"
import {
  addSnapshots,
  applyEvent,
  beginLists,
  type Board,
  emptyBoard,
  endLists,
  nowOn,
  setAsked
} from "../model/Board.js"
import { type Connection, type Freshness, freshnessOf } from "../model/freshness.js"
import { beginning, fitting, moved, type Range, zoomed } from "../model/range.js"
import { type Grouping, groupings, type View } from "../model/rows.js"
import { showsTask } from "../model/told.js"
import { api, type ApprovalAnswer, CallFailed, type Scope, wordsOf } from "../net/api.js"
import { listen } from "../net/events.js"
import { Reader } from "../net/Reader.js"
import { ListView } from "./ListView.js"
import { type Opened, openTask } from "./opened.js"

/** What is shown beside the list. */
export type Panel = "Details" | "Inbox"

export interface Notice {
  readonly id: number
  readonly text: string
  readonly isBad: boolean
}

/** What a button does. */
export type Press = "Cancelling" | "Detaching" | "Answering"

/** What of the page is not about tasks. */
export interface Ui {
  connection: Connection
  scopes: ReadonlySet<Scope>
  /** Whether the server shows what tasks were called with. */
  hasInputs: boolean
  view: View
  range: Range
  selected: TaskId | undefined
  panel: Panel | undefined
  hasCharts: boolean
  hasHelp: boolean
  notices: ReadonlyArray<Notice>
  /** Tasks for which a button was pressed that is not answered yet, with what it does. */
  readonly busy: Map<TaskId, Press>
}

/** What is waiting to be read is read for so long in one go, in milliseconds: the page stays responsive. */
const readingTime = 10
/** How many events wait to be read at the most while the page is hidden. */
const mostHidden = 1_000
/** Between two drawings while events come, in milliseconds. */
const drawingPause = 80
/** Settled tasks that are asked for at the start. */
const askedSettled = 500

export class App {
  readonly board: Board = emptyBoard()
  readonly ui: Ui = {
    connection: "Connecting",
    scopes: new Set(),
    hasInputs: false,
    view: { statuses: new Set(), search: "", grouping: "None", folded: new Set() },
    range: { length: 120_000 },
    selected: undefined,
    panel: undefined,
    hasCharts: innerWidth >= 700,
    hasHelp: false,
    notices: [],
    busy: new Map()
  }
  readonly list = new ListView({
    changed: () => this.changed(),
    now: () => this.now(),
    range: () => this.ui.range,
    zoom: (factor, around) => this.zoom(factor, around),
    pan: (share) => this.#pan(share)
  })
  opened: Opened | undefined
  readonly tasks = new Reader({
    read: (isOver) => this.#readTasks(isOver),
    failed: (error) => this.#unread(error),
    changed: () => this.changed()
  })
  readonly approvals = new Reader({
    read: (isOver) => this.#readApprovals(isOver),
    failed: (error) => this.#unread(error),
    changed: () => this.changed()
  })

  readonly #render: (app: App) => void
  #drawnVersion = -1
  #drawnAt = 0
  #isUrgent = true
  #frame = 0
  #due = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #waiting: Array<string> = []
  #read = 0
  #asksInbox = false
  #nextNotice = 1
  #hasMoved = false

  constructor(render: (app: App) => void) {
    this.#render = render
    document.addEventListener("visibilitychange", () => this.changed())
  }

  /** Connects, and shows what comes. */
  start(): void {
    listen({
      told: (data) => {
        this.#waiting.push(data)
        // timers of a hidden page come once a minute, and nobody waits for it to respond
        if (document.hidden && this.#waiting.length - this.#read >= mostHidden) this.#readWaiting(performance.now())
        this.#schedule()
      },
      connection: (connection) => {
        this.ui.connection = connection
        if (connection === "Live") this.#connected()
        else this.#disconnected()
        this.changed()
      }
    })
    this.changed()
  }

  readonly now = (): number => nowOn(this.board, Date.now())

  #connected(): void {
    // what the connection before has told, and nobody has read, is in the lists: another manager may count from one again
    this.#waiting = []
    this.#read = 0
    beginLists(this.board)
    this.tasks.start()
    this.approvals.start()
  }

  /** Reads what was before the connection, page by page, while events come. */
  async #readTasks(isOver: () => boolean): Promise<void> {
    const { inputs, scopes } = await api.caller()
    this.ui.scopes = new Set(scopes)
    this.ui.hasInputs = inputs
    let cursor: string | undefined
    do {
      const { next, tasks } = await api.live(cursor)
      if (isOver()) return
      // what events have said of them is newer
      addSnapshots(this.board, tasks, 0)
      this.changed()
      cursor = next
    } while (cursor !== undefined)
    const { tasks } = await api.settled(askedSettled)
    if (isOver()) return
    addSnapshots(this.board, [...tasks].reverse(), 0)
    endLists(this.board)
    this.opened?.read()
    // those of tasks that were not known yet
    this.approvals.again()
    this.#begin()
  }

  async #readApprovals(isOver: () => boolean): Promise<void> {
    const { approvals } = await api.approvals()
    if (isOver()) return
    setAsked(this.board, approvals)
    this.changed()
  }

  /** A list could not be read: why, in words. */
  readonly #unread = (error: unknown): string => {
    if (error instanceof CallFailed && error.status === 401) {
      this.ui.connection = "Denied"
      this.#disconnected()
    }
    return wordsOf(error)
  }

  #disconnected(): void {
    this.tasks.stop()
    this.approvals.stop()
  }

  get freshness(): Freshness {
    return freshnessOf(this.ui.connection, this.tasks.reading, this.approvals.reading)
  }

  /** Reads now what could not be read. */
  readAgain(): void {
    for (const reader of [this.tasks, this.approvals]) if (reader.reading._tag === "Failed") reader.again()
  }

  /** Until a person has moved the time line. */
  #begin(): void {
    if (this.#hasMoved) return
    const now = this.now()
    let earliest = now
    for (const { snapshot } of this.board.rows.values()) {
      if (!isSettled(snapshot)) earliest = Math.min(earliest, snapshot.createdAt)
    }
    this.ui.range = beginning(earliest, now)
    this.changed()
  }

  // ---- when it is drawn

  /** Draws it soon, for a person has done something. */
  readonly changed = (): void => {
    this.#isUrgent = true
    this.#schedule()
  }

  #schedule(): void {
    if (this.#frame !== 0) return
    // a page that is not seen has no frames, and its title still counts
    if (document.hidden) this.#frame = -Number(setTimeout(this.#step, 250))
    else this.#frame = requestAnimationFrame(this.#step)
  }

  #later(pause: number): void {
    const due = performance.now() + pause
    if (this.#timer !== undefined && this.#due <= due) return
    clearTimeout(this.#timer)
    this.#due = due
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#schedule()
    }, pause)
  }

  readonly #step = (): void => {
    this.#frame = 0
    const begin = performance.now()
    this.#readWaiting(begin)
    const isStale = this.board.version !== this.#drawnVersion
    if (this.#isUrgent || (isStale && begin - this.#drawnAt >= drawingPause)) {
      if (this.list.order(this.board, this.ui.view, begin)) this.#later(drawingPause)
      this.#drawnVersion = this.board.version
      this.#drawnAt = begin
      this.#isUrgent = false
      document.title = `${this.board.approvals.size > 0 ? `(${this.board.approvals.size}) ` : ""}Tasks`
      this.#follow()
      this.#render(this)
    }
    if (!document.hidden) this.list.draw()
    if (this.#waiting.length > 0) this.#schedule()
    else if (this.board.version !== this.#drawnVersion) this.#later(drawingPause)
    else this.#later(this.#pauseOfBars())
  }

  /** A bar that grows moves by a pixel now and then; texts that count time change each second at most. */
  #pauseOfBars(): number {
    if (document.hidden) return 2_000
    const isLive = this.board.rows.size > this.board.settled.size
    if (isLive && performance.now() - this.#drawnAt > 1_000) this.#isUrgent = true
    return isLive || this.ui.range.until === undefined ? Math.min(1_000, Math.max(50, this.list.pixel)) : 1_000
  }

  #readWaiting(begin: number): void {
    const here = Date.now()
    while (this.#read < this.#waiting.length) {
      const data = this.#waiting[this.#read++]
      if (data === undefined) continue
      let event: FilteredTaskEvent
      try {
        // the server is the other half of this package
        event = JSON.parse(data) as FilteredTaskEvent
      } catch {
        continue
      }
      applyEvent(this.board, event, here)
      this.#heard(event)
      if (!document.hidden && performance.now() - begin > readingTime) break
    }
    if (this.#read === this.#waiting.length) {
      this.#waiting = []
      this.#read = 0
    } else if (this.#read > 10_000) {
      this.#waiting.splice(0, this.#read)
      this.#read = 0
    }
    if (this.#asksInbox) {
      this.#asksInbox = false
      this.approvals.again()
    }
  }

  #heard(event: FilteredTaskEvent): void {
    if (event._tag === "AwaitingApproval" || event._tag === "QuestionsAnswered" || event._tag === "Reset") {
      this.#asksInbox = true
    }
    if (event._tag === "Reset") this.opened?.read()
    if (event._tag !== "Reset" && showsTask(event)) this.opened?.heard(event)
  }

  /** What is known of the selected task goes with it. */
  #follow(): void {
    const { panel, selected } = this.ui
    const wanted = panel === "Details" ? selected : undefined
    if (this.opened?.id === wanted) return
    this.opened = wanted === undefined ? undefined : openTask(wanted, this.changed, this.ui.hasInputs)
  }

  // ---- what a person can do

  zoom(factor: number, around?: number): void {
    this.#hasMoved = true
    this.ui.range = zoomed(this.ui.range, factor, this.now(), around)
    this.changed()
  }

  #pan(share: number): void {
    this.#hasMoved = true
    this.ui.range = moved(this.ui.range, share * this.ui.range.length, this.now())
    this.changed()
  }

  pan(direction: -1 | 1): void {
    this.#pan(direction * 0.2)
  }

  live(): void {
    this.ui.range = { length: this.ui.range.length }
    this.changed()
  }

  /** Shows all of the selected task, or of everything that the list has. */
  fit(): void {
    this.#hasMoved = true
    const now = this.now()
    const { selected } = this.ui
    let from = Infinity
    let until = -Infinity
    for (const line of this.list.lines) {
      if (line._tag !== "Task" || (selected !== undefined && line.row.id !== selected)) continue
      from = Math.min(from, line.row.snapshot.createdAt)
      until = Math.max(until, line.row.snapshot.settledAt ?? now)
    }
    if (from <= until) this.ui.range = fitting(from, until, now)
    this.changed()
  }

  see(view: Partial<View>): void {
    this.ui.view = { ...this.ui.view, ...view }
    this.changed()
  }

  toggle(status: TaskStatus): void {
    const statuses = new Set(this.ui.view.statuses)
    if (!statuses.delete(status)) statuses.add(status)
    this.see({ statuses })
  }

  group(grouping?: Grouping): void {
    const next = groupings[(groupings.indexOf(this.ui.view.grouping) + 1) % groupings.length]
    this.see({ grouping: grouping ?? next ?? "None" })
  }

  fold(sessionId: SessionId): void {
    const folded = new Set(this.ui.view.folded)
    if (!folded.delete(sessionId)) folded.add(sessionId)
    this.see({ folded })
  }

  select(id: TaskId | undefined): void {
    this.ui.selected = id
    this.ui.panel = id === undefined ? undefined : "Details"
    this.changed()
  }

  /** Selects the task so many lines further down, and brings it into sight. */
  step(by: number): void {
    const { lines } = this.list
    let place = lines.findIndex((line) => line._tag === "Task" && line.row.id === this.ui.selected)
    const direction = by < 0 ? -1 : 1
    place = Math.min(lines.length - 1, Math.max(0, place + by))
    for (let line = lines[place]; line !== undefined; place += direction, line = lines[place]) {
      if (line._tag !== "Task") continue
      this.ui.selected = line.row.id
      this.list.reveal(place)
      break
    }
    this.changed()
  }

  show(panel: Panel | undefined): void {
    this.ui.panel = panel
    this.changed()
  }

  switchCharts(): void {
    this.ui.hasCharts = !this.ui.hasCharts
    this.changed()
  }

  help(isShown: boolean): void {
    this.ui.hasHelp = isShown
    this.changed()
  }

  /** Tells a person what happened, for some seconds. */
  notify(text: string, isBad = false): void {
    const notice: Notice = { id: this.#nextNotice++, text, isBad }
    this.ui.notices = [...this.ui.notices, notice].slice(-4)
    setTimeout(() => this.dismiss(notice), isBad ? 12_000 : 4_000)
    this.changed()
  }

  dismiss(notice: Notice): void {
    this.ui.notices = this.ui.notices.filter((one) => one !== notice)
    this.changed()
  }

  failed(what: string, error: unknown): void {
    // that the connection is lost is shown already
    if (error instanceof CallFailed && error.status === 0 && this.ui.connection !== "Live") return
    this.notify(`${what} failed: ${wordsOf(error)}`, true)
  }

  may(scope: Scope): boolean {
    return this.ui.scopes.has(scope)
  }

  async #press(id: TaskId, what: Press, press: () => Promise<unknown>): Promise<boolean> {
    if (this.ui.busy.has(id)) return false
    this.ui.busy.set(id, what)
    this.changed()
    try {
      await press()
      return true
    } catch (error) {
      this.failed(what, error)
      return false
    } finally {
      this.ui.busy.delete(id)
      this.changed()
    }
  }

  cancel(id: TaskId): void {
    const row = this.board.rows.get(id)
    if (row === undefined || isSettled(row.snapshot) || !this.may("control")) return
    void this.#press(id, "Cancelling", () => api.cancel(id))
  }

  detach(id: TaskId): void {
    const row = this.board.rows.get(id)
    if (row === undefined || row.snapshot.kind === "Background" || isSettled(row.snapshot) || !this.may("control")) {
      return
    }
    void this.#press(id, "Detaching", () => api.detach(id))
  }

  answer(asked: TaskApproval, answer: ApprovalAnswer): void {
    if (!this.may("approve")) return
    void this.#press(asked.taskId, "Answering", () => api.answer(asked, answer)).then((isDone) => {
      if (!isDone) this.#asksInbox = true
      this.#schedule()
    })
  }
}

/** The lines of the list: their order, which of them are seen, and the canvas beside them. */
import type { Board } from "../model/Board.js"
import { edges, type Range } from "../model/range.js"
import { type Line, linesOf, type View } from "../model/rows.js"
import { type Colours, readColours } from "./colours.js"
import { drawAxis, drawBars } from "./drawBars.js"
import { type Geometry, geometryOf } from "./geometry.js"

/** Between two new orders of the list while many tasks are there: so many times what it takes. */
const orderingShare = 6
/** Rows beyond the edge, so that a scroll finds them there. */
const overscan = 8
const axisHeight = 26

/** What a list needs of the page. */
export interface ListHost {
  readonly changed: () => void
  readonly now: () => number
  readonly range: () => Range
  readonly zoom: (factor: number, around: number) => void
  /** Moves the time line by a share of its length. */
  readonly pan: (share: number) => void
}

export class ListView {
  lines: ReadonlyArray<Line> = []
  geometry: Geometry = geometryOf(innerWidth)
  colours: Colours = readColours()

  readonly #host: ListHost
  // what an element is asked for makes the browser lay out the page, so it is kept
  #size = { width: innerWidth, height: innerHeight }
  #top = 0
  #orderedShape = -1
  #orderedView: View | undefined
  #orderedAt = 0
  #orderingTook = 0
  #scroller: HTMLElement | null = null
  #axis: HTMLCanvasElement | null = null
  #bars: HTMLCanvasElement | null = null

  readonly #resized = new ResizeObserver((entries) => {
    for (const { contentRect: { height, width } } of entries) this.#size = { width, height }
    this.geometry = geometryOf(this.#size.width)
    this.#host.changed()
  })

  constructor(host: ListHost) {
    this.#host = host
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.colours = readColours()
      host.changed()
    })
  }

  /** Puts the lines in order, if anything has changed that matters for it; whether that is still to be done. */
  order(board: Board, view: View, now: number): boolean {
    const isOther = this.#orderedView !== view
    if (!isOther && this.#orderedShape === board.shape) return false
    if (!isOther && now - this.#orderedAt < this.#orderingTook * orderingShare) return true
    const begin = performance.now()
    this.lines = linesOf(board, view)
    this.#orderingTook = performance.now() - begin
    this.#orderedAt = now
    this.#orderedShape = board.shape
    this.#orderedView = view
    return false
  }

  /** The lines that are elements now, and the place of the first of them. */
  seen(): { readonly first: number; readonly shown: ReadonlyArray<Line> } {
    const { height } = this.geometry
    const top = Math.min(this.#top, Math.max(0, this.lines.length * height - this.#size.height))
    const first = Math.max(0, Math.floor(top / height) - overscan)
    const last = Math.min(this.lines.length, Math.ceil((top + this.#size.height) / height) + overscan)
    return { first, shown: this.lines.slice(first, last) }
  }

  /** Draws the bars of the lines that are seen. */
  draw(): void {
    if (this.#bars === null) return
    const { colours, geometry } = this
    const { shown } = this.seen()
    const drawn = { colours, geometry, now: this.#host.now(), range: this.#host.range() }
    drawBars(this.#bars, { ...drawn, lines: shown })
    if (this.#axis !== null) drawAxis(this.#axis, drawn, axisHeight)
  }

  /** How much time a pixel is, in milliseconds. */
  get pixel(): number {
    return this.#host.range().length / Math.max(1, this.geometry.right - this.geometry.left)
  }

  /** Brings a line into sight. */
  reveal(place: number): void {
    if (this.#scroller === null) return
    const { height } = this.geometry
    const top = place * height
    if (top < this.#top) this.#scroller.scrollTop = top
    else if (top + height > this.#top + this.#size.height) this.#scroller.scrollTop = top + height - this.#size.height
  }

  focus(): void {
    this.#scroller?.focus()
  }

  readonly scrolled = (): void => {
    this.#top = this.#scroller?.scrollTop ?? 0
    this.#host.changed()
  }

  readonly scrollerIs = (element: HTMLElement | null): void => {
    if (element === this.#scroller) return
    this.#scroller = element
    this.#resized.disconnect()
    if (element === null) return
    this.#resized.observe(element)
    element.addEventListener("wheel", this.#wheeled, { passive: false })
  }

  readonly axisIs = (element: HTMLCanvasElement | null): void => {
    if (element === this.#axis) return
    this.#axis = element
    element?.addEventListener("pointerdown", this.#grabbed)
  }

  readonly barsAre = (element: HTMLCanvasElement | null): void => {
    this.#bars = element
  }

  readonly #wheeled = (event: WheelEvent): void => {
    if (!event.ctrlKey && !event.metaKey && !event.shiftKey) return
    event.preventDefault()
    if (event.shiftKey) return this.#host.pan((event.deltaY + event.deltaX) / 800)
    const { left, right } = this.geometry
    const { from, until } = edges(this.#host.range(), this.#host.now())
    const x = event.clientX - (this.#scroller?.getBoundingClientRect().left ?? 0)
    this.#host.zoom(Math.exp(event.deltaY / 300), from + ((x - left) / Math.max(1, right - left)) * (until - from))
  }

  readonly #grabbed = (event: PointerEvent): void => {
    const axis = this.#axis
    if (axis === null) return
    axis.setPointerCapture(event.pointerId)
    let x = event.clientX
    const over = new AbortController()
    axis.addEventListener("pointermove", (next) => {
      this.#host.pan((x - next.clientX) / Math.max(1, this.geometry.right - this.geometry.left))
      x = next.clientX
    }, over)
    axis.addEventListener("lostpointercapture", () => over.abort(), over)
  }
}

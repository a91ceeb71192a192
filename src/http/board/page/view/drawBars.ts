/** Draws the bars of the rows that are seen. */
import { isSettled } from "../../../../model/settled.js"
import { type Phase, spansOf } from "../model/bars.js"
import { edges, type Range, ticks } from "../model/range.js"
import type { Line } from "../model/rows.js"
import { clock } from "../model/words.js"
import type { Colours } from "./colours.js"
import type { Geometry } from "./geometry.js"

/** Makes a canvas as large as it is shown, on any screen; undefined where there is no room. */
const canvasOf = (
  canvas: HTMLCanvasElement,
  width: number,
  height: number
): CanvasRenderingContext2D | undefined => {
  const ratio = devicePixelRatio || 1
  const columns = Math.max(0, Math.round(width * ratio))
  const lines = Math.max(0, Math.round(height * ratio))
  // also where nothing is to be drawn: what was drawn before goes
  if (canvas.width !== columns || canvas.height !== lines) {
    canvas.width = columns
    canvas.height = lines
    canvas.style.width = `${width}px`
    canvas.style.height = `${height}px`
  }
  if (columns < 1 || lines < 1) return undefined
  const context = canvas.getContext("2d") ?? undefined
  context?.setTransform(ratio, 0, 0, ratio, 0, 0)
  context?.clearRect(0, 0, width, height)
  return context
}

/** What is drawn, at one moment. */
export interface Drawn {
  readonly lines: ReadonlyArray<Line>
  readonly geometry: Geometry
  readonly colours: Colours
  readonly range: Range
  readonly now: number
}

/** A part of a bar that is shorter than this is still seen. */
const thinnest = 2

const fillPhase = (
  context: CanvasRenderingContext2D,
  phase: Phase,
  [x, y, width, height]: readonly [number, number, number, number],
  colours: Colours
): void => {
  context.fillStyle = colours.phases[phase]
  // waiting is thin, work is thick
  if (phase === "Queued" || phase === "Retry") {
    context.fillRect(x, y + height / 2 - 1.5, width, 3)
    return
  }
  if (phase !== "Approval") {
    context.beginPath()
    context.roundRect(x, y, width, height, Math.min(2, width / 2))
    context.fill()
    return
  }
  context.globalAlpha = 0.25
  context.fillRect(x, y, width, height)
  context.globalAlpha = 1
  context.fillRect(x, y, width, 1.5)
  context.fillRect(x, y + height - 1.5, width, 1.5)
}

/** Draws the bars of the lines, the first of them at the top of the canvas. */
export const drawBars = (
  canvas: HTMLCanvasElement,
  { colours, geometry, lines, now, range }: Drawn
): void => {
  const { barHeight, barTop, height, left, right } = geometry
  const width = right - left
  const context = canvasOf(canvas, right + 14, lines.length * height)
  if (context === undefined) return
  const { from, until } = edges(range, now)
  const scale = width / (until - from)
  const x = (at: number): number => left + (at - from) * scale
  context.save()
  context.beginPath()
  context.rect(left, 0, width, lines.length * height)
  context.clip()
  if (!geometry.isNarrow) {
    context.fillStyle = colours.line
    for (const tick of ticks({ from, until }, width, 90).at) {
      context.globalAlpha = 0.7
      context.fillRect(Math.round(x(tick)), 0, 1, lines.length * height)
    }
    context.globalAlpha = 1
  }
  for (const [index, line] of lines.entries()) {
    if (line._tag !== "Task") {
      // its text may reach as far as here
      context.clearRect(left, index * height, width, height)
      continue
    }
    const { phases, snapshot } = line.row
    const y = index * height + barTop
    const end = snapshot.settledAt ?? now
    for (const span of spansOf(phases, end)) {
      const begin = Math.max(left - 2, x(span.from))
      const stop = Math.min(right + 2, Math.max(x(span.until), x(span.from) + thinnest))
      if (stop <= left || begin >= right) continue
      fillPhase(context, span.phase, [begin, y, stop - begin, barHeight], colours)
    }
    if (!isSettled(snapshot)) continue
    const last = x(end)
    if (last < left || last > right + 6) continue
    context.fillStyle = colours.statuses[snapshot.status]
    context.fillRect(Math.max(left, last - 1.5), y - 2, 3, barHeight + 4)
  }
  if (now > from && now < until) {
    context.fillStyle = colours.muted
    context.globalAlpha = 0.5
    // under a text it would cross it
    if (!geometry.isNarrow) context.fillRect(Math.round(x(now)), 0, 1, lines.length * height)
  }
  context.restore()
}

/** Draws the times above the bars. */
export const drawAxis = (
  canvas: HTMLCanvasElement,
  { colours, geometry: { left, right }, now, range }: Omit<Drawn, "lines">,
  height: number
): void => {
  const context = canvasOf(canvas, right + 14, height)
  if (context === undefined) return
  const { from, until } = edges(range, now)
  const width = right - left
  const { at, step } = ticks({ from, until }, width, 90)
  context.fillStyle = colours.muted
  context.font = "11px system-ui, sans-serif"
  context.textBaseline = "middle"
  context.textAlign = "center"
  for (const tick of at) {
    const x = left + ((tick - from) / (until - from)) * width
    const text = clock(tick, step < 1_000)
    const half = context.measureText(text).width / 2
    if (x - half < left || x + half > right + 14) continue
    context.fillText(text, x, height / 2)
  }
}

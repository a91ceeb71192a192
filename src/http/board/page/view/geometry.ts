/** Where things are in the list: the rows are elements, and their bars are drawn on a canvas beside them. */

export interface Geometry {
  readonly isNarrow: boolean
  /** Of a row. */
  readonly height: number
  /** Where the bars begin and end, in pixels from the left of the list. */
  readonly left: number
  readonly right: number
  /** Where the bar is in its row, from its top. */
  readonly barTop: number
  readonly barHeight: number
}

/** Below this width a bar is under its text, and not beside it. */
const narrowBelow = 700

/** How wide the text of a row is beside its bar. board.css has the same number. */
const textWidth = (width: number): number => width < 1_000 ? 320 : 430

export const geometryOf = (width: number): Geometry =>
  width < narrowBelow
    ? { isNarrow: true, height: 52, left: 38, right: width - 14, barTop: 35, barHeight: 8 }
    : { isNarrow: false, height: 30, left: textWidth(width), right: width - 22, barTop: 9, barHeight: 12 }

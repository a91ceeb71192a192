/** Throughput, time in the queue, and failures: of the last minutes. */
import { Component, createRef, type JSX } from "preact"
import uPlot from "uplot"
import { columnsOf } from "../model/seconds.js"
import { clock, lasting } from "../model/words.js"
import type { App } from "./App.js"
import type { Colours } from "./colours.js"

/** What the charts show, in seconds. */
const length = 300
const step = 5
const height = 76
/** How many of the last steps the number beside the name is of. */
const recent = 6

interface ChartProps {
  readonly name: string
  readonly value: string
  readonly colours: Colours
  readonly lines: ReadonlyArray<{ readonly name: string; readonly colour: string; readonly isFilled: boolean }>
  readonly data: uPlot.AlignedData
  readonly format: (value: number) => string
  /** The least that the axis goes up to. */
  readonly least: number
}

class Chart extends Component<ChartProps> {
  readonly #box = createRef<HTMLDivElement>()
  #plot: uPlot | undefined
  #sizes: ResizeObserver | undefined

  #make(): void {
    const box = this.#box.current
    if (box === null) return
    this.#plot?.destroy()
    const { colours, data, format, lines } = this.props
    const axis = { stroke: colours.muted, font: "10px system-ui, sans-serif", ticks: { show: false } }
    this.#plot = new uPlot(
      {
        width: Math.max(80, box.clientWidth),
        height,
        padding: [6, 18, 0, 0],
        legend: { show: false },
        cursor: { show: false },
        scales: { y: { range: (_plot, _least, most) => [0, Math.max(this.props.least, (most ?? 0) * 1.1)] } },
        axes: [
          {
            ...axis,
            grid: { show: false },
            size: 18,
            space: 90,
            values: (_plot, at) => at.map((one) => clock(one * 1_000).slice(0, 5))
          },
          {
            ...axis,
            grid: { stroke: colours.line, width: 1 },
            size: 44,
            space: 26,
            values: (_plot, values) => values.map(format)
          }
        ],
        series: [
          {},
          ...lines.map(({ colour, isFilled }) => ({
            stroke: colour,
            width: 1.5,
            points: { show: false },
            spanGaps: false,
            ...(isFilled ? { fill: `${colour}22` } : {})
          }))
        ]
      },
      data,
      box
    )
  }

  override componentDidMount(): void {
    this.#make()
    const box = this.#box.current
    if (box === null) return
    this.#sizes = new ResizeObserver(() => {
      if (this.#plot?.width !== box.clientWidth) this.#plot?.setSize({ width: Math.max(80, box.clientWidth), height })
    })
    this.#sizes.observe(box)
  }

  override componentDidUpdate(before: ChartProps): void {
    if (before.colours !== this.props.colours) this.#make()
    else if (before.data !== this.props.data) this.#plot?.setData(this.props.data)
  }

  override componentWillUnmount(): void {
    this.#sizes?.disconnect()
    this.#plot?.destroy()
  }

  override render({ lines, name, value }: ChartProps): JSX.Element {
    return (
      <figure class="chart" aria-label={`${name}: ${value}`}>
        <figcaption>
          <span class="chart-name">{name}</span>
          <span class="chart-value">{value}</span>
          <span class="chart-lines">
            {lines.map((line, place) => <span key={line.name} class={`chart-line line-${place}`}>{line.name}</span>)}
          </span>
        </figcaption>
        <div class="plot" ref={this.#box} />
      </figure>
    )
  }
}

const rate = (value: number): string => value >= 100 ? String(Math.round(value)) : String(Math.round(value * 10) / 10)

const lastOf = (values: ReadonlyArray<number | null>): number | undefined =>
  values.findLast((value) => value !== null) ?? undefined

type Shown = ReturnType<typeof columnsOf>

export class Charts extends Component<{ readonly app: App }> {
  #columns: Shown | undefined
  #data: {
    readonly finished: uPlot.AlignedData
    readonly waits: uPlot.AlignedData
    readonly failures: uPlot.AlignedData
  } | undefined
  #end = 0

  override render({ app }: { readonly app: App }): JSX.Element {
    const now = app.now()
    const end = Math.floor(now / 1_000 / step)
    const stale = this.#data === undefined || this.#columns === undefined || end !== this.#end
    const columns = stale || this.#columns === undefined
      ? columnsOf(app.board.seconds, { now, length, step })
      : this.#columns
    const data = stale || this.#data === undefined
      ? {
        finished: [columns.times, columns.completed, columns.cancelled] satisfies uPlot.AlignedData,
        waits: [columns.times, columns.meanWait, columns.longestWait] satisfies uPlot.AlignedData,
        failures: [columns.times, columns.failed] satisfies uPlot.AlignedData
      }
      : this.#data
    this.#columns = columns
    this.#data = data
    this.#end = end
    const { colours } = app.list
    const failed = columns.failed.reduce((sum, one) => sum + one * step, 0)
    const wait = lastOf(columns.meanWait)
    return (
      <div class="charts">
        <Chart
          name="Throughput"
          value={`${rate(columns.completed.slice(-recent).reduce((sum, one) => sum + one, 0) / recent)} per second`}
          colours={colours}
          format={rate}
          least={1}
          data={data.finished}
          lines={[
            { name: "completed", colour: colours.statuses.Completed, isFilled: true },
            { name: "cancelled", colour: colours.statuses.Cancelled, isFilled: false }
          ]}
        />
        <Chart
          name="Time in queue"
          value={wait === undefined ? "none" : `${lasting(wait)} on average`}
          colours={colours}
          format={lasting}
          least={10}
          data={data.waits}
          lines={[
            { name: "average", colour: colours.phases.Foreground, isFilled: true },
            { name: "longest", colour: colours.muted, isFilled: false }
          ]}
        />
        <Chart
          name="Failures"
          value={`${Math.round(failed)} in 5 minutes`}
          colours={colours}
          format={rate}
          least={1}
          data={data.failures}
          lines={[{ name: "failed per second", colour: colours.statuses.Failed, isFilled: true }]}
        />
      </div>
    )
  }
}

/** Whether what is kept of a task's output is what it wrote. */
import type { TaskLog } from "./check.js"
import type { World } from "./World.js"

const encoder = new TextEncoder()

export const checkOutput = (world: World, { id, launches }: TaskLog): void => {
  const kept = world.subject.engine.state.table.tasks.get(id)
  if (kept === undefined) return
  const written = world.written.filter(({ taskId }) => taskId === id)
  const { end, text, total } = kept.output?.read({}) ?? { text: "", end: 0, total: 0 }
  const openTo = (launch: number): number => launches.find(({ number }) => number === launch)?.end?.order ?? Infinity
  const heard = written.filter(({ launch, order }) => order < openTo(launch))
  const all = heard.map(({ chunk }) => chunk).join("")
  // a write that returned after the end of its launch, or never, may have come before it
  if (heard.length < written.length) {
    if (total < encoder.encode(all).length) world.violate(10, `${id} lost some of its output`)
    return
  }
  const { outputBuffer } = world.plan
  if (total !== encoder.encode(all).length || end !== total) {
    world.violate(10, `${id} wrote ${JSON.stringify(all)}, but ${total} bytes are counted to ${end}`)
  }
  const isNewest = all.endsWith(text) && encoder.encode(text).length <= outputBuffer
  // a character that is cut is left out
  const isWhole = encoder.encode(text).length > Math.min(outputBuffer, total) - 4
  // others may have settled since, and then the oldest goes first
  const isForgotten = text === "" && world.plan.outputHistory < 1_000
  if (!(isNewest && (isWhole || isForgotten))) {
    world.violate(10, `${id} wrote ${JSON.stringify(all)}, but ${JSON.stringify(text)} is kept`)
  }
}

import { Effect } from "effect"
import { Session } from "node:inspector/promises"
import { contenderOf } from "../contenders/index.js"
import { spread } from "../stats.js"
import { makeBatches } from "../work.js"
import { atMost, type Target } from "./Target.js"

const calls = 16_000

interface Sampled {
  readonly selfSize: number
  readonly children: ReadonlyArray<Sampled>
}

const sizeOf = ({ children, selfSize }: Sampled): number =>
  children.reduce((sum, child) => sum + sizeOf(child), selfSize)

/** The bytes that an effect allocates, by V8's sampling: also of what is collected meanwhile. */
const allocatedBy = (session: Session, effect: Effect.Effect<void>): Effect.Effect<number> =>
  Effect.gen(function*() {
    const options = {
      samplingInterval: 8_192,
      includeObjectsCollectedByMajorGC: true,
      includeObjectsCollectedByMinorGC: true
    }
    yield* Effect.promise(() => session.post("HeapProfiler.startSampling", options))
    yield* effect
    const { profile } = yield* Effect.promise(() => session.post("HeapProfiler.stopSampling"))
    return sizeOf(profile.head)
  })

/** What a lifecycle allocates, however short it lives: the collector's work, which is a quarter of the time. */
export const allocated: Target = {
  name: "allocated",
  measure: (quick) =>
    Effect.scoped(Effect.gen(function*() {
      const session = yield* Effect.acquireRelease(
        Effect.sync(() => {
          const opened = new Session()
          opened.connect()
          return opened
        }),
        (opened) => Effect.sync(() => opened.disconnect())
      )
      const batches = makeBatches(calls, 16)
      const bytes = (name: string) =>
        Effect.gen(function*() {
          const { run } = yield* contenderOf(name).make(batches, "yield")
          const found: Array<number> = []
          for (let round = -3; round < (quick ? 3 : 9); round++) {
            const all = yield* allocatedBy(session, run)
            if (round >= 0) found.push(all / calls)
          }
          return found
        })
      const live = yield* bytes("live")
      const others = yield* Effect.forEach(["floor", "leanest"], (name) =>
        Effect.map(bytes(name), (found) => `${name} ${Math.round(spread(found).median)}`))
      return [{
        what: "bytes that a lifecycle allocates (yield, 16)",
        measured: spread(live),
        unit: "bytes",
        target: atMost(13_200),
        note: others.join(", ")
      }]
    }))
}

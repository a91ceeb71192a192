import { Effect } from "effect"
import { measureLifecycle } from "../lifecycle.js"
import { atMost, below, type Target, type TargetResult } from "./Target.js"

interface Row {
  readonly what: string
  readonly cells: RegExp
  readonly target: TargetResult["target"]
}

/** The manager directly against one other, both in one process. */
const against = (base: string, rows: ReadonlyArray<Row>): Target => ({
  name: `vs-${base}`,
  measure: (quick) =>
    Effect.map(
      // all N calls through an agent framework take minutes, and have no target
      measureLifecycle(
        { _tag: "Lifecycle", base: { _tag: "Contender", name: base }, contender: "live", quick },
        (cell) => rows.some(({ cells }) => cells.test(cell))
      ),
      (measured) =>
        rows.flatMap(({ cells, target, what }) =>
          measured.filter(({ cell }) => cells.test(cell)).map(({ cell, ratio }): TargetResult => ({
            what: `${what} (${cell})`,
            measured: ratio,
            unit: "ratio",
            target
          }))
        )
    )
})

export const lifecycleTargets: ReadonlyArray<Target> = [
  against("floor", [
    { what: "lifecycle / floor", cells: /^sync/, target: atMost(1.2) },
    { what: "lifecycle / floor", cells: /^yield, 1$/, target: atMost(1.2) },
    { what: "lifecycle / floor", cells: /^yield, (16|all N)$/, target: atMost(1.9) }
  ]),
  against("fiber-map", [{ what: "lifecycle / `FiberMap` + `PubSub` by hand", cells: /./, target: atMost(1) }]),
  against("p-queue", [{ what: "lifecycle / p-queue + `AbortController`", cells: /, (16|all N)$/, target: below(1) }]),
  against("ai-sdk", [{ what: "lifecycle / Vercel AI SDK tool loop", cells: /, 16$/, target: atMost(0.5) }]),
  against("langgraph", [{ what: "lifecycle / LangGraph `ToolNode`", cells: /, 16$/, target: atMost(0.5) }])
]

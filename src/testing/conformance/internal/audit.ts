/** What holds at the end of every case: the order of events, and one end for every task. */
import * as Effect from "effect/Effect"
import type { TaskId } from "../../../model/ids.js"
import type { TaskEvent } from "../../../model/TaskEvent.js"
import { isInOrder, isTerminal } from "../../eventOrder.js"
import type { ConformanceFailure } from "../ConformanceFailure.js"
import { equal, isTrue } from "./check.js"
import type { World } from "./World.js"

export const audit = (world: World): Effect.Effect<void, ConformanceFailure> =>
  Effect.gen(function*() {
    const events = yield* world.events
    yield* equal("seq counts 1, 2, 3… without a gap", events.map(({ seq }) => seq), events.map((_, index) => index + 1))
    yield* isTrue(
      "times never go back",
      events.every(({ at }, index) => index === 0 || at >= (events[index - 1]?.at ?? at))
    )
    const lives = new Map<TaskId, Array<TaskEvent>>()
    for (const event of events) {
      if (event.taskId === undefined) continue
      const life = lives.get(event.taskId) ?? []
      life.push(event)
      lives.set(event.taskId, life)
    }
    for (const [id, life] of lives) {
      const told = life.map(({ _tag }) => _tag)
      yield* isTrue(`the events of ${id} come in the order of 4.4: ${told.join(", ")}`, isInOrder(life))
      yield* equal(`terminal events of ${id}`, life.filter(isTerminal).length, 1)
      yield* isTrue(`${id} is detached at most once`, life.filter(({ _tag }) => _tag === "Detached").length <= 1)
      const last = life.find(isTerminal)
      const kept = yield* Effect.option(world.handle.get(id))
      if (last !== undefined && kept._tag === "Some") {
        yield* equal(`${id} stays what its terminal event says`, kept.value.status, last._tag)
      }
    }
    for (const launch of yield* world.launches) {
      const [id = "", number = ""] = launch.split("#")
      const started = events.some((event) =>
        event._tag === "Started" && event.snapshot.id === id && String(event.snapshot.launch) === number
      )
      yield* isTrue(`launch ${launch} began after it was announced`, started)
    }
    const launches = yield* world.launches
    const retries = events.filter(({ _tag }) => _tag === "Retrying").length
    yield* isTrue("no launch begins twice, attempts aside", launches.length <= new Set(launches).size + retries)
  })

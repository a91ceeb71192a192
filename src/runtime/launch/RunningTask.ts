/** What a running tool sees of its task. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { TaskRecord } from "../../machine/state/TaskRecord.js"
import { jsonCopy } from "../../model/json.js"
import type { CurrentTask } from "../../services/CurrentTask.js"
import type { Launch } from "./Launch.js"

type CurrentTaskService = CurrentTask["Type"]

const noAnswers = Object.freeze({})

/** The effects are made when they are asked for: most tools ask for none. */
export class RunningTask implements CurrentTaskService {
  readonly taskId: CurrentTaskService["taskId"]
  readonly request: CurrentTaskService["request"]
  readonly launch: number
  readonly approval: CurrentTaskService["approval"]
  readonly #launch: Launch
  readonly #answers: TaskRecord["answers"]

  constructor(launch: Launch, task: TaskRecord, number: number, request: TaskRecord["request"]) {
    this.taskId = task.snapshot.id
    this.request = request
    this.launch = number
    this.approval = Option.fromNullable(task.approval)
    this.#answers = task.answers
    this.#launch = launch
  }

  get epoch(): number {
    return this.#launch.epoch
  }

  get idempotencyKey(): string {
    return this.#launch.idempotencyKey(this.taskId)
  }

  get answers(): CurrentTaskService["answers"] {
    // a copy: the next launch finds what was answered, whatever this one does with it
    return this.#answers === undefined ? noAnswers : jsonCopy(Object.fromEntries(this.#answers))
  }

  get kind(): CurrentTaskService["kind"] {
    return Effect.sync(() => this.#launch.kind)
  }

  get reportProgress(): CurrentTaskService["reportProgress"] {
    return (said) => this.#launch.reportProgress(said)
  }

  get cancelReason(): CurrentTaskService["cancelReason"] {
    return this.#launch.cancelReason
  }

  get write(): CurrentTaskService["write"] {
    return (chunk) => this.#launch.write(chunk)
  }

  get addUsage(): CurrentTaskService["addUsage"] {
    return (costs) => this.#launch.addUsage(costs)
  }

  get messages(): CurrentTaskService["messages"] {
    return this.#launch.messages
  }

  get maxResultBytes(): CurrentTaskService["maxResultBytes"] {
    return this.#launch.maxResultBytes
  }
}

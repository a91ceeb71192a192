/**
 * Options of a durable manager.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { SessionId } from "../model/ids.js"
import type { ToolRequest, ToolSpec } from "../model/ToolCall.js"
import type { ToolExecutor } from "../services/ToolExecutor.js"
import type { JournalCodec } from "./JournalCodec.js"

/**
 * How a durable manager works; every field has a default.
 *
 * @since 0.1.0
 * @category models
 */
export interface DurableOptions {
  /** Which journal of the database it is, `"default"` unless it is named: several managers may share a database. 1 to 512 bytes, without NUL and half characters. */
  readonly name?: string | undefined
  /**
   * What is done if another manager has the journal open: `"wait"` (the default) for at most one lease, `"fail"` at once, or
   * `"take"` it from a manager that may be at work. With `"wait"` and `"fail"` the layer fails with `JournalError` (`Owned`).
   */
  readonly onOwned?: "wait" | "fail" | "take" | undefined
  /** How long a manager that does not answer still counts as the owner, from 100 milliseconds to a day, 10 seconds by default; a number is milliseconds. It renews its lease all the time. An opening waits as long for a SQLite file that another process has locked. */
  readonly lease?: Duration.DurationInput | undefined
  /**
   * What becomes of a tool that was running when its process ended: `"Repeat"` runs it again, `"Fail"` ends its task as `Failed`
   * with the reason `Interrupted`. By default a tool is repeated if its spec is annotated with `readOnlyHint` or `idempotentHint`.
   */
  readonly onInterrupted?: ((request: ToolRequest, spec: ToolSpec | undefined) => "Repeat" | "Fail") | undefined
  /** The executor of tasks that go on after a restart, where sessions have their own; by default that of the layer. */
  readonly executorOf?: ((sessionId: SessionId) => Effect.Effect<ToolExecutor["Type"]>) | undefined
  /**
   * What becomes of live tasks when the layer is closed: they are cancelled (`"cancel"`, the default), or interrupted and kept as they
   * are for the next process (`"keep"`), which goes on with them as after a crash.
   */
  readonly shutdown?: "cancel" | "keep" | undefined
  /**
   * How long rows of settled tasks stay. `settled`: of those whose result was taken, counted from when they settled; 7 days by default.
   * Until then `history`, `get`, `result` and whatever else looks up a settled task find them, also beyond `historyLimit`, which bounds
   * memory only. With 0 they go as memory forgets them. `undelivered`: how long a result, or the notice of a detach, may wait to be taken
   * before it is dropped, with a warning in the log; by default for ever. A number is milliseconds. They are removed every minute
   * at least, by up to 500 in one transaction.
   */
  readonly retention?: {
    readonly settled?: Duration.DurationInput | undefined
    readonly undelivered?: Duration.DurationInput | undefined
  } | undefined
  /**
   * Whether what tools write (`CurrentTask.write`) is written down: with `"keep"` the newest `outputBuffer` bytes of each task, in the
   * groups of the tasks, for as long as its row stays; `handle.output` reads on after a restart, and beyond `outputHistory`. By default
   * (`"drop"`) it belongs to the process, and is gone with it.
   */
  readonly output?: "keep" | "drop" | undefined
  /**
   * What becomes of a row that cannot be read when the journal is opened. `"fail"` (the default): the layer fails with `JournalError`
   * (`Damaged`), which names the task. `"setAside"`: the row stays in the database with its column `damaged` set, a warning in the log
   * names the task, once, and everything else goes on; where a codec can decode none of several rows, the layer fails all the same.
   */
  readonly onDamaged?: "fail" | "setAside" | undefined
  /**
   * Encrypts what is stored of calls, results and approvals. Ids, statuses, sessions and turns stay readable. A codec that cannot
   * decode what is stored is a `JournalError` (`Damaged`).
   */
  readonly codec?: JournalCodec | undefined
}

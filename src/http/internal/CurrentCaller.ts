/** Who asks, for the handlers of a request. */
import * as Context from "effect/Context"
import type { Grant } from "./Access.js"

export interface Caller {
  readonly grant: Grant
  /** What the audit line says of the request, as far as it is known. */
  readonly audit: { route: string | undefined; id: string | undefined }
}

export class CurrentCaller extends Context.Reference<CurrentCaller>()(
  "effect-task-manager/http/internal/CurrentCaller",
  { defaultValue: (): Caller | undefined => undefined }
) {}

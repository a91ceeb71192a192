/** What a handle has for parts of this package alone: it is no member of the service. */
import type { TaskManagerHandle } from "../TaskManager.js"

export interface HandleMember<Value> {
  /** The handle with it. A handle that is made of another one has it too. */
  readonly with: (handle: TaskManagerHandle, value: Value) => TaskManagerHandle
  readonly of: (handle: TaskManagerHandle) => Value | undefined
}

/** One for each name, also over several copies of this module. */
export const handleMember = <Value>(name: string): HandleMember<Value> => {
  const key = Symbol.for(`effect-task-manager/services/internal/${name}`)
  return {
    with: (handle, value) => ({ ...handle, [key]: value }),
    // nobody else sets what stands under this symbol
    of: (handle) => (handle as TaskManagerHandle & { readonly [name: symbol]: Value | undefined })[key]
  }
}

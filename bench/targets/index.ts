import type { Target } from "./Target.js"

export const targets: ReadonlyArray<Target> = []

export const targetOf = (name: string): Target => {
  const found = targets.find((target) => target.name === name)
  if (found === undefined) throw new Error(`no target ${name}`)
  return found
}

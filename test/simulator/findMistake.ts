/** Puts a mistake into the code, and looks for a seed whose simulation finds it. */
import { vi } from "vitest"

/** Modules by their paths, as seen from this folder, and what stands in place of some of their exports. */
// each mistake says what it takes and gives of its own modules
export type Mutations = Readonly<Record<string, ((original: any) => object) | undefined>>

/** The first violation that the mistake was to show, with its seed; undefined if none of the seeds has one. */
export const findMistake = async <Violation>(options: {
  readonly mutations: Mutations
  /** Loads the simulator, with the mistake in what it imports. */
  readonly load: () => Promise<(seed: number) => ReadonlyArray<Violation>>
  readonly isMeant: (violation: Violation) => boolean
  readonly seeds: number
  /** After so many seeds the test runner is heard. */
  readonly inARow: number
}): Promise<(Violation & { readonly seed: number }) | undefined> => {
  const paths = Object.keys(options.mutations)
  for (const path of paths) {
    vi.doMock(path, async (importOriginal) => {
      const original = await importOriginal<object>()
      return { ...original, ...options.mutations[path]?.(original) }
    })
  }
  vi.resetModules()
  const violationsOf = await options.load()
  try {
    for (let seed = 0; seed < options.seeds; seed++) {
      if (seed % options.inARow === options.inARow - 1) await new Promise<void>((resume) => setImmediate(resume))
      const found = violationsOf(seed).find(options.isMeant)
      if (found !== undefined) return { seed, ...found }
    }
    return undefined
  } finally {
    for (const path of paths) vi.doUnmock(path)
  }
}

/** The same mutations, of modules that are named as seen from a folder. */
export const mutationsIn = <Mutation extends object>(folder: string, mutation: Mutation): Mutations =>
  Object.fromEntries(Object.entries(mutation).map(([name, mutate]) => [`${folder}/${name}.js`, mutate]))

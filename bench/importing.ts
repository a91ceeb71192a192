/** A process of its own: what importing an entry of the library costs, beside the modules of others that it needs. */

export interface ImportJob {
  readonly entry: string
  /** What the entry and its modules import from packages. */
  readonly packages: ReadonlyArray<string>
}

export interface ImportCost {
  /** Milliseconds of CPU time. */
  readonly time: number
  /** Bytes that stay. */
  readonly heap: number
}

export interface ImportCosts {
  readonly packages: ImportCost
  readonly own: ImportCost
}

const importAll = async (modules: ReadonlyArray<string>): Promise<ImportCost> => {
  globalThis.gc?.()
  const heap = process.memoryUsage().heapUsed
  const cpu = process.cpuUsage()
  for (const name of modules) await import(name)
  const { system, user } = process.cpuUsage(cpu)
  globalThis.gc?.()
  return { time: (user + system) / 1_000, heap: process.memoryUsage().heapUsed - heap }
}

const { entry, packages }: ImportJob = JSON.parse(process.argv[2] ?? "")
const costs: ImportCosts = { packages: await importAll(packages), own: await importAll([entry]) }
process.send?.(costs, () => process.exit(0))

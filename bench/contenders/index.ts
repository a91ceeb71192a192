import { aiSdk, langGraph } from "./agents.js"
import type { Contender } from "./Contender.js"
import { fiberMap } from "./fiberMap.js"
import { floor } from "./floor.js"
import { leanest } from "./leanest.js"
import { fastq, pQueue, promises, rxjs } from "./promises.js"
import { live, liveTraced, simple, simpleTraced } from "./taskManager.js"

export const contenders: ReadonlyArray<Contender> = [
  floor,
  live,
  liveTraced,
  simple,
  simpleTraced,
  leanest,
  fiberMap,
  promises,
  pQueue,
  fastq,
  rxjs,
  aiSdk,
  langGraph
]

export const contenderIn = (all: ReadonlyArray<Contender>, name: string): Contender => {
  const found = all.find((contender) => contender.name === name)
  if (found === undefined) throw new Error(`no contender ${name}`)
  return found
}

export const contenderOf = (name: string): Contender => contenderIn(contenders, name)

/** Those that are made of the library. */
export const libraryContenders: ReadonlyArray<Contender> = [live, liveTraced, simple, simpleTraced]

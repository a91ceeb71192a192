/** A journal that nobody has opened before, for a writer whose writes a test looks at. */
import { Effect } from "effect"
import type { OpenJournal } from "../../src/services/Journal.js"

export const openJournal = (
  own: Pick<OpenJournal, "write"> & Partial<Pick<OpenJournal, "keepsTasks" | "overlap">>
): OpenJournal => ({
  name: "test",
  epoch: 1,
  leaseMillis: 10_000,
  keepsTasks: false,
  keepsSettled: false,
  keepsOutput: false,
  lastNumber: 0,
  seq: 0,
  lastTaskNumber: 0,
  lastDelivery: 0,
  overlap: undefined,
  unowed: () => Effect.succeed([]),
  ...own
})

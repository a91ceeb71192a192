/**
 * What was read from a wire has its result beside its item: here it is the one in the item, as in the manager.
 *
 * @since 0.1.0
 */
import { TaskResolution, TurnTaskUpdate } from "./TaskResolution.js"

/**
 * A resolution whose result is that of its item.
 *
 * @since 0.1.0
 * @category conversions
 * @internal
 */
export const resolutionWithOwnResult = (resolution: TaskResolution): TaskResolution =>
  resolution._tag === "Item" ? TaskResolution.Item(resolution) : resolution

/**
 * An update whose result is that of its item.
 *
 * @since 0.1.0
 * @category conversions
 * @internal
 */
export const updateWithOwnResult = (update: TurnTaskUpdate): TurnTaskUpdate =>
  update._tag === "Resolution"
    ? TurnTaskUpdate.Resolution({ resolution: resolutionWithOwnResult(update.resolution) })
    : update

/** Lists that are made again whenever they may have changed. */
import * as Stream from "effect/Stream"

/** Leaves out each list that has the same in the same places as the one before. */
export const changedLists = <A>(
  isSame: (left: A, right: A) => boolean
): <E, R>(lists: Stream.Stream<ReadonlyArray<A>, E, R>) => Stream.Stream<ReadonlyArray<A>, E, R> =>
  Stream.changesWith((left, right) =>
    left.length === right.length && left.every((one, index) => {
      const other = right[index]
      return other !== undefined && isSame(one, other)
    })
  )

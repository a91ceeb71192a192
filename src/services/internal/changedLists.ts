/** Lists that clients make again whenever they may have changed. What is the same list as the one before is left out. */
import * as Stream from "effect/Stream"
import type { TaskApproval } from "../../model/Approval.js"
import type { TaskSnapshot } from "../../model/Task.js"

interface WithoutRepeats<A> {
  <E, R>(lists: Stream.Stream<ReadonlyArray<A>, E, R>): Stream.Stream<ReadonlyArray<A>, E, R>
}

const withoutRepeats = <A>(isSame: (left: A, right: A) => boolean): WithoutRepeats<A> =>
  Stream.changesWith((left, right) =>
    left.length === right.length && left.every((one, index) => {
      const other = right[index]
      return other !== undefined && isSame(one, other)
    })
  )

/** Of what is asked: an event may be behind a list that has what it tells of. */
export const changedApprovals: WithoutRepeats<TaskApproval> = withoutRepeats((left, right) =>
  left.taskId === right.taskId && left.approval.id === right.approval.id &&
  left.approval.asking === right.approval.asking && left.answered?.length === right.answered?.length
)

// its metadata is that of its call, which never changes, and may be large
const stateOf = ({ metadata: _metadata, ...state }: TaskSnapshot): string => JSON.stringify(state)

/** Of live tasks: progress and output come with a snapshot that is the same. */
export const changedSnapshots: WithoutRepeats<TaskSnapshot> = withoutRepeats((left, right) =>
  left === right || stateOf(left) === stateOf(right)
)

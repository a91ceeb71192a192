/**
 * What waits for a place under the limits on how many tasks run at once: of the manager, of a lane, of a session.
 *
 * Who waits stands in a line: that of its lane and, where sessions have a limit, of its session. A lane knows its lines whose
 * session has a place left, so that nobody looks at those that cannot be served. This order decides who comes first:
 *
 * 1. a wait that is over and wants its task's place back;
 * 2. the higher priority;
 * 3. where sessions have a limit, the session that was served least recently: none waits for the backlog of another one;
 * 4. who came first.
 */
import { Heap, type HeapEntry } from "../../shared/Heap.js"
import { LinkedList, type LinkedNode } from "../../shared/LinkedList.js"
import type { Session } from "./Session.js"
import type { TaskRecord } from "./TaskRecord.js"
import type { Waiter } from "./Waiter.js"

/** Tasks of one priority, first come first served. */
interface Rank extends HeapEntry {
  readonly priority: number
  readonly tasks: LinkedList<TaskRecord>
}

/** Those that wait for a place in one lane, and for one of one session where sessions have a limit. */
export class Line implements HeapEntry {
  index = -1
  readonly lane: Lane
  /** Undefined where sessions have no limit: the line is that of all of them. */
  readonly session: Session | undefined
  readonly returning = new LinkedList<Waiter>()
  private readonly ranks = new Map<number, Rank>()
  private readonly byPriority = new Heap<Rank>((one, other) => one.priority > other.priority)

  constructor(lane: Lane, session: Session | undefined) {
    this.lane = lane
    this.session = session
  }

  get isEmpty(): boolean {
    return this.returning.isEmpty && this.byPriority.size === 0
  }

  /** The task that is served next. */
  get first(): TaskRecord | undefined {
    return this.byPriority.first?.tasks.first?.value
  }

  append(task: TaskRecord): LinkedNode<TaskRecord> {
    const { priority } = task
    const known = this.ranks.get(priority)
    if (known !== undefined) return known.tasks.append(task)
    const rank: Rank = { priority, tasks: new LinkedList(), index: -1 }
    this.ranks.set(priority, rank)
    this.byPriority.add(rank)
    return rank.tasks.append(task)
  }

  remove({ priority }: TaskRecord, node: LinkedNode<TaskRecord>): void {
    const rank = this.ranks.get(priority)
    if (rank === undefined) return
    rank.tasks.remove(node)
    if (!rank.tasks.isEmpty) return
    this.ranks.delete(priority)
    this.byPriority.remove(rank)
  }
}

const isBefore = (one: Line, other: Line): boolean => {
  const [oneReturns, otherReturns] = [one.returning.first?.value, other.returning.first?.value]
  if (oneReturns !== undefined || otherReturns !== undefined) {
    return oneReturns !== undefined && (otherReturns === undefined || oneReturns.waitsSince < otherReturns.waitsSince)
  }
  const [left, right] = [one.first, other.first]
  if (left === undefined || right === undefined) return left !== undefined
  if (left.priority !== right.priority) return left.priority > right.priority
  const [leftServed, rightServed] = [one.session?.lastServed ?? 0, other.session?.lastServed ?? 0]
  if (leftServed !== rightServed) return leftServed < rightServed
  return left.waitsSince < right.waitsSince
}

/** A limit that some tasks have in common; the one without a name is that of tasks which were given none. */
export class Lane {
  readonly name: string | undefined
  limit: number
  /** Its places in use. */
  places = 0
  /** The line where sessions have no limit; made when somebody waits for the first time. */
  line: Line | undefined = undefined
  /** Its lines in which somebody waits, and whose session has a place left. */
  readonly ready = new Heap<Line>(isBefore)

  constructor(name: string | undefined, limit: number) {
    this.name = name
    this.limit = limit
  }
}

/** The line that is served next, of those whose lane has a place left. */
export const nextLine = (lanes: ReadonlyArray<Lane>): Line | undefined => {
  let next: Line | undefined = undefined
  for (const { limit, places, ready } of lanes) {
    const first = places < limit ? ready.first : undefined
    if (first !== undefined && (next === undefined || isBefore(first, next))) next = first
  }
  return next
}

/** The line is in its lane's heap, at its place, exactly if somebody waits in it and its session has a place left. */
export const place = (line: Line, isSessionFull: boolean): void => {
  const { ready } = line.lane
  if (line.isEmpty || isSessionFull) ready.remove(line)
  else if (line.index === -1) ready.add(line)
  else ready.moved(line)
}

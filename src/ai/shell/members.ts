/**
 * Which processes belong to a command, as plain functions of what /proc says.
 *
 * @since 0.1.0
 */

/**
 * A row of the process table. The number of a process may be used again, with another start.
 *
 * @since 0.1.0
 * @category models
 */
export interface Row {
  readonly id: number
  readonly parent: number
  readonly group: number
  readonly session: number
  readonly start: string
  /** A zombie has no resources and does not count. */
  readonly isAlive: boolean
}

/**
 * What belongs to a command, and what is known of it. It leads a group and a session, both with its own number.
 *
 * @since 0.1.0
 * @category models
 */
export interface Watched {
  readonly leader: number
  /** Its processes have it in their environment, unless they cleared it. */
  readonly mark: string
  /** Whether it ran for so long that the numbers of processes may have gone round. */
  readonly isLong: boolean
  /** Every process that was found, with its start. It stays known when its parent ends or its mark is gone. */
  readonly known: Map<number, string>
}

/**
 * Which processes of a command are alive.
 *
 * @since 0.1.0
 * @category models
 */
export interface Members {
  readonly inGroup: boolean
  /** Those that have left the group. */
  readonly escaped: ReadonlyArray<number>
  /** Whether nothing ended while it was looked at: what ends may have started another one that was not seen. */
  readonly isSure: boolean
}

/**
 * A row, from the text of `/proc/<id>/stat`.
 *
 * @since 0.1.0
 * @category parsers
 */
export const readStat = (id: number, stat: string): Row => {
  // the name of the program is in parentheses and may contain anything, parentheses too
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  const [state, parent, group, session] = fields
  return {
    id,
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    start: fields[19] ?? "",
    isAlive: state !== "Z" && state !== "X"
  }
}

/**
 * Adds to what is known of a command: what is in its group or its session, what has its mark, their children, and so on.
 *
 * @since 0.1.0
 * @category combinators
 */
export const learn = (
  { known, leader, mark }: Watched,
  rows: ReadonlyArray<Row>,
  marks: ReadonlyMap<number, ReadonlyArray<string>>
): void => {
  const starts = new Map(rows.map(({ id, start }) => [id, start]))
  // a number that is used again is another process
  for (const [id, start] of known) if (starts.get(id) !== start) known.delete(id)
  const isMember = ({ group, id, session }: Row) =>
    group === leader || session === leader || (marks.get(id)?.includes(mark) ?? false)
  for (const row of rows) if (isMember(row)) known.set(row.id, row.start)
  let before: number
  do {
    before = known.size
    for (const { id, parent, start } of rows) if (known.has(parent)) known.set(id, start)
  } while (known.size > before)
}

/**
 * The processes of a command that are alive.
 *
 * @since 0.1.0
 * @category getters
 */
export const membersOf = ({ known, leader }: Watched, rows: ReadonlyArray<Row>, isSure: boolean): Members => {
  const alive = rows.filter(({ id, isAlive }) => isAlive && known.has(id))
  return {
    inGroup: alive.some(({ group }) => group === leader),
    escaped: alive.filter(({ group }) => group !== leader).map(({ id }) => id).sort((one, other) => one - other),
    isSure
  }
}

/**
 * The numbers of the processes that may belong to commands, out of all. Numbers are given in ascending order and begin anew at the
 * end, so it is those after the command, unless `newest`, the number that was given last, shows that they began anew.
 *
 * @since 0.1.0
 * @category getters
 */
export const candidates = (
  all: ReadonlyArray<number>,
  commands: ReadonlyArray<Watched>,
  newest: number
): ReadonlyArray<number> => {
  const first = Math.min(...commands.map(({ leader }) => leader))
  const isOrdered = newest >= first && commands.every(({ isLong }) => !isLong)
  return isOrdered ? all.filter((id) => id >= first || commands.some(({ known }) => known.has(id))) : all
}

/**
 * The numbers among the names of the files in /proc.
 *
 * @since 0.1.0
 * @category parsers
 */
export const numbersOf = (names: ReadonlyArray<string>): ReadonlyArray<number> =>
  names.filter((name) => /^\d+$/.test(name)).map(Number)

/**
 * The number that was given last, from the text of `/proc/loadavg`; 0 if it does not say so.
 *
 * @since 0.1.0
 * @category parsers
 */
export const newestNumber = (load: string): number => Number(/(\d+)\s*$/.exec(load)?.[1] ?? 0)

/**
 * Whether a process may belong to a command: a thread of the kernel has no group, and neither has what came from outside of the
 * container.
 *
 * @since 0.1.0
 * @category predicates
 */
export const hasGroup = ({ group }: Row): boolean => group !== 0

/**
 * Nothing is left, for certain.
 *
 * @since 0.1.0
 * @category constants
 */
export const nobody: Members = { inGroup: false, escaped: [], isSure: true }

/**
 * Whether anything is left.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isAnyLeft = ({ escaped, inGroup }: Members): boolean => inGroup || escaped.length > 0

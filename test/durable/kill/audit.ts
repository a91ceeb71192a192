/** What must hold over any number of kills, read from what the processes said and from what they stored. */

export interface Audit {
  readonly accepted: number
  readonly consumed: number
  readonly taken: number
  readonly repeatedByPolicy: number
  readonly toldAsUnknown: number
  readonly events: number
  /** Taken twice by bare takes, or taken and consumed: what is promised at least once may come again. */
  readonly cameAgain: number
  /** What must not be: each a line that says what and where. */
  readonly faults: ReadonlyArray<string>
}

const group = <A>(into: Map<string, Array<A>>, key: string, value: A): void => {
  const known = into.get(key)
  if (known === undefined) into.set(key, [value])
  else known.push(value)
}

const terminal = new Set(["Completed", "Failed", "Cancelled"])

export const audit = (
  lines: ReadonlyArray<string>,
  got: ReadonlyArray<{ readonly id: string; readonly what: string }>,
  undelivered: number,
  /** Processes that another one was to take over. */
  mayBeLost: ReadonlySet<number> = new Set()
): Audit => {
  const accepted = new Set<string>()
  const runs = new Map<
    string,
    Array<{ readonly launch: string; readonly tool: string; readonly isApproved: boolean }>
  >()
  const took = new Map<string, Array<string>>()
  const terminals = new Map<string, Set<string>>()
  const bySeq = new Map<string, string>()
  const approving = new Set<string>()
  const faults: Array<string> = []
  for (const line of lines) {
    const [run = "", what = "", first = "", second = "", third = "", fourth = ""] = line.split(" ")
    switch (what) {
      case "accepted":
        accepted.add(first)
        break
      case "begin":
        group(runs, first, { launch: second, tool: third, isApproved: fourth === "approved" })
        break
      case "took":
        if (first === "result" || first === "unknown") group(took, second, first)
        break
      case "approving":
        approving.add(first)
        break
      case "event": {
        const event = `${second} ${third}`
        if ((bySeq.get(first) ?? event) !== event) faults.push(`number ${first} was used twice: ${line}`)
        bySeq.set(first, event)
        if (terminal.has(second)) terminals.set(third, (terminals.get(third) ?? new Set()).add(`${first} ${second}`))
        break
      }
      case "LOST":
        if (!mayBeLost.has(Number(run))) faults.push(line)
        break
      case "ERROR":
        faults.push(line)
    }
  }
  if (lines.at(-1)?.endsWith(" drained") !== true) faults.push("the last process did not drain")
  const consumed = new Map<string, Array<string>>()
  for (const { id, what } of got) if (what === "result" || what === "unknown") group(consumed, id, what)
  for (const id of accepted) if (!consumed.has(id) && !took.has(id)) faults.push(`${id} was accepted and is lost`)
  for (const [id, list] of consumed) if (list.length > 1) faults.push(`${id} was consumed ${list.length} times`)
  for (const [id, list] of took) if (new Set(list).size > 1) faults.push(`${id} came as two different results`)
  for (const [id, set] of terminals) if (set.size > 1) faults.push(`${id} ended ${[...set].join(" and ")}`)
  let repeatedByPolicy = 0
  for (const [id, list] of runs) {
    const [first] = list
    if (new Set(list.map(({ launch }) => launch)).size !== list.length) faults.push(`${id} ran one launch twice`)
    const mayRepeat = first?.tool === "quick" || first?.tool === "repeat"
    if (mayRepeat && list.length > 1) repeatedByPolicy++
    const times = (isApproved: boolean) => list.filter((one) => one.isApproved === isApproved).length
    if (!mayRepeat && (times(true) > 1 || times(false) > 1)) faults.push(`${id} ran twice and may not repeat`)
    if (times(true) > 0 && !approving.has(id)) faults.push(`${id} ran without approval`)
  }
  if (undelivered > 0) faults.push(`${undelivered} results are left undelivered`)
  const again = (one: Map<string, Array<string>>) =>
    [...one.keys()].filter((id) => (one.get(id)?.length ?? 0) > 1).length
  return {
    accepted: accepted.size,
    consumed: consumed.size,
    taken: took.size,
    repeatedByPolicy,
    toldAsUnknown: [...consumed.values(), ...took.values()].filter(([one]) => one === "unknown").length,
    events: bySeq.size,
    cameAgain: again(took) + [...took.keys()].filter((id) => consumed.has(id)).length,
    faults
  }
}

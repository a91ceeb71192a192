/** What must hold for exit code 0, each judged from events, results, files and the process table. */
import { Option } from "effect"
import type { TaskEvent } from "effect-task-manager"
import type { ProcessRow } from "./processTable.js"
import { isProved, proofRows } from "./proof.js"
import { plural } from "./text.js"
import type { Transcript } from "./transcript.js"
import type { CancelReport, InterruptReport } from "./witness.js"

export interface Evidence {
  readonly events: ReadonlyArray<TaskEvent>
  readonly transcript: Transcript
  readonly interrupts: ReadonlyArray<InterruptReport>
  readonly cancels: ReadonlyArray<CancelReport>
  /** Whether the agent had a repository of its own, and with it the tools that write. */
  readonly isWritable: boolean
  /** The answer to the request for approval, and whether the folder it was about is still there. */
  readonly approvals: ReadonlyArray<{ readonly isApproved: boolean; readonly isStillThere: boolean }>
}

/** What was found when everything was over. */
export interface Aftermath {
  readonly started: number
  readonly left: ReadonlyArray<ProcessRow>
  /** None where no folder was made. */
  readonly isFolderLeft: Option.Option<boolean>
}

export interface Check {
  readonly name: string
  readonly holds: boolean
}

type OfTask = Extract<TaskEvent, { readonly snapshot: unknown }>

const indexOf = (events: ReadonlyArray<OfTask>, tag: OfTask["_tag"], toolName: string): number =>
  events.findIndex((event) => event._tag === tag && event.snapshot.toolName === toolName)

const checkReads = (events: ReadonlyArray<OfTask>): Check => {
  const reads = events.filter((event) => event.snapshot.toolName === "read_file")
  const firstEnd = reads.findIndex((event) => event._tag !== "Started")
  const atOnce = reads.slice(0, firstEnd).filter((event) => event.snapshot.kind === "Foreground").length
  const asked = new Set(reads.map((event) => event.snapshot.id)).size
  return {
    name: `reads in parallel: ${atOnce} of ${asked} were running in the foreground before the first had ended`,
    holds: atOnce === asked && asked > 0
  }
}

const checkDetach = (events: ReadonlyArray<OfTask>, { arrivals }: Transcript): Check => {
  const started = events[indexOf(events, "Started", "run_tests")]
  const detached = events[indexOf(events, "Detached", "run_tests")]
  const arrival = arrivals.find((arrival) => arrival.callId === started?.snapshot.callId)
  const after = started === undefined || detached === undefined ? undefined : detached.at - started.at
  return {
    name: `the slow test run detached after ${after ?? "?"} ms and reported back later`,
    holds: after !== undefined && after >= 900 && arrival?.via === "later" && !arrival.result.isError
  }
}

const checkSearch = (
  events: ReadonlyArray<OfTask>,
  { isWritable, transcript: { arrivals, calls } }: Evidence
): Check => {
  const call = calls.find((call) => call.toolName === "search")
  const started = events[indexOf(events, "Started", "search")]
  return {
    name: "the search ran in the background and reported back later",
    holds: started?.snapshot.kind === "Background" &&
      arrivals.some((arrival) =>
        arrival.callId === call?.callId && arrival.via === "later" &&
        // a big repository of the user's may take longer than the call may
        (!isWritable || !arrival.result.isError)
      )
  }
}

const checkApproval = (events: ReadonlyArray<OfTask>, approvals: Evidence["approvals"]): Check => {
  const [approval] = approvals
  const last = events.filter((event) => event.snapshot.toolName === "remove").at(-1)
  const asked = indexOf(events, "AwaitingApproval", "remove") >= 0
  return approval?.isApproved === true
    ? {
      name: "the destructive command ran after it was approved: the folder is gone",
      holds: asked && last?._tag === "Completed" && last.snapshot.launch === 2 && !approval.isStillThere
    }
    : {
      name: "the destructive command was rejected and never ran: the folder is still there",
      holds: asked && last?._tag === "Failed" && last.error.reason === "ApprovalRejected" &&
        last.snapshot.launch === 1 &&
        approval?.isStillThere === true
    }
}

const checkWork = ({ arrivals, calls }: Transcript): Check => {
  const runs = calls.filter((call) => call.toolName === "run_tests").map(({ callId }) => {
    const output = arrivals.find((arrival) => arrival.callId === callId)?.result.output
    return output?._tag === "Structured" && JSON.stringify(output.value).includes(`"isGreen":true`)
  })
  return {
    name: "the tests failed before the agent's change and pass after it",
    holds: runs.length === 2 && runs[0] === false && runs[1] === true
  }
}

const checkInterrupt = (interrupts: ReadonlyArray<InterruptReport>): ReadonlyArray<Check> => {
  const [report] = interrupts
  return report === undefined ? [{ name: "the turn was interrupted", holds: false }] : [
    {
      name: `Esc ended ${plural(report.receipt.cancelled.length, "foreground task")} and killed ${
        plural(report.killed.length, "process", "processes")
      }: ${report.left.length} left`,
      // two shells, and what they had started
      holds: report.receipt.cancelled.length === 2 && report.killed.length >= 4 && report.left.length === 0
    },
    {
      name: `Esc kept ${plural(report.background.length, "background task")} with ${
        plural(report.kept.length, "living process", "living processes")
      }`,
      holds: report.background.length > 0 && report.kept.length > 0 && report.backgroundCancelled.length === 0
    }
  ]
}

const checkCancel = (events: ReadonlyArray<OfTask>, cancels: ReadonlyArray<CancelReport>): Check => {
  const [report] = cancels
  return {
    name: "one task was cancelled by its id, its process is gone",
    holds: cancels.length === 1 && report?.killed === 1 && report.left.length === 0 &&
      events.some((event) => event._tag === "Cancelled" && event.snapshot.callId === report.callId)
  }
}

export const checksOf = (evidence: Evidence, aftermath: Aftermath): ReadonlyArray<Check> => {
  const { transcript } = evidence
  const events = evidence.events.filter((event): event is OfTask => "snapshot" in event)
  const rows = proofRows(transcript, evidence.events)
  return [
    { name: `every tool call id got exactly one result (${rows.length} calls)`, holds: isProved(rows) },
    {
      name: `the ${evidence.events.length} events are numbered without a gap`,
      holds: evidence.events.every((event, index) => event.seq === index + 1)
    },
    checkReads(events),
    checkSearch(events, evidence),
    ...(evidence.isWritable
      ? [checkDetach(events, transcript), checkApproval(events, evidence.approvals), checkWork(transcript)]
      : []),
    ...checkInterrupt(evidence.interrupts),
    checkCancel(events, evidence.cancels),
    ...checksOfAftermath(aftermath)
  ]
}

export const checksOfAftermath = ({ isFolderLeft, left, started }: Aftermath): ReadonlyArray<Check> => [
  {
    name: `no process is left of the ${started} commands that were started${
      left.length === 0 ? "" : `: ${left.map((row) => row.pid).join(", ")} LIVE`
    }`,
    holds: left.length === 0
  },
  ...Option.toArray(isFolderLeft).map((isLeft) => ({ name: "the temporary folder is removed", holds: !isLeft }))
]

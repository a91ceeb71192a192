/** What the simulated processes have to meet: what never happens proves nothing. */
export const situations = [
  "a process that is killed",
  "a process that is killed while it opens",
  "a process that dies before a group is written",
  "a process that dies after a group is written",
  "a process that is taken over",
  "a process that is stopped and taken over",
  "a process that is shut down and cancels",
  "a process that is shut down and keeps its tasks",
  "a journal that is fenced",
  "a journal that is unavailable",
  "a write that fails",
  "a write that is made and fails",
  "a write that is made again",
  "an acknowledgement while a group is written",
  "an acknowledgement that is fenced",
  "a consumer that refuses",
  "a task that is recovered",
  "a tool that runs again",
  "a tool that cannot run again",
  "something taken that comes again",
  "an owner that is waited for",
  "a row that is too old",
  "a result that nobody takes in time",
  "a settled task that memory has forgotten",
  "a page of the history",
  "output that is read after a restart",
  "output that goes on after a restart",
  "output whose beginning is forgotten"
] as const

export type Situation = (typeof situations)[number]

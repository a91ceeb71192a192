/** The events of a session of an agent loop, as server-sent events. */
import * as Schema from "effect/Schema"
import { AgentEvent, AgentSessionState } from "../../ai/loop/AgentEvent.js"
import { frame } from "./frames.js"

const encodeEvent = Schema.encodeSync(AgentEvent)
const encodeState = Schema.encodeSync(AgentSessionState)

// every reader is given the same event: it is written once for all of them
const written = new WeakMap<AgentEvent, Uint8Array>()

export const agentFrame = (event: AgentEvent): Uint8Array => {
  const known = written.get(event)
  if (known !== undefined) return known
  const made = frame("agent", undefined, encodeEvent(event))
  written.set(event, made)
  return made
}

/** The session as it is: what comes next is what happens from then on. */
export const stateFrame = (state: AgentSessionState): Uint8Array => frame("state", undefined, encodeState(state))

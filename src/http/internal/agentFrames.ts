/** The events of a session of an agent loop, as server-sent events. */
import * as Schema from "effect/Schema"
import { AgentEvent, AgentSessionState } from "../../ai/loop/AgentEvent.js"
import { frame, writtenOnce } from "./frames.js"

const encodeEvent = Schema.encodeSync(AgentEvent)
const encodeState = Schema.encodeSync(AgentSessionState)

export const agentFrame = writtenOnce((event: AgentEvent) => frame("agent", undefined, encodeEvent(event)))

/** The session as it is: what comes next is what happens from then on. */
export const stateFrame = (state: AgentSessionState): Uint8Array => frame("state", undefined, encodeState(state))

/** What the simulated manager is held to when a call is still being routed. */
import { assert, describe, it } from "vitest"
import { SessionId, TurnId } from "../../src/model/ids.js"
import { type MayEnd, overtaking } from "./manager/overtaking.js"

const turn = { sessionId: SessionId.make("s1"), turnId: TurnId.make("t1") }
const asked = { at: 0, order: 10 }

const ending = (operation: MayEnd["operation"], reached: number | undefined, ref: Partial<MayEnd> = turn): MayEnd => ({
  sessionId: undefined,
  turnId: undefined,
  ...ref,
  operation,
  reached: reached === undefined ? undefined : { at: 0, order: reached }
})

const ends = (call: MayEnd): boolean => overtaking([call], asked, turn).length > 0

describe("what is being routed is ended", () => {
  it("by the end of its turn, its session and the manager", () => {
    assert.isTrue(ends(ending("onTurnInterrupted", 11)))
    assert.isTrue(ends(ending("closeSession", 11, { sessionId: turn.sessionId })))
    assert.isTrue(ends(ending("shutdown", 11, {})))
  })

  it("by nothing that happened before it was asked", () => {
    assert.isFalse(ends(ending("onTurnInterrupted", 9)))
    assert.isFalse(ends(ending("closeSession", 9, { sessionId: turn.sessionId })))
  })

  it("by nobody who was interrupted before the manager heard of it", () => {
    assert.isFalse(ends(ending("onTurnInterrupted", undefined)))
    assert.isFalse(ends(ending("shutdown", undefined, {})))
  })

  it("not by the end of another turn or session, nor by other calls", () => {
    assert.isFalse(ends(ending("onTurnInterrupted", 11, { ...turn, turnId: TurnId.make("t2") })))
    assert.isFalse(ends(ending("closeSession", 11, { sessionId: SessionId.make("s2") })))
    assert.isFalse(ends(ending("cancel", 11)))
  })
})

/**
 * The runners as a client knows them. Calls that are made in the same moment travel in one exchange, to whichever group of a runner is
 * asked; answers come with any exchange that is open at that runner, and one is open for as long as something is awaited from it.
 *
 * | a group's runner is | a call to the group                   | an exchange of it is answered                          | an exchange of it fails         |
 * | ------------------- | ------------------------------------- | ------------------------------------------------------ | ------------------------------- |
 * | unknown             | waits: the group is asked who has it  | known, with all groups that it has                     | the calls that wait fail        |
 * | known               | asks any group of the runner          | by another runner: that one, and its calls fail        | unknown, and all its calls fail |
 *
 * A group that its runner does not name any more is unknown. A call that fails here fails with `GroupNotReady`: it is made again, under
 * the same number. So does one that was sent and has no answer for too long. A defect that no lost connection explains is that of the
 * calls of the exchange.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { utf8Length } from "../../shared/utf8.js"
import { type CallCodec, callCodecs } from "./callCodecs.js"
import { isCutWire } from "./cutWire.js"
import { messageBytes, refusalOf, sizeOf, takeFitting } from "./messageSize.js"
import { Pace } from "./Pace.js"
import {
  type Exchange,
  type Exchanged,
  type GroupClient,
  GroupNotReady,
  type PartOfAnswer,
  protocolVersion,
  type SentTold
} from "./protocol.js"
import { answeredWithin, forgottenAfter, onWire, wireMillis, wireSleep } from "./wire.js"

interface Call {
  readonly id: number
  readonly group: number
  readonly tag: string
  readonly codec: CallCodec
  readonly payload: string
  /** About how large it is on the wire. */
  readonly size: number
  readonly resume: (exit: Exit.Exit<unknown, unknown>) => void
  peer: Peer
  sentAt: number
  /** What has come of an answer in parts. */
  readonly parts: Array<string>
}

/** A runner, or a group whose runner is not known. */
interface Peer {
  /** The token of the runner. */
  readonly runner: string | undefined
  /** The groups by which it can be asked. */
  readonly groups: Set<number>
  /** Which list of its groups is known. */
  list: number
  /** What is sent with the next exchange. */
  outgoing: Array<Call>
  ended: Array<number>
  /** Calls that were sent and have no answer. */
  readonly waiting: Map<number, Call>
  open: number
  isFlushing: boolean
  readonly pace: Pace
}

/** By the calls that were sent lately. */
const paceOptions = { perMilli: 4, longest: 8 }

/** How long a runner that is not known is asked alone, in milliseconds. */
const aloneMillis = 250

const notReady = Exit.fail(new GroupNotReady())

/** What no lost connection explains would come again each time. */
const defectOf = (cause: Cause.Cause<unknown>): Option.Option<unknown> =>
  Option.filter(Cause.dieOption(cause), (defect) => !isCutWire(defect))

interface PeersOptions {
  readonly client: string
  readonly exchange: (group: number, exchange: Exchange) => Effect.Effect<Exchanged, unknown>
  /** Takes what these groups are to be told, whichever exchange it goes with. */
  readonly takeTold: (groups: ReadonlySet<number>) => ReadonlyArray<SentTold>
  /** They may not have been told. */
  readonly tellAgain: (told: ReadonlyArray<SentTold>) => void
  readonly fork: (self: Effect.Effect<void>) => void
}

export class Peers {
  private readonly client: string
  private readonly exchange: (group: number, exchange: Exchange) => Effect.Effect<Exchanged, unknown>
  private readonly takeTold: PeersOptions["takeTold"]
  private readonly tellAgain: PeersOptions["tellAgain"]
  private readonly fork: (self: Effect.Effect<void>) => void
  private readonly ofGroups = new Map<number, Peer>()
  private readonly ofRunners = new Map<string, Peer>()
  private readonly clients = new Map<number, GroupClient>()
  /** Groups that their runner has let go, as far as is known. */
  private readonly left = new Set<number>()
  /** Calls that were sent and have no answer. */
  private readonly sent = new Map<number, Call>()
  private readonly asking = Effect.unsafeMakeSemaphore(1)
  private isClosed = false
  private calls = 0
  private exchanges = 0
  /** The numbers of those that are not over, the oldest first, and what they tell. */
  private readonly unended = new Map<number, ReadonlyArray<SentTold>>()
  private flushing = 0

  constructor(options: PeersOptions) {
    this.client = options.client
    this.exchange = options.exchange
    this.takeTold = options.takeTold
    this.tellAgain = options.tellAgain
    this.fork = options.fork
  }

  /** Whoever waits for an answer goes on, and runners are told so. What may not have been told is told again. */
  endAll(): void {
    for (const told of this.unended.values()) this.tellAgain(told)
    for (const peer of this.all) {
      for (const call of [...peer.waiting.values(), ...peer.outgoing]) {
        this.end(call)
        call.resume(notReady)
      }
    }
  }

  /** Nothing is sent any more, and nobody waits for an answer. */
  close(): void {
    this.isClosed = true
    for (const peer of this.all) this.lose(peer)
  }

  private get all(): ReadonlySet<Peer> {
    return new Set([...this.ofGroups.values(), ...this.ofRunners.values()])
  }

  /** Whether its runner has let a group go, and it is not known which one has it now. */
  hasLeft(group: number): boolean {
    return this.left.has(group)
  }

  /** Whether nothing waits to be sent. */
  get isQuiet(): boolean {
    return this.flushing === 0
  }

  /** The calls of a group. */
  of(group: number): GroupClient {
    const known = this.clients.get(group)
    if (known !== undefined) return known
    const calls = [...callCodecs].map((
      [tag, codec]
    ) => [tag, (payload: unknown) => this.call(group, tag, codec, payload)])
    // there is a codec for each call of the protocol, and it reads what its schemas say
    const client = Object.fromEntries(calls) as GroupClient
    this.clients.set(group, client)
    return client
  }

  private call(group: number, tag: string, codec: CallCodec, payload: unknown): Effect.Effect<unknown, unknown> {
    return Effect.async((resume) => {
      if (this.isClosed) return resume(notReady)
      const encoded = codec.encodePayload(payload)
      const size = sizeOf(encoded)
      const refusal = size > messageBytes ? refusalOf(tag, utf8Length(encoded)) : undefined
      if (refusal !== undefined) return resume(Exit.die(refusal))
      const peer = this.peerOf(group)
      const call: Call = {
        id: ++this.calls,
        group,
        tag,
        codec,
        payload: encoded,
        size,
        resume,
        peer,
        sentAt: 0,
        parts: []
      }
      peer.outgoing.push(call)
      this.flushSoon(peer)
      return Effect.sync(() => this.end(call))
    })
  }

  private peerOf(group: number): Peer {
    const known = this.ofGroups.get(group)
    if (known !== undefined) return known
    const peer = makePeer(undefined)
    peer.groups.add(group)
    this.ofGroups.set(group, peer)
    return peer
  }

  /** Its caller was interrupted. */
  private end(call: Call): void {
    const { id, peer } = call
    if (this.takeOut(call)) {
      peer.ended.push(id)
      this.flushSoon(peer)
    } else peer.outgoing = peer.outgoing.filter((other) => other !== call)
  }

  private takeOut(call: Call): boolean {
    this.sent.delete(call.id)
    return call.peer.waiting.delete(call.id)
  }

  private flushSoon(peer: Peer): void {
    if (peer.isFlushing) return
    peer.isFlushing = true
    this.flushing++
    const flush = Effect.suspend(() => {
      peer.isFlushing = false
      this.flushing--
      // whose runner is not known is asked once at a time
      if (peer.runner === undefined && peer.open > 0) return Effect.void
      const isIdle = peer.outgoing.length === 0 && peer.ended.length === 0
      return isIdle && (peer.open > 0 || peer.waiting.size === 0) ? Effect.void : this.flush(peer)
    })
    // whoever is ready now comes into the same exchange
    const pause = peer.pace.pause(wireMillis())
    const gathered = pause === 0 ? Effect.yieldNow({ priority: 1 }) : wireSleep(pause)
    this.fork(Effect.zipRight(gathered, peer.runner === undefined ? this.alone(flush) : flush))
  }

  /**
   * Runs what asks for a runner that is not known before the next such begins, or for a moment: the engine makes a connection for each
   * that asks for the same runner at once, and closes only the last of them.
   */
  private alone(self: Effect.Effect<void>): Effect.Effect<void> {
    return Effect.zipRight(
      this.asking.take(1),
      Effect.suspend(() => {
        let isAlone = true
        const next = Effect.suspend(() => {
          if (!isAlone) return Effect.void
          isAlone = false
          return Effect.asVoid(this.asking.release(1))
        })
        this.fork(Effect.zipRight(wireSleep(aloneMillis), next))
        return Effect.ensuring(self, next)
      })
    )
  }

  private flush(peer: Peer): Effect.Effect<void> {
    const [group] = peer.groups
    if (group === undefined) return Effect.sync(() => this.lose(peer))
    // what is not known to be begun by a certain runner may be begun by two of them, one after the other
    const calls = peer.runner === undefined ? [] : takeFitting(peer.outgoing)
    const told = peer.runner === undefined ? [] : this.takeTold(peer.groups)
    const { ended } = peer
    peer.ended = []
    const now = wireMillis()
    for (const call of calls) {
      call.sentAt = now
      peer.waiting.set(call.id, call)
      this.sent.set(call.id, call)
    }
    peer.pace.sent(calls.length, wireMillis())
    peer.open++
    if (peer.runner !== undefined && peer.outgoing.length > 0) this.flushSoon(peer)
    const number = ++this.exchanges
    this.unended.set(number, told)
    const [oldest = number] = this.unended.keys()
    const exchange: Exchange = {
      version: protocolVersion,
      runner: peer.runner ?? null,
      number,
      oldest,
      client: this.client,
      calls: calls.map(({ group: of, id, payload, tag }) => ({
        id,
        group: of,
        tag,
        payload
      })),
      told,
      ended,
      list: peer.list,
      parts: true
    }
    return Effect.map(
      Effect.exit(onWire(Effect.timeout(this.exchange(group, exchange), answeredWithin))),
      (exit) => {
        peer.open--
        this.unended.delete(number)
        if (Exit.isSuccess(exit)) return this.answered(peer, exchange, group, calls, exit.value)
        this.tellAgain(told)
        const defect = defectOf(exit.cause)
        if (Option.isSome(defect)) {
          for (const call of calls.length > 0 ? calls : [...peer.outgoing]) this.fail(call, Exit.die(defect.value))
        }
        this.lose(peer)
      }
    )
  }

  private answered(
    asked: Peer,
    { told }: Exchange,
    group: number,
    calls: ReadonlyArray<Call>,
    { answers, groups, list, runner }: Exchanged
  ): void {
    const peer = this.ofRunners.get(runner) ?? makePeer(runner)
    this.ofRunners.set(runner, peer)
    if (asked !== peer) {
      // the runner of the group is known now, or is another one
      this.move(group, peer)
      // it has not looked at any of it
      this.tellAgain(told)
      for (const call of calls) this.fail(call, notReady)
    }
    if (groups !== null && list > peer.list) {
      peer.list = list
      for (const one of groups) this.move(one, peer)
      for (const one of peer.groups) {
        if (groups.includes(one)) continue
        this.forget(one, peer)
        this.left.add(one)
      }
    }
    for (const sent of answers) {
      const call = this.sent.get(sent.id)
      if (call === undefined) continue
      const exit = "part" in sent ? this.wholeOf(call, sent) : sent.exit
      if (exit === undefined) continue
      this.takeOut(call)
      const answer = call.codec.decodeExit(exit)
      if (isNotReady(answer) && this.ofGroups.get(call.group) === peer) this.forget(call.group, peer)
      call.resume(answer)
    }
    this.failOld(peer)
    for (const one of asked === peer ? [peer] : [asked, peer]) {
      // what is left cannot be asked for any more
      if (one.open > 0 || one.waiting.size === 0) continue
      if (one.groups.size === 0) this.lose(one)
      else this.flushSoon(one)
    }
  }

  /** An answer that comes in parts, once it is whole. */
  private wholeOf(call: Call, { count, index, part }: PartOfAnswer): string | undefined {
    const { id, parts, peer } = call
    parts[index] = part
    if (Object.keys(parts).length === count) return parts.join("")
    // it is on its way: it is the youngest of those that wait
    call.sentAt = wireMillis()
    if (peer.waiting.delete(id)) peer.waiting.set(id, call)
    return undefined
  }

  /** Nothing is waited for without end, whatever becomes of a call at its runner: under the same number it is found again there. */
  private failOld(peer: Peer): void {
    const before = wireMillis() - forgottenAfter / 2
    for (const call of peer.waiting.values()) {
      if (call.sentAt > before) return
      this.fail(call, notReady)
    }
  }

  private fail(call: Call, exit: Exit.Exit<never, unknown>): void {
    const { peer } = call
    if (!this.takeOut(call)) {
      if (!peer.outgoing.includes(call)) return
      peer.outgoing = peer.outgoing.filter((other) => other !== call)
    }
    call.resume(exit)
  }

  private move(group: number, peer: Peer): void {
    this.left.delete(group)
    const before = this.ofGroups.get(group)
    if (before === peer) return
    if (before !== undefined) {
      before.groups.delete(group)
      // what was not sent goes to the runner
      for (const call of before.outgoing) {
        if (call.group !== group) continue
        call.peer = peer
        peer.outgoing.push(call)
      }
      before.outgoing = before.outgoing.filter((call) => call.group !== group)
      if (peer.outgoing.length > 0) this.flushSoon(peer)
    }
    peer.groups.add(group)
    this.ofGroups.set(group, peer)
  }

  private forget(group: number, peer: Peer): void {
    peer.groups.delete(group)
    this.ofGroups.delete(group)
  }

  /** Nothing more comes from the runner, as far as is known. */
  private lose(peer: Peer): void {
    for (const group of peer.groups) if (this.ofGroups.get(group) === peer) this.ofGroups.delete(group)
    peer.groups.clear()
    if (peer.runner !== undefined) this.ofRunners.delete(peer.runner)
    const lost = [...peer.waiting.values(), ...peer.outgoing]
    peer.waiting.clear()
    peer.outgoing = []
    for (const { id, resume } of lost) {
      this.sent.delete(id)
      resume(notReady)
    }
  }
}

const makePeer = (runner: string | undefined): Peer => ({
  runner,
  groups: new Set(),
  list: -1,
  outgoing: [],
  ended: [],
  waiting: new Map(),
  open: 0,
  isFlushing: false,
  pace: new Pace(paceOptions)
})

const isNotReady = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && exit.cause._tag === "Fail" && exit.cause.error instanceof GroupNotReady

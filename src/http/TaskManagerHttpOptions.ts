/**
 * Options of a server.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { AgentLoop } from "../ai/loop/AgentLoop.js"
import type { AgentSession } from "../ai/loop/AgentSession.js"

/**
 * What a token allows. `read`: everything that is looked at; `control`: what changes tasks and sessions; `approve`: answers to requests
 * for approval. None includes another.
 *
 * @since 0.1.0
 * @category models
 */
export type AccessScope = "read" | "control" | "approve"

/**
 * A secret that lets callers in. `name` stands in audit lines; it is not empty, and no other token has it. `token` has at least 16 characters.
 * Default of `scopes`: all.
 *
 * @since 0.1.0
 * @category models
 */
export interface AccessToken {
  readonly name: string
  readonly token: Redacted.Redacted
  readonly scopes?: ReadonlyArray<AccessScope> | undefined
}

/**
 * Where a server listens, and how a person gets in. `pageUrl` opens the board once: the code behind its `#` is exchanged for a cookie
 * and is worth nothing after that. `token` is there if it was made at start.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerAnnouncement {
  readonly url: string
  readonly pageUrl: Redacted.Redacted
  readonly token?: Redacted.Redacted
}

/**
 * What `TaskManagerHttp.layer` takes.
 *
 * @since 0.1.0
 * @category models
 */
export interface TaskManagerHttpOptions {
  /** The tokens that give access. Default: one token of 128 random bits with all scopes, made at start, which `announce` is given. Not empty. */
  readonly tokens?: ReadonlyArray<AccessToken> | undefined
  /** Called once with the addresses of the server. Default: prints the addresses with Effect's `Console`, the token among them if it was made at start. */
  readonly announce?: ((announcement: ServerAnnouncement) => Effect.Effect<void>) | undefined
  /**
   * Names under which it may be asked, besides `localhost`, `127.0.0.1` and `[::1]`: without a port, in lower case. A server that listens on
   * another address than loopback must have some. Default: none.
   */
  readonly hosts?: ReadonlyArray<string> | undefined
  /** Pages of other origins that may ask, such as `https://admin.example`; they need a token. Default: none. */
  readonly origins?: ReadonlyArray<string> | undefined
  /**
   * Whether tokens with the scope `read` may see what a task was called with; of a settled one where it is kept (`TaskManagerConfig.keepInputs`, or
   * rows). It may hold secrets, so the default is `false`: then it is only shown with a request for approval.
   */
  readonly showInputs?: boolean | undefined
  /** The largest body of a request, in bytes: an integer from 1. Default: 1 048 576. */
  readonly maxBodyBytes?: number | undefined
  /** How many event streams are open at once: an integer from 1. Default: 32. */
  readonly maxStreams?: number | undefined
  /** How many of them of one token: an integer from 1. Default: 4. */
  readonly maxStreamsPerToken?: number | undefined
  /** How many subscriptions one shared event stream carries, as a `TaskManagerClient` has one: an integer from 1. Default: 64. */
  readonly maxSubscriptions?: number | undefined
  /** How often a stream without events sends a comment. More than 0; a number is milliseconds. Default: 15 seconds. */
  readonly heartbeat?: Duration.DurationInput | undefined
  /** How many bytes of events wait for a client, of which one may be larger: an integer from 1. Beyond it no more are taken for it. Default: 1 048 576. */
  readonly maxWaitingBytes?: number | undefined
  /**
   * How long a client may read nothing while more waits than that: then it gets `dropped`, and after as long again it is cut off.
   * A number is milliseconds. Default: 10 seconds.
   */
  readonly dropGracePeriod?: Duration.DurationInput | undefined
  /**
   * How long an update of a turn is held for a client that has taken it and sends nothing any more; then it is put back, for whoever asks
   * next. A number is milliseconds. Default: 60 seconds.
   */
  readonly updateHold?: Duration.DurationInput | undefined
  /** How long a cookie of the page is valid. A number is milliseconds. Default: 12 hours. */
  readonly pageSession?: Duration.DurationInput | undefined
  /** The loop whose sessions are shown and opened. Default: there are no sessions over HTTP. */
  readonly agentLoop?: AgentLoop["Type"] | undefined
  /** Sessions that the host has opened itself, and that are to be seen. Default: none. */
  readonly sessions?: ReadonlyArray<AgentSession> | undefined
  /** How many sessions are open over HTTP at once: an integer from 1. Default: 64. */
  readonly maxSessions?: number | undefined
}

/** Who is let in: tokens and cookies, compared in constant time, and what a token has open. */
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import * as Redacted from "effect/Redacted"
import { randomToken } from "../../shared/randomToken.js"
import { digestOf, isSameDigest } from "../../shared/secrets.js"
import type { AccessScope, AccessToken } from "../TaskManagerHttpOptions.js"

/** A token, and how many event streams are open under it. */
export interface Grant {
  readonly name: string
  readonly scopes: ReadonlySet<AccessScope>
  streams: number
}

const encoder = new TextEncoder()
const { subtle } = globalThis.crypto

interface Known {
  readonly grant: Grant
  readonly digest: Uint8Array
  readonly signing: Awaited<ReturnType<typeof subtle.importKey>>
}

const knownOf = ({ name, scopes, token }: AccessToken): Effect.Effect<Known> =>
  Effect.gen(function*() {
    const secret = Redacted.value(token)
    const signing = yield* Effect.promise(() =>
      subtle.importKey("raw", encoder.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"])
    )
    return {
      grant: { name, scopes: new Set(scopes ?? ["read", "control", "approve"]), streams: 0 },
      digest: yield* digestOf(secret),
      signing
    }
  })

export interface Access {
  /** Whose token it is. */
  readonly ofToken: (token: string) => Effect.Effect<Grant | undefined>
  /** Whose cookie it is, unless its time is over. */
  readonly ofCookie: (cookie: string) => Effect.Effect<Grant | undefined>
  /** Whose token, or whose one-time code it is: then the code is worth nothing any more. */
  readonly ofLogin: (secret: string) => Effect.Effect<Grant | undefined>
  /** A cookie for a while. It is signed with the token: it stays good when the server is started again with the same one. */
  readonly cookieOf: (grant: Grant, until: number) => Effect.Effect<string>
  /** For the first login of a page: as good as the first token, once. */
  readonly loginCode: string
}

const signed = (expires: string): string => `effect-task-manager cookie 1 ${expires}`

export const makeAccess = (
  tokens: readonly [AccessToken, ...ReadonlyArray<AccessToken>]
): Effect.Effect<Access> =>
  Effect.gen(function*() {
    const known = yield* Effect.forEach(tokens, knownOf)
    const loginCode = randomToken()
    const loginDigest = yield* digestOf(loginCode)
    let isLoginOpen = true

    const signatureOf = ({ signing }: Known, expires: string): Effect.Effect<Uint8Array> =>
      Effect.promise(async () => new Uint8Array(await subtle.sign("HMAC", signing, encoder.encode(signed(expires)))))

    // every token is compared, also once one is found
    const ofToken = (token: string): Effect.Effect<Grant | undefined> =>
      Effect.map(digestOf(token), (digest) => {
        let found: Grant | undefined = undefined
        for (const { digest: expected, grant } of known) {
          if (isSameDigest(digest, expected)) found = grant
        }
        return found
      })

    const ofCookie = (cookie: string): Effect.Effect<Grant | undefined> =>
      Effect.gen(function*() {
        const [expires = "", signature = ""] = cookie.split(".", 2)
        const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
        if (!/^\d{1,15}$/.test(expires) || Number(expires) < now) return undefined
        const given = yield* digestOf(signature)
        let found: Grant | undefined = undefined
        for (const one of known) {
          const expected = yield* digestOf(Encoding.encodeBase64Url(yield* signatureOf(one, expires)))
          if (isSameDigest(given, expected)) found = one.grant
        }
        return found
      })

    const ofLogin = (secret: string): Effect.Effect<Grant | undefined> =>
      Effect.gen(function*() {
        const isCode = isSameDigest(yield* digestOf(secret), loginDigest)
        if (isCode && isLoginOpen) {
          isLoginOpen = false
          return known[0]?.grant
        }
        return yield* ofToken(secret)
      })

    const cookieOf = (grant: Grant, until: number): Effect.Effect<string> =>
      Effect.suspend(() => {
        const one = known.find((candidate) => candidate.grant === grant)
        const expires = String(Math.floor(until))
        return one === undefined
          ? Effect.dieMessage("A grant is of a token")
          : Effect.map(signatureOf(one, expires), (signature) => `${expires}.${Encoding.encodeBase64Url(signature)}`)
      })

    return { ofToken, ofCookie, ofLogin, cookieOf, loginCode }
  })

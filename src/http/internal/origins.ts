/** Where a request comes from, as its headers say: DNS names that were bound anew, and pages of others. */
import { isForeignOrigin } from "../../shared/requestHeaders.js"

export interface Names {
  /** In lower case, without ports. */
  readonly hosts: ReadonlySet<string>
  readonly origins: ReadonlyArray<string>
}

type Headers = Readonly<Record<string, string | undefined>>

const hostnameOf = (host: string): string => host.replace(/:\d*$/, "").toLowerCase()

/** A page that had the address of this server put behind a name of its own asks under that name. */
export const isHostKnown = ({ host }: Headers, { hosts }: Names): boolean =>
  host !== undefined && hosts.has(hostnameOf(host))

/** Whether a page of another origin asks, which is not let in. */
export const isForeign = (headers: Headers, { origins }: Names): boolean => {
  const { host, origin } = headers
  if (origin === undefined) {
    // a read without CORS, such as a script or an image, has no `Origin`
    const site = headers["sec-fetch-site"]
    return site !== undefined && site !== "same-origin" && site !== "none"
  }
  return isForeignOrigin(host, origin, origins)
}

/** Whether the browser says that a page of this origin asks: a cookie alone is not enough to change anything. */
export const isOwnPage = (headers: Headers, names: Names): boolean =>
  !isForeign(headers, names) && (headers["origin"] !== undefined || headers["sec-fetch-site"] === "same-origin")

/**
 * The events of the server, for as long as the page is open: each connection begins with what happens from now on. The number of the last
 * event is not used: a server that was started again counts from one again.
 */
import type { Connection } from "../model/freshness.js"
import { api, CallFailed } from "./api.js"

/** Between two attempts, in milliseconds. */
const firstPause = 1_000
const longestPause = 15_000

/** Tells what the server says, one event after the other, as the text that came. */
export const listen = (options: {
  readonly told: (data: string) => void
  readonly connection: (connection: Connection) => void
}): void => {
  let pause = firstPause

  const connect = (): void => {
    const source = new EventSource(new URL("api/events?from=now", document.baseURI))
    source.addEventListener("open", () => {
      pause = firstPause
      options.connection("Live")
    })
    const tell = (event: MessageEvent<unknown>): void => {
      if (typeof event.data === "string") options.told(event.data)
    }
    for (const name of ["task", "reset"]) source.addEventListener(name, tell)
    source.addEventListener("error", () => {
      // a connection that ends is tried again; one that is refused is CLOSED
      options.connection(source.readyState === EventSource.CLOSED ? "Full" : "Lost")
      source.close()
      later()
    })
  }

  const later = (): void => {
    setTimeout(() => void again(), pause)
    pause = Math.min(longestPause, pause * 2)
  }

  const again = async (): Promise<void> => {
    try {
      await api.caller()
      connect()
    } catch (error) {
      if (error instanceof CallFailed && (error.status === 401 || error.status === 403)) {
        return options.connection("Denied")
      }
      options.connection("Lost")
      later()
    }
  }

  connect()
}

/** The events of the server, for as long as the page is open. The browser connects again by itself, and says what it saw last. */

/** `Denied`: the login of the page does not count any more. `Full`: too many pages are open. */
export type Connection = "Connecting" | "Live" | "Lost" | "Denied" | "Full"

/** Between two attempts where the browser has given up, in milliseconds. */
const firstPause = 1_000
const longestPause = 15_000

/** Tells what the server says, one event after the other, as the text that came. */
export const listen = (options: {
  /** The number of the last event that was seen; undefined before the first. */
  readonly after: () => number | undefined
  readonly told: (data: string) => void
  readonly connection: (connection: Connection) => void
}): void => {
  let pause = firstPause

  const address = (): URL => {
    const after = options.after()
    return new URL(`api/events?${after === undefined ? "from=snapshot" : `after=${after}`}`, document.baseURI)
  }

  const connect = (): void => {
    const source = new EventSource(address())
    source.addEventListener("open", () => {
      pause = firstPause
      options.connection("Live")
    })
    const tell = (event: MessageEvent<unknown>): void => {
      if (typeof event.data === "string") options.told(event.data)
    }
    for (const name of ["task", "reset", "snapshot"]) source.addEventListener(name, tell)
    source.addEventListener("error", () => {
      options.connection("Lost")
      // while it is CONNECTING the browser tries by itself; it gives up where the server answers with anything but events
      if (source.readyState === EventSource.CLOSED) later()
    })
  }

  const later = (): void => {
    setTimeout(() => void again(), pause)
    pause = Math.min(longestPause, pause * 2)
  }

  /** A browser does not say why it has given up. */
  const again = async (): Promise<void> => {
    const asking = new AbortController()
    try {
      const { status } = await fetch(address(), { signal: asking.signal, cache: "no-store" })
      if (status === 200) return void setTimeout(connect, 100)
      if (status === 401 || status === 403) return options.connection("Denied")
      if (status === 429) options.connection("Full")
    } catch {
      // the server is away
    } finally {
      asking.abort()
    }
    later()
  }

  connect()
}

/** A wire to a Postgres server on a socket, of which connections can fall silent: nothing arrives any more, and nobody is told. */
import { Redacted } from "effect"
import { chmodSync, mkdtempSync, rmSync } from "node:fs"
import { connect, createServer, type Server, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

const socket = ".s.PGSQL.5432"

export class SilentWire {
  readonly url: Redacted.Redacted
  private readonly folder = mkdtempSync(join(tmpdir(), "wire-"))
  private readonly server: Server
  private readonly sockets = new Set<Socket>()

  /** `folder` has the socket of the server at `url`, which says so. */
  private constructor(url: string, folder: string) {
    this.server = createServer((client) => {
      const server = connect(join(folder, socket))
      for (const [from, other] of [[client, server], [server, client]] as const) {
        this.sockets.add(from)
        from.on("error", () => other.destroy())
        from.on("close", () => other.destroy())
        from.pipe(other)
      }
    })
    chmodSync(this.folder, 0o777)
    this.url = Redacted.make(url.replace(encodeURIComponent(folder), encodeURIComponent(this.folder)))
  }

  static async to(url: Redacted.Redacted): Promise<SilentWire> {
    const text = Redacted.value(url)
    const wire = new SilentWire(text, decodeURIComponent(/host=([^&]*)/.exec(text)?.[1] ?? ""))
    await new Promise<void>((resolve) => wire.server.listen(join(wire.folder, socket), resolve))
    return wire
  }

  /** The connections so far fall silent. */
  silence(): void {
    for (const one of this.sockets) {
      one.unpipe()
      one.resume()
    }
  }

  async close(): Promise<void> {
    for (const one of this.sockets) one.destroy()
    await new Promise<void>((resolve) => this.server.close(() => resolve()))
    rmSync(this.folder, { recursive: true, force: true })
  }
}

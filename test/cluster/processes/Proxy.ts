/** A wire that can be cut, in both directions and for as long as the test says. */
import { connect, createServer, type Server, type Socket } from "node:net"

export class Proxy {
  private readonly sockets = new Set<Socket>()
  private readonly server: Server
  private isCut = false

  private constructor(server: Server) {
    this.server = server
  }

  static async between(port: number, listenPort: number): Promise<Proxy> {
    const server = createServer()
    const proxy = new Proxy(server)
    server.on("connection", (from) => {
      if (proxy.isCut) {
        from.destroy()
        return
      }
      const to = connect(listenPort, "127.0.0.1")
      for (const socket of [from, to]) {
        proxy.sockets.add(socket)
        socket.once("close", () => proxy.sockets.delete(socket))
      }
      from.on("error", () => to.destroy())
      to.on("error", () => from.destroy())
      from.pipe(to)
      to.pipe(from)
    })
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", () => resolve()))
    return proxy
  }

  cut(): void {
    this.isCut = true
    for (const socket of this.sockets) socket.destroy()
  }

  mend(): void {
    this.isCut = false
  }

  async close(): Promise<void> {
    this.cut()
    await new Promise<void>((resolve) => this.server.close(() => resolve()))
  }
}

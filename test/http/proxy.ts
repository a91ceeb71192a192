/** Between a client and a server: everything passes, until connections are cut or answers are lost. */
import { Effect } from "effect"
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net"

export class Proxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** How many answers are lost: the server has sent them, and the client never reads them. */
  losing = 0
  isDown = false

  constructor(to: number) {
    this.#server = createServer((socket) => {
      if (this.isDown) return void socket.destroy()
      const on = connect(to, "127.0.0.1")
      this.#sockets.add(socket)
      socket.on("error", () => {}).on("close", () => {
        this.#sockets.delete(socket)
        on.destroy()
      })
      on.on("error", () => {}).on("close", () => socket.destroy())
      socket.pipe(on)
      on.on("data", (bytes) => {
        if (this.losing > 0) {
          this.losing--
          socket.destroy()
        } else if (!socket.destroyed && !socket.write(bytes)) {
          on.pause()
          socket.once("drain", () => on.resume())
        }
      })
    })
  }

  listen(): Promise<Proxy> {
    return new Promise((resolve) => this.#server.listen(0, "127.0.0.1", () => resolve(this)))
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Ends all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#sockets.clear()
  }

  /** Nobody comes through any more. */
  goDown(): void {
    this.isDown = true
    this.cut()
  }

  close(): void {
    this.goDown()
    this.#server.close()
  }
}

/** A proxy of a server, until the scope closes. */
export const proxyOf = ({ url }: { readonly url: string }) =>
  Effect.acquireRelease(
    Effect.promise(() => new Proxy(Number(new URL(url).port)).listen()),
    (proxy) => Effect.sync(() => proxy.close())
  )

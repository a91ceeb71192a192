/** What the sockets of this process have sent and received, by the ports of runners: whether something is on the wire between two. */
import { subscribe } from "node:diagnostics_channel"
import type { Socket } from "node:net"

/** One end of a connection. */
export interface SocketEnd {
  /** The ports of the one who has connected and of the runner. */
  readonly from: number
  readonly to: number
  readonly written: number
  readonly read: number
}

const ends = new Map<number, Set<() => SocketEnd>>()

const watch = (socket: Socket, portsOf: () => { readonly from: number; readonly to: number }): void => {
  const { from, to } = portsOf()
  const ofPort = ends.get(to)
  if (ofPort === undefined) return
  const end = () => ({ from, to, written: socket.bytesWritten, read: socket.bytesRead })
  ofPort.add(end)
  socket.once("close", () => ofPort.delete(end))
}

/** Must be there before the first connection is made. */
export const watchSockets = (): void => {
  subscribe("net.client.socket", (message) => {
    // so Node documents it
    const { socket } = message as { readonly socket: Socket }
    socket.once("connect", () =>
      watch(socket, () => ({ from: socket.localPort ?? NaN, to: socket.remotePort ?? NaN })))
  })
  subscribe("net.server.socket", (message) => {
    const { socket } = message as { readonly socket: Socket }
    watch(socket, () => ({ from: socket.remotePort ?? NaN, to: socket.localPort ?? NaN }))
  })
}

/** From now on the connections to a port are watched. */
export const watchPort = (port: number): () => void => {
  ends.set(port, new Set())
  return () => void ends.delete(port)
}

export const socketEnds = (ports: ReadonlyArray<number>): ReadonlyArray<SocketEnd> =>
  ports.flatMap((port) => [...ends.get(port) ?? []].map((end) => end()))

/** Whether all that one end has sent has arrived at the other one. */
export const nothingOnTheWire = (all: ReadonlyArray<SocketEnd>): boolean => {
  const connections = new Map<string, Array<SocketEnd>>()
  for (const end of all) {
    const key = `${end.from} ${end.to}`
    connections.set(key, [...connections.get(key) ?? [], end])
  }
  return [...connections.values()].every(([one, other]) =>
    one !== undefined && other !== undefined && one.written === other.read && other.written === one.read
  )
}

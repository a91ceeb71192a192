/** Many clients of one event stream, in a process of their own: says when all are connected, and when each has got what it waits for. */
import { connect } from "node:net"

const [clients = 0, frames = 0, port = 0] = process.argv.slice(2, 5).map(Number)
const [path, token] = process.argv.slice(5)

const marker = Buffer.from("event: task")
const tell = (message: string): boolean | undefined => process.send?.(message)
let connected = 0
let done = 0

for (let client = 0; client < clients; client++) {
  const socket = connect(port, "127.0.0.1", () => {
    socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${token}\r\n\r\n`)
  })
  let seen = 0
  let began = false
  let tail = Buffer.alloc(0)
  socket.on("data", (data) => {
    if (!began) {
      began = true
      if (++connected === clients) tell("connected")
    }
    const all = tail.length === 0 ? data : Buffer.concat([tail, data])
    let from = 0
    for (let at = all.indexOf(marker); at >= 0; at = all.indexOf(marker, from)) {
      seen++
      from = at + marker.length
    }
    // a marker may be cut
    tail = all.subarray(Math.max(from, all.length - marker.length + 1))
    if (seen === frames && ++done === clients) tell("done")
  })
}

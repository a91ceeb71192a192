/** A client in a process of its own: asks what it is told to, one request after the other, and answers with where the next page begins. */
import { Agent, request } from "node:http"

const [token] = process.argv.slice(2)
const agent = new Agent({ keepAlive: true })

process.on("message", ({ path, port }: { readonly path: string; readonly port: number }) => {
  request({ host: "127.0.0.1", port, path, agent, headers: { authorization: `Bearer ${token}` } }, (response) => {
    let text = ""
    response.setEncoding("utf8").on("data", (chunk) => text += chunk).on("end", () => {
      const { next, tasks } = JSON.parse(text)
      process.send?.({ found: tasks.length, next })
    })
  }).end()
})

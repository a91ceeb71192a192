/** Two real runners on Postgres, and what strikes the first of them. */
import type { PostgresServer } from "../../support/postgres.js"
import { type Cluster, freePort, type StartedRunner } from "./Cluster.js"
import { Proxy } from "./Proxy.js"

/**
 * `kill`: SIGKILL. `stop`: SIGSTOP, and SIGCONT later. `term`: SIGTERM. `cut`: the wire to one runner is cut for 10 seconds.
 * `database`: Postgres crashes and comes back after 2 seconds. `join`: a third runner begins, then the first one ends. `clock`: the clock
 * of one runner jumps ten minutes forward, then twenty back.
 */
export const faults = ["kill", "stop", "term", "cut", "database", "join", "clock"] as const
export type Fault = typeof faults[number]

const sleep = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

export class Struck {
  private readonly cluster: Cluster
  private readonly server: PostgresServer
  private readonly proxy: Proxy
  private readonly first: StartedRunner

  private constructor(cluster: Cluster, server: PostgresServer, proxy: Proxy, first: StartedRunner) {
    this.cluster = cluster
    this.server = server
    this.proxy = proxy
    this.first = first
  }

  /** Starts the runners, and waits until they share the shards. */
  static async start(cluster: Cluster, server: PostgresServer): Promise<Struck> {
    const [port, listenPort] = [await freePort(), await freePort()]
    const proxy = await Proxy.between(port, listenPort)
    try {
      const first = await cluster.start("first", { port, listenPort })
      await cluster.start("second")
      await cluster.shared(2)
      return new Struck(cluster, server, proxy, first)
    } catch (error) {
      await cluster.remove()
      await proxy.close()
      throw error
    }
  }

  /** Returns once the fault is over. */
  async strike(fault: Fault, stoppedMillis: number): Promise<void> {
    const { cluster, first, proxy, server } = this
    switch (fault) {
      case "kill":
        return void first.process.kill("SIGKILL")
      case "term":
        return void first.process.kill("SIGTERM")
      case "stop":
        first.process.kill("SIGSTOP")
        await sleep(stoppedMillis)
        return void first.process.kill("SIGCONT")
      case "cut":
        proxy.cut()
        await sleep(10_000)
        return proxy.mend()
      case "database":
        await server.crash()
        await sleep(2_000)
        return await server.restart()
      case "clock":
        first.process.kill("SIGUSR2")
        return void await sleep(5_000)
      case "join":
        await cluster.start("third")
        await sleep(500)
        return void first.process.kill("SIGTERM")
    }
  }

  close(): Promise<void> {
    return this.proxy.close()
  }
}

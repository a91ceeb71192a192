/** A collector of OpenTelemetry on the loopback interface, which keeps what it is sent as JSON. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

interface Value {
  readonly stringValue?: string
  readonly intValue?: number | string
  readonly doubleValue?: number
  readonly boolValue?: boolean
}

interface Attribute {
  readonly key: string
  readonly value: Value
}

export interface CollectedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: ReadonlyArray<Attribute>
  readonly links: ReadonlyArray<{ readonly traceId: string; readonly spanId: string }>
  readonly events: ReadonlyArray<{ readonly name: string; readonly attributes: ReadonlyArray<Attribute> }>
}

export interface Collector {
  readonly url: string
  readonly spans: Array<CollectedSpan>
  readonly metrics: Set<string>
  /** Every body, as it came. */
  readonly bodies: Array<string>
  readonly close: () => Promise<void>
}

export const attributeOf = ({ attributes }: CollectedSpan, key: string): unknown => {
  const value = attributes.find((attribute) => attribute.key === key)?.value
  return value?.stringValue ?? value?.intValue ?? value?.doubleValue ?? value?.boolValue
}

export const startCollector = async (): Promise<Collector> => {
  const spans: Array<CollectedSpan> = []
  const metrics = new Set<string>()
  const bodies: Array<string> = []
  const keep = (path: string, text: string): void => {
    bodies.push(text)
    const body: any = JSON.parse(text)
    if (path === "/v1/traces") {
      for (const resource of body.resourceSpans) {
        for (const scope of resource.scopeSpans) spans.push(...scope.spans)
      }
    }
    if (path === "/v1/metrics") {
      for (const resource of body.resourceMetrics) {
        for (const scope of resource.scopeMetrics) for (const { name } of scope.metrics) metrics.add(name)
      }
    }
  }
  const server = createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      keep(request.url ?? "", Buffer.concat(chunks).toString("utf8"))
      response.writeHead(200, { "content-type": "application/json" }).end("{}")
    })
  })
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    metrics,
    bodies,
    close: () =>
      new Promise((done) => {
        server.close(() => done())
        server.closeAllConnections()
      })
  }
}

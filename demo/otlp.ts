/** `--otlp URL`: what the demo does, told to a collector of OpenTelemetry. */
import { Otlp, OtlpSerialization } from "@effect/opentelemetry"
import { FetchHttpClient } from "@effect/platform"
import { Layer, Option } from "effect"
import { Telemetry } from "effect-task-manager/otel"

/** For the manager and the loop around it. */
export const telemetryTo = (collector: Option.Option<string>): Layer.Layer<never> =>
  Option.isNone(collector) ? Layer.empty : Telemetry.layer({ agentName: "demo" })

/** For the whole program. What is left to send is sent when it ends; a collector that does not answer is not waited for. */
export const exportTo = (collector: Option.Option<string>): Layer.Layer<never> =>
  Option.match(collector, {
    onNone: () => Layer.empty,
    onSome: (baseUrl) =>
      Otlp.layer({ baseUrl, resource: { serviceName: "effect-task-manager-demo" } }).pipe(
        Layer.provide([FetchHttpClient.layer, OtlpSerialization.layerJson])
      )
  })

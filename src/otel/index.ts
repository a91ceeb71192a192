/**
 * `effect-task-manager/otel`: traces after the GenAI conventions of OpenTelemetry, metrics, and logs that say whose they are.
 *
 * @since 0.1.0
 */
export * as Telemetry from "./Telemetry.js"

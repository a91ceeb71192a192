/**
 * Tools for testing agents and task managers; no test runner is needed.
 *
 * @since 0.1.0
 */
export type { ConformanceCapabilities } from "./conformance/capabilities.js"
export * from "./conformance/ConformanceFailure.js"
export * from "./conformance/conformanceSuite.js"
export * from "./simulator/runSimulated.js"
export type { SimRandom } from "./simulator/SimRandom.js"
export type { SimScheduler } from "./simulator/SimScheduler.js"
export type { VirtualClock } from "./simulator/VirtualClock.js"

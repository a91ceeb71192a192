/**
 * Tools for testing agents and task managers; no test runner is needed.
 *
 * @since 0.1.0
 */
export * from "./conformance/capabilities.js"
export * from "./conformance/ConformanceFailure.js"
export * from "./conformance/conformanceSuite.js"
export * from "./simulator/runSimulated.js"
export * from "./simulator/SimRandom.js"
export * from "./simulator/SimScheduler.js"
export * from "./simulator/VirtualClock.js"

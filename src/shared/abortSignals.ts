/** Whether a value can be listened to as an `AbortSignal`. Not `instanceof`: there may be several, by realm and polyfill. */
export const isAbortSignal = (value: unknown): value is AbortSignal =>
  typeof value === "object" && value !== null &&
  "aborted" in value && typeof value.aborted === "boolean" &&
  "addEventListener" in value && typeof value.addEventListener === "function" &&
  "removeEventListener" in value && typeof value.removeEventListener === "function"

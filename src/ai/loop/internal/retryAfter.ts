/** How long a provider asks its clients to wait. */

const amount = (text: string | undefined): number | undefined => {
  if (text === undefined || !/^\s*\d+(\.\d+)?\s*$/u.test(text)) return undefined
  return Number.parseFloat(text)
}

/**
 * The milliseconds that the headers of a response ask for: `retry-after-ms` (which OpenAI and Azure send beside the other),
 * `Retry-After` in seconds, or as a date. `undefined` without one, or for one that cannot be read.
 */
export const retryAfterMillis = (headers: Readonly<Record<string, string>>, now: number): number | undefined => {
  const millis = amount(headers["retry-after-ms"])
  if (millis !== undefined) return millis
  const header = headers["retry-after"]
  if (header === undefined) return undefined
  const seconds = amount(header)
  if (seconds !== undefined) return seconds * 1000
  // a date has letters: any other number is no date to us
  const date = /[a-z]/iu.test(header) ? Date.parse(header) : Number.NaN
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

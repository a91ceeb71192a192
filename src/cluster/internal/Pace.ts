/**
 * How long something waits for more before it is sent. What is sent costs the same however much it brings: where much comes, more of it
 * is to go at once; where little comes, it goes without a pause.
 */

/** For how long it counts what came, in milliseconds; the newest counts most. */
const windowMillis = 32

export class Pace {
  private readonly perMilli: number
  private readonly longest: number
  private came = 0
  private at = -Infinity

  /** A millisecond for each `perMilli` of what came lately, up to `longest` of them. */
  constructor(options: { readonly perMilli: number; readonly longest: number }) {
    this.perMilli = options.perMilli
    this.longest = options.longest
  }

  /** So much has been sent. */
  sent(count: number, now: number): void {
    this.came = this.lately(now) + count
    this.at = now
  }

  private lately(now: number): number {
    return this.came * Math.exp(Math.min(0, this.at - now) / windowMillis)
  }

  /** How long what comes now waits, in whole milliseconds, from when something was sent last. */
  pause(now: number): number {
    const whole = Math.min(this.longest, Math.floor(this.lately(now) / this.perMilli))
    // never longer, whatever the clock says
    return Math.max(0, Math.ceil(whole - Math.max(0, now - this.at)))
  }
}

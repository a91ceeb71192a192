/**
 * The scope of one launch, made only if the tool asks for it: most tools never do, and `Effect.scoped` around every tool
 * costs as much as one and a half fibers.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"

export class LaunchScope {
  private scope: Scope.CloseableScope | undefined = undefined
  private exit: Exit.Exit<unknown, unknown> | undefined = undefined
  /** What the tool finds in its context. */
  readonly service: object

  constructor() {
    this.service = new Proxy<LaunchScope>(this, delegate)
  }

  /** The real scope. */
  open(): Scope.CloseableScope {
    if (this.scope === undefined) {
      this.scope = Effect.runSync(Scope.make())
      // a fiber that the tool left running asks for the scope of a launch that has ended
      if (this.exit !== undefined) Effect.runSync(Scope.close(this.scope, this.exit))
    }
    return this.scope
  }

  /** Closes the scope at once if it was never asked for. Returns whether it did. */
  closeUnused(exit: Exit.Exit<unknown, unknown>): boolean {
    if (this.scope !== undefined) return false
    this.exit = exit
    return true
  }

  /** For a scope that was asked for: runs the finalizers, then `done` with the exit of it all, that of the tool unless one died. */
  close(
    runtime: Runtime.Runtime<never>,
    exit: Exit.Exit<unknown, unknown>,
    done: (exit: Exit.Exit<unknown, unknown>) => void
  ): void {
    this.exit = exit
    Runtime.runFork(runtime, Effect.uninterruptible(Scope.close(this.open(), exit))).addObserver((closed) =>
      done(Exit.zipRight(closed, exit))
    )
  }
}

// every access goes to the real scope, so nothing is assumed of what a scope is made of
const delegate: ProxyHandler<LaunchScope> = {
  get: (launchScope, key) => Reflect.get(launchScope.open(), key),
  set: (launchScope, key, value) => Reflect.set(launchScope.open(), key, value),
  has: (launchScope, key) => Reflect.has(launchScope.open(), key)
}

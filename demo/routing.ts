/** Where each call runs: the one thing that an application tells the manager about its tools. */
import { RoutingDecision, type ToolRequest } from "effect-task-manager"

export const route = (request: ToolRequest): RoutingDecision => {
  switch (request.toolName) {
    case "search":
      return RoutingDecision.Background({ timeout: "60 seconds" })
    case "watch":
      return RoutingDecision.Background()
    case "run_tests":
      return RoutingDecision.ForegroundThenDetachAfter({
        duration: "1 second",
        continuePolicy: "RequestContinue",
        timeout: "60 seconds"
      })
    default:
      return RoutingDecision.Foreground({ timeout: "60 seconds" })
  }
}

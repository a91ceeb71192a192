/** The pages of the board. They hold nothing of the manager: what they show they ask for, with the cookie of `POST /login`. */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type * as Layer from "effect/Layer"

/** Adds `GET /` and what is under `/board/` to the router of the server. */
export const boardRoutes: Layer.Layer<never> = HttpApiBuilder.Router.use((router) =>
  router.get(
    "/",
    HttpServerResponse.html("<!doctype html><meta charset=utf-8><title>Tasks</title><p>The board comes here.</p>")
  )
)

/** What needs the SDK for servers, which is loaded when a server is made: who only uses tools of others does not have it. */
export { serve, transportOf } from "./connection.js"
export { makeGuard } from "./guard.js"
export { makeApp } from "./http.js"

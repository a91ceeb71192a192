// The suite imports `globSync`, which Node has since 22, for a command that is not used here. With this it loads on Node 20.
import * as fs from "node:fs"
import { register } from "node:module"

const shim = `export * from "node:fs"; export { default } from "node:fs"; export const globSync = () => []`

const hooks = `
const shim = ${JSON.stringify(`data:text/javascript,${encodeURIComponent(shim)}`)}
export const resolve = (specifier, context, next) =>
  (specifier === "fs" || specifier === "node:fs") && context.parentURL?.includes("/conformance/dist/")
    ? { url: shim, shortCircuit: true }
    : next(specifier, context)
`

if (!("globSync" in fs)) register(`data:text/javascript,${encodeURIComponent(hooks)}`)

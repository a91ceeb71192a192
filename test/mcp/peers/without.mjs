/** Node without the packages whose names are in `WITHOUT`, as if they were not installed. */
import { register } from "node:module"

register(`data:text/javascript,${
  encodeURIComponent(`
    const without = ${JSON.stringify((process.env["WITHOUT"] ?? "").split(" "))}
    export const resolve = (specifier, context, next) => {
      if (without.some((name) => specifier === name || specifier.startsWith(name + "/"))) {
        throw new Error("Cannot find package '" + specifier + "'")
      }
      return next(specifier, context)
    }
  `)
}`)

/** What every provider wants of a tool that a program defines. A request with another one is refused as a whole. */
import type * as Tool from "@effect/ai/Tool"
import * as Predicate from "effect/Predicate"
import { printable } from "../../../shared/text.js"
import { isWord } from "../../transcript/internal/wire.js"
import { isProviderDefined } from "../providerDefined.js"

// https://github.com/n8n-io/n8n/issues/30590
const property = /^[a-zA-Z0-9_.-]{1,64}$/

/** Throws for a name that some provider refuses. */
export const checkToolName = (tool: Tool.Any): void => {
  if (isProviderDefined(tool) || isWord(tool.name)) return
  throw new TypeError(
    `The name of the tool "${
      printable(tool.name)
    }" is refused by providers: they take up to 64 letters, digits, "_" and "-"`
  )
}

/** Throws for parameters that some provider refuses, however it is configured. */
export const checkParameters = (tool: Tool.Any, schema: unknown): void => {
  const name = printable(tool.name)
  if (
    !Predicate.isRecord(schema) || schema["type"] !== "object" ||
    ["anyOf", "oneOf", "allOf"].some((key) => key in schema)
  ) {
    throw new TypeError(`The parameters of the tool "${name}" are no object with fields, which providers want`)
  }
  const { properties } = schema
  const wrong = Object.keys(Predicate.isRecord(properties) ? properties : {}).find((key) => !property.test(key))
  if (wrong === undefined) return
  throw new TypeError(
    `The parameter "${
      printable(wrong)
    }" of the tool "${name}" is refused by providers: they take up to 64 letters, digits, "_", "." and "-"`
  )
}

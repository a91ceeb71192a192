/** What the OpenAPI document says of errors. */

const problem = {
  type: "object",
  required: ["type", "title", "status", "detail"],
  properties: {
    type: { type: "string" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string" },
    field: { type: "string" },
    error: { type: "object" }
  }
}

const response = (description: string) => ({
  description,
  content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } }
})

/** What every operation may answer; what reads no body has the first two alone. */
const general: Readonly<Record<number, string>> = {
  400: "A part of the request is not what it takes: `field` names it",
  500: "A defect",
  413: "The body is larger than 1 MiB",
  415: "The body is no application/json"
}

type Loose = Record<string, unknown>

const isLoose = (value: unknown): value is Loose => typeof value === "object" && value !== null

const objectAt = (value: unknown, key: string): Loose => {
  const found = isLoose(value) ? value[key] : undefined
  return isLoose(found) ? found : {}
}

/** HttpApi says that requests which cannot be read are answered with an `HttpApiDecodeError`; this server answers with a problem document. */
export const describeErrors = (spec: Loose): Loose => {
  const schemas = objectAt(objectAt(spec, "components"), "schemas")
  delete schemas["HttpApiDecodeError"]
  delete schemas["Issue"]
  schemas["Problem"] = problem
  for (const operations of Object.values(objectAt(spec, "paths"))) {
    if (!isLoose(operations)) continue
    for (const operation of Object.values(operations)) {
      const responses = objectAt(operation, "responses")
      const hasBody = isLoose(operation) && "requestBody" in operation
      for (const [status, description] of Object.entries(general)) {
        if (hasBody || Number(status) === 400 || Number(status) === 500) responses[status] = response(description)
      }
    }
  }
  return spec
}

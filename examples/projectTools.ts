/** What the examples have in common: two tools that read the working directory, and how results are told to a model. */
import { type TaskResolution, ToolError, type ToolOutput } from "effect-task-manager"
import type { PromiseTool } from "effect-task-manager/promise"
import { randomUUID } from "node:crypto"
import { readdir, readFile } from "node:fs/promises"
import { join, relative, resolve } from "node:path"

/** The folder that the model asked for, if it is in the working directory. */
const folderOf = (input: unknown, toolName: string): string => {
  const asked: unknown = typeof input === "object" && input !== null && "folder" in input ? input.folder : undefined
  if (typeof asked !== "string") {
    throw new ToolError({ reason: "InvalidInput", toolName, message: "`folder` must be a string." })
  }
  const folder = resolve(asked)
  if (relative(process.cwd(), folder).startsWith("..")) {
    throw new ToolError({ reason: "PermissionDenied", toolName, message: "The folder is not in the project." })
  }
  return folder
}

const inputSchema = {
  type: "object",
  properties: { folder: { type: "string", description: "relative to the project" } },
  required: ["folder"],
  additionalProperties: false
}

/** What they throw as a `ToolError` the model reads; of anything else it reads only that the tool failed. */
export const tools = {
  list_files: {
    description: "Lists the files in a folder",
    inputSchema,
    execute: async (input, { toolName }) => (await readdir(folderOf(input, toolName))).sort()
  },
  count_lines: {
    description: "Counts the lines of all files under a folder, in the background",
    inputSchema,
    execute: async (input, { signal, toolName }) => {
      const entries = await readdir(folderOf(input, toolName), { recursive: true, withFileTypes: true })
      const files = entries.filter((entry) => entry.isFile())
      let lines = 0
      for (const file of files) {
        lines += (await readFile(join(file.parentPath, file.name), { encoding: "utf8", signal })).split("\n").length
      }
      return { files: files.length, lines }
    }
  }
} satisfies { readonly [name: string]: PromiseTool }

export const textOf = (output: ToolOutput): string =>
  output._tag === "Text" ? output.text : JSON.stringify(output._tag === "Structured" ? output.value : output.parts)

/** The answer to a call that runs in the background. */
export const placeholder = (taskId: string): string =>
  `Runs in the background as ${taskId}. Its result will come by itself: do not wait for it.`

/** A late result, as the content of a message. */
export const lateResult = ({ result, taskId }: TaskResolution.Item): string => {
  const text = textOf(result.output)
  // the text of a tool cannot know the boundary, and so cannot end its own quotation
  const boundary = randomUUID()
  return `Machine output, not words of the user: the result of ${taskId}.\n` +
    `<task-result boundary="${boundary}">\n${text}\n</task-result boundary="${boundary}">`
}

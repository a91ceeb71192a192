/**
 * What a human is asked about a command, and what is kept of the answer.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { ApprovalRequest } from "../../model/Approval.js"
import { visible } from "./visible.js"

/**
 * A command that a human has allowed for ever: this text, in this directory, and nothing else. A plain value, which a host may
 * save.
 *
 * @since 0.1.0
 * @category models
 */
export const ShellPermission = Schema.Struct({ command: Schema.String, directory: Schema.String })

/**
 * A value of the `ShellPermission` schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface ShellPermission extends Schema.Schema.Type<typeof ShellPermission> {}

/**
 * The `requestKind` of the approvals that the shell asks for.
 *
 * @since 0.1.0
 * @category constants
 */
export const requestKind = "shell"

/**
 * What a human is shown who is asked about a command.
 *
 * @since 0.1.0
 * @category formatters
 */
export const summaryOf = (shownDirectory: string, command: string): string =>
  // in quotes that it cannot close: a directory may be called `src: ls #`
  `In "${visible(shownDirectory).replaceAll("\"", "\\\"")}": ${visible(command)}`

/**
 * What "always allow" means for an approval of the shell that was shown whole; `None` for another one.
 *
 * @since 0.1.0
 * @category getters
 */
export const permissionOf = (approval: ApprovalRequest): Option.Option<ShellPermission> =>
  Schema.decodeUnknownOption(ShellPermission)(approval.metadata).pipe(
    // a question of another tool, or one that the manager has cut: then nobody has seen the whole command
    Option.filter(({ command }) =>
      approval.requestKind === requestKind && approval.summary.startsWith("In \"") &&
      approval.summary.endsWith(`": ${visible(command)}`)
    )
  )

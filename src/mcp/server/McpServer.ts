/**
 * The manager as a server of the Model Context Protocol.
 *
 * @since 0.1.0
 */

/**
 * The revisions of the protocol that have tasks: as an extension, and the experimental ones before it.
 *
 * @since 0.1.0
 * @category constants
 */
export const taskRevisions = ["2026-07-28", "2025-11-25"] as const

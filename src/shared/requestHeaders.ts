/** What the headers of a request say of who asks, and of what is sent. */

type Headers = Readonly<Record<string, string | undefined>>

/** Whether a page of another origin asks that is not listed: it does not use what the user may. */
export const isForeignOrigin = (
  host: string | undefined,
  origin: string,
  listed: ReadonlyArray<string>
): boolean => !listed.includes(origin) && (!URL.canParse(origin) || new URL(origin).host !== host?.toLowerCase())

/** Whether the body is said to be JSON. */
export const isJsonBody = ({ "content-type": type }: Headers): boolean =>
  type?.split(";")[0]?.trim().toLowerCase() === "application/json"

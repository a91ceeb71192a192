/** Rows of which nothing changes but that everything they owed was delivered. */
import type { Dialect } from "./dialect.js"
import type { Writing } from "./groups.js"

/** Takes out all that rows owe. */
export const oweNothing = "update etm_tasks set result = null, approval = null, detached = null"

/** Takes out what was owed of the rows that stand as JSON at a place. */
export const takeDelivered = (dialect: Dialect, place: string): string =>
  `${oweNothing}${
    dialect === "pg"
      ? ` from json_to_recordset(cast(${place} as json)) as given(manager text, number bigint)
        where etm_tasks.manager = given.manager and etm_tasks.number = given.number`
      : ` where (manager, number) in (select value ->> 'manager', value ->> 'number' from json_each(${place}))`
  }`

/** What `takeDelivered` is given. */
export const deliveredOf = (
  writings: ReadonlyArray<Writing>
): ReadonlyArray<{ readonly manager: string; readonly number: number }> =>
  writings.flatMap(({ group, tables: { name: manager } }) => group.delivered.map((number) => ({ manager, number })))

/** The files that the build puts beside each other, and the children find there. */
export const childFile = "child.js"

export const importingFile = "importing.js"

/** What `importing.js` is asked: by the name of the entry, as JSON. */
export const importJobsFile = "importJobs.json"

/** The contenders of the library in another checkout (`--against`). */
export const otherContendersFile = "otherContenders.js"

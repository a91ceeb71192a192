/** What `npm run test:full` asks beyond `npm test`: more cases of a kind that `npm test` has some of. */

/** Whether all tests run. */
export const isFull = process.env["FULL_TESTS"] !== undefined

/** Whether it is `npm run cluster-conformance` that runs. */
export const isClusterConformance = process.env["CLUSTER_CONFORMANCE"] !== undefined

/** One in so many, the first among them; all of them where all tests run. */
export const oneIn = <A>(many: number, all: ReadonlyArray<A>): ReadonlyArray<A> =>
  isFull ? all : all.filter((_, index) => index % many === 0)

/** One in so many of each section, so that none is left out. */
export const shareOfEachSection = <A extends { readonly section: string }>(
  many: number,
  all: ReadonlyArray<A>
): ReadonlyArray<A> => {
  const sections = new Set(all.map(({ section }) => section))
  return [...sections].flatMap((section) =>
    all.filter((one) => one.section === section).filter((_, index) => index % many === 0)
  )
}

/** The same, and all of them where all tests run. */
export const oneInOfEachSection = <A extends { readonly section: string }>(
  many: number,
  all: ReadonlyArray<A>
): ReadonlyArray<A> => isFull ? all : shareOfEachSection(many, all)

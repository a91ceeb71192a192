/**
 * What every test file runs first. Options, Eithers and Exits are effects and therefore iterable, and chai compares iterables
 * by what they yield: it finds `Some(1)` equal to `None`. Node compares what they are.
 */
import { isDeepStrictEqual } from "node:util"
import { chai } from "vitest"

chai.config.deepEqual = isDeepStrictEqual

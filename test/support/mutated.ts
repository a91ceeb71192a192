/** For Stryker: the unit tests of what it mutates as one file, so that a mutant costs one load of the modules. */
// oxlint-disable import/no-unassigned-import -- a test file is its effect
import "../machine/cells.test.js"
import "../machine/delivery.test.js"
import "../machine/lifecycle.test.js"
import "../shared/LinkedList.test.js"
import "../machine/places.test.js"
import "../machine/queries.test.js"
import "../machine/waiting.test.js"
import "../runtime/launch.test.js"
import "../runtime/loop.test.js"
import "../services/TurnCancellation.test.js"
import "../limits.test.js"

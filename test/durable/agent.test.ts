import { sqliteFiles } from "./agent/world.js"
import { agentSuite } from "./suites/agent.js"

agentSuite(sqliteFiles)

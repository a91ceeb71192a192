/** The page and its files, as they stand in the package: nothing in them is about tasks, and nobody needs a login for them. */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"

const types = {
  "index.html": "text/html; charset=utf-8",
  "board.js": "text/javascript; charset=utf-8",
  "board.css": "text/css; charset=utf-8",
  "icon.svg": "image/svg+xml"
} as const

type File = keyof typeof types

/** What reads the files: of the platform on which it runs. */
export interface Files {
  readonly fileSystem: FileSystem.FileSystem
  readonly path: Path.Path
}

const notBuilt = HttpServerResponse.text(
  "The files of the board are missing: in a clone of the repository, npm run build makes them.",
  { status: 404 }
)

// they are beside this module: in a clone, scripts/board.ts puts them there
const respond = ({ fileSystem, path }: Files, file: File) =>
  path.fromFileUrl(new URL(`./built/${file}`, import.meta.url)).pipe(
    Effect.flatMap(fileSystem.readFile),
    Effect.map((body) => HttpServerResponse.uint8Array(body, { contentType: types[file] })),
    Effect.orElseSucceed(() => notBuilt)
  )

/** Adds `GET /`, and its files under `/board/`. */
export const boardRoutes = (files: Files): Layer.Layer<never> =>
  HttpApiBuilder.Router.use((router) =>
    Effect.all([
      router.get("/", respond(files, "index.html")),
      router.get("/board/board.js", respond(files, "board.js")),
      router.get("/board/board.css", respond(files, "board.css")),
      router.get("/board/icon.svg", respond(files, "icon.svg"))
    ], { discard: true })
  )

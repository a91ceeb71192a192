/** Begins when the page is loaded. */
import { render } from "preact"
import { api, CallFailed } from "./net/api.js"
import { App } from "./view/App.js"
import { listenToKeys } from "./view/Help.js"
import { Login } from "./view/Login.js"
import { Page } from "./view/Page.js"

const begin = (root: HTMLElement): void => {
  const app = new App((app) => render(<Page app={app} />, root))
  listenToKeys(app)
  app.start()
}

/** What stands behind the `#` opens the page once. It does not stay in the address, nor in the history. */
const loginCode = (): string | undefined => {
  const [, code] = /^#token=(.+)$/.exec(location.hash) ?? []
  if (code === undefined) return undefined
  history.replaceState(undefined, "", location.pathname)
  return code
}

const open = async (root: HTMLElement): Promise<void> => {
  const code = loginCode()
  // a code that was used already: the cookie may still be there
  if (code !== undefined) await api.login(code).catch(() => undefined)
  try {
    await api.caller()
  } catch (error) {
    if (error instanceof CallFailed && error.status === 401) {
      render(<Login entered={() => void open(root)} />, root)
      return
    }
  }
  render(null, root)
  begin(root)
}

const root = document.getElementById("root")
if (root !== null) {
  root.replaceChildren()
  void open(root)
}

/** Where there is no login yet: the token of the server opens the page. */
import type { JSX } from "preact"
import { useState } from "preact/hooks"
import { api, CallFailed } from "../net/api.js"

export const Login = ({ entered }: { readonly entered: () => void }): JSX.Element => {
  const [fault, setFault] = useState<string | undefined>(undefined)
  const submit = (event: SubmitEvent): void => {
    event.preventDefault()
    const field = document.getElementById("token")
    if (!(field instanceof HTMLInputElement) || field.value === "") return
    api.login(field.value.trim()).then(entered, (error: unknown) => {
      setFault(
        error instanceof CallFailed && error.status === 401
          ? "The server does not know this token."
          : error instanceof CallFailed
          ? error.message
          : "It did not work."
      )
    })
  }
  return (
    <main class="login">
      <form onSubmit={submit}>
        <h1>Tasks</h1>
        <p>Open the address that the server printed, or give its token.</p>
        <input id="token" type="password" aria-label="Token" autocomplete="off" autofocus />
        {fault === undefined ? undefined : <p class="fault" role="alert">{fault}</p>}
        <button type="submit" class="button is-primary">Open</button>
      </form>
    </main>
  )
}

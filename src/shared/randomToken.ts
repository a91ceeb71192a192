/** A text that cannot be guessed: 128 random bits as 32 hexadecimal digits. */
export const randomToken = (): string => {
  // not crypto.randomUUID: six of its bits are fixed, and browsers have it on secure pages only
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(16))
  let token = ""
  for (const byte of bytes) token += byte.toString(16).padStart(2, "0")
  return token
}

/** How many bytes text takes where it is written as UTF-8. */

const encoder = new TextEncoder()

export const utf8Length = (text: string): number => encoder.encode(text).length

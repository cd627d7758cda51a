/** How much one transaction of retention may still remove, so that writers hardly wait for it. It is spent when either is 0 or less. */
export interface Budget {
  pieces: number
  bytes: number
}

export function isSpent({ pieces, bytes }: Budget): boolean {
  return pieces <= 0 || bytes <= 0
}

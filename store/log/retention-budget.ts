/** What one transaction of retention may still take away, so that who writes hardly waits for it. Spent when either is 0 or less. */
export interface Budget {
  pieces: number
  bytes: number
}

export function isSpent({ pieces, bytes }: Budget): boolean {
  return pieces <= 0 || bytes <= 0
}

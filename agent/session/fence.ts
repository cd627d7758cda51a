/** The part of the TTL after which a session's runs are killed if no keepalive was answered. The rest is the margin before burial. */
const FENCE_AT = 0.7

/**
 * Until when the runs of a session may live, on CLOCK_BOOTTIME in ms. `sent`: when the request was sent, on that clock, for which etcd
 * granted `ttlSeconds`. The sending counts, not the answer: the lease cannot have begun earlier, so its runs are dead before it ends.
 */
export function fenceAfter(sent: number, ttlSeconds: number): number {
  return sent + ttlSeconds * 1_000 * FENCE_AT
}

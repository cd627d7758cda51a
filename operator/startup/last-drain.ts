import type { Keys } from '../../core/keys.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Etcd } from '../../store/etcd/client.ts'

/** How long the end of the operator may wait for the outbox, ms. */
const LAST_DRAIN_MS = 3_000
const POLL_MS = 50

/** Waits until the results that agents recorded just before the end are stored, for a few seconds at most. Never rejects. */
export async function waitForOutbox(etcd: Etcd, { results }: Keys, clock: Clock): Promise<void> {
  const until = clock.monotonic() + LAST_DRAIN_MS
  try {
    while (clock.monotonic() < until && (await etcd.list(results)).items.length > 0)
      await clock.sleep(POLL_MS)
  } catch {
    // The next operator stores them.
  }
}

import { type Beacon, beaconSchema } from '../../core/records/state.ts'
import type { Clock } from '../../platform/clock.ts'
import { messageOf, Unavailable } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { Etcd } from '../../store/etcd/client.ts'
import { putKnown } from '../../store/protocol/operator-writes.ts'
import { type MaybeAbsent, parseVersioned } from '../../store/protocol/versioned.ts'

/**
 * `meta/beacon`: {epoch, n, time}, written every 2 s. It carries the operator's clock. Its number reveals a restored snapshot, as the
 * highest number is also kept outside etcd: if etcd has a lower one, it was restored. A new epoch then begins, in which every job counts
 * from now (jobs/plan.ts), and the times in between are Missed.
 */

/** Keeps the highest beacon number where a restore of etcd does not affect it: in the log store. */
export interface BeaconMemory {
  /** 0: there is none yet. */
  beacon(): Promise<number>
  raiseBeacon(n: number): Promise<void>
}

const EVERY_MS = 2_000

export interface BeaconOptions {
  etcd: Pick<Etcd, 'get' | 'txn'>
  key: string
  memory: BeaconMemory
  clock: Clock
  log: Log
  /** Called when a new epoch has begun. */
  onEpoch(epoch: number): void
  /** Called after each beacon that was written, except the first. */
  onBeat?(): void
}

/**
 * Writes the first beacon of a leader; after it `epoch` is known. Repeats it until memory and etcd have taken it or the signal aborts: only
 * the memory shows whether etcd was restored. `beat` then writes beacons until its signal aborts.
 */
export async function openBeacon(
  options: BeaconOptions,
  signal: AbortSignal,
): Promise<{ epoch(): number; beat(signal: AbortSignal): Promise<void> }> {
  let current = await writeFirst(options, signal)
  return {
    epoch: () => current.value.epoch,
    async beat(signal) {
      for (;;) {
        await options.clock.sleep(EVERY_MS, signal).catch(() => undefined)
        if (signal.aborted) return
        try {
          const next = await advance(options, current)
          if (next.value.epoch !== current.value.epoch) options.onEpoch(next.value.epoch)
          current = next
          options.onBeat?.()
        } catch (error) {
          options.log.warn({ error: messageOf(error) }, 'beacon.failed')
        }
      }
    },
  }
}

type Written = MaybeAbsent<Beacon> & { value: Beacon }

async function writeFirst(options: BeaconOptions, signal: AbortSignal): Promise<Written> {
  const { key, etcd, clock, log } = options
  for (;;) {
    try {
      return await write(options, parseVersioned(beaconSchema, key, await etcd.get(key)))
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error
      log.warn({ error: error.message }, 'beacon.waits')
    }
    await clock.sleep(EVERY_MS, signal)
  }
}

/** Continues from the beacon in etcd. It differs from our last one if another leader has written it, or etcd was restored. */
async function advance(options: BeaconOptions, last: Written): Promise<Written> {
  const stored = parseVersioned(beaconSchema, options.key, await options.etcd.get(options.key))
  return write(options, stored, last.value)
}

async function write(options: BeaconOptions, stored: MaybeAbsent<Beacon>, mine?: Beacon): Promise<Written> {
  const { etcd, key, memory, clock, log } = options
  const known = Math.max(await memory.beacon(), mine?.n ?? 0)
  const value = nextBeacon(stored.value, known, clock.now())
  if (stored.value && value.epoch !== stored.value.epoch)
    log.warn({ found: stored.value.n, known, epoch: value.epoch }, 'etcd.restored')
  const answer = await etcd.txn(putKnown(key, stored.mod, JSON.stringify(value)))
  if (!answer.ok) {
    const now = parseVersioned(beaconSchema, key, answer.gets[0])
    return { ...now, value: now.value ?? value }
  }
  await memory.raiseBeacon(value.n)
  return { key, mod: answer.revision, value }
}

/**
 * The beacon that follows the stored one. `known`: the highest number that was ever written. An epoch is named by its first number, so that
 * every epoch is unique, whatever snapshot is restored.
 */
export function nextBeacon(stored: Beacon | undefined, known: number, time: number): Beacon {
  const n = Math.max(stored?.n ?? 0, known) + 1
  return !stored || stored.n < known ? { epoch: n, n, time } : { epoch: stored.epoch, n, time }
}

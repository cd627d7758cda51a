import { type Beacon, beaconSchema } from '../core/records/state.ts'
import type { Clock } from '../runtime/clock.ts'
import { messageOf } from '../runtime/errors.ts'
import type { Log } from '../runtime/log.ts'
import type { Etcd } from '../store/etcd/client.ts'
import { putKnown } from '../store/protocol/entry.ts'
import { held, type Maybe } from '../store/protocol/held.ts'

/**
 * `meta/beacon`: {epoch, n, time}, every 2 s. It carries the operator's clock, and its number tells a restored snapshot: the highest
 * that was ever written is also kept outside etcd. A lower one in etcd means that etcd was put back: a new epoch begins, in which every
 * job counts from now (jobs/plan.ts), and the gap is Missed.
 */

/** The highest beacon, kept where a restore of etcd does not reach: the log store, or a file. */
export interface BeaconMemory {
  highest(): Promise<{ epoch: number; n: number } | undefined>
  remember(beacon: { epoch: number; n: number }): Promise<void>
}

const EVERY_MS = 2_000

export interface BeaconOptions {
  etcd: Pick<Etcd, 'get' | 'txn'>
  key: string
  memory: BeaconMemory
  clock: Clock
  log: Log
  /** A new epoch has begun. */
  onEpoch(epoch: number): void
}

/** The first beacon of a leader: after it `epoch` is known. Then `beat` until the signal aborts. */
export async function openBeacon(
  options: BeaconOptions,
): Promise<{ epoch(): number; beat(signal: AbortSignal): Promise<void> }> {
  let current = await begin(options)
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
        } catch (error) {
          options.log.warn({ error: messageOf(error) }, 'beacon.failed')
        }
      }
    },
  }
}

type Written = Maybe<Beacon> & { value: Beacon }

async function begin(options: BeaconOptions): Promise<Written> {
  const there = held(beaconSchema, options.key, await options.etcd.get(options.key))
  return write(options, there)
}

/** Over what we wrote last; if somebody else wrote meanwhile, over that: another leader, or a restore. */
async function advance(options: BeaconOptions, last: Written): Promise<Written> {
  const there = held(beaconSchema, options.key, await options.etcd.get(options.key))
  return write(options, there, last.value)
}

async function write(options: BeaconOptions, there: Maybe<Beacon>, mine?: Beacon): Promise<Written> {
  const { etcd, key, memory, clock, log } = options
  const known = highest([await memory.highest(), mine])
  const value = nextBeacon(there.value, known, clock.now())
  if (there.value && value.epoch !== there.value.epoch)
    log.warn({ found: there.value.n, known: known?.n, epoch: value.epoch }, 'etcd.restored')
  const answer = await etcd.txn(putKnown(key, there.mod, JSON.stringify(value)))
  if (!answer.ok) {
    const now = held(beaconSchema, key, answer.gets[0])
    return { ...now, value: now.value ?? value }
  }
  await memory.remember({ epoch: value.epoch, n: value.n })
  return { key, mod: answer.revision, value }
}

/** The beacon after what lies in etcd, given the highest that is known to have been written. */
export function nextBeacon(
  there: Beacon | undefined,
  known: { epoch: number; n: number } | undefined,
  time: number,
): Beacon {
  if (!there) return { epoch: (known?.epoch ?? 0) + 1, n: (known?.n ?? 0) + 1, time }
  const behind = known !== undefined && (there.epoch < known.epoch || there.n < known.n)
  return behind
    ? { epoch: Math.max(known.epoch, there.epoch) + 1, n: Math.max(known.n, there.n) + 1, time }
    : { epoch: there.epoch, n: Math.max(there.n, known?.n ?? 0) + 1, time }
}

function highest(
  beacons: ({ epoch: number; n: number } | undefined)[],
): { epoch: number; n: number } | undefined {
  return beacons.reduce((a, b) => (!a || (b && (b.epoch > a.epoch || b.n > a.n)) ? b : a), undefined)
}

import { type Beacon, beaconSchema } from '../../core/records/state.ts'
import type { Clock } from '../../platform/clock.ts'
import { messageOf, Unavailable } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { Etcd } from '../../store/etcd/client.ts'
import { putKnown } from '../../store/protocol/operator-writes.ts'
import { type MaybeAbsent, parseVersioned } from '../../store/protocol/versioned.ts'

/**
 * `meta/beacon`: {epoch, n, time}, every 2 s. It carries the operator's clock, and its number tells a restored snapshot: the highest
 * that was ever written is also kept outside etcd. A lower one in etcd means that etcd was put back: a new epoch begins, in which every
 * job counts from now (jobs/plan.ts), and the gap is Missed.
 */

/** The highest beacon, kept where a restore of etcd does not reach: the log store. */
export interface BeaconMemory {
  /** 0: none yet. */
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
  /** A new epoch has begun. */
  onEpoch(epoch: number): void
}

/**
 * The first beacon of a leader: after it `epoch` is known. A memory that is not to be had is waited for, until the signal aborts: nothing
 * else can tell whether etcd was put back. Then `beat` until its signal aborts.
 */
export async function openBeacon(
  options: BeaconOptions,
  signal: AbortSignal,
): Promise<{ epoch(): number; beat(signal: AbortSignal): Promise<void> }> {
  let current = await begin(options, signal)
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

type Written = MaybeAbsent<Beacon> & { value: Beacon }

async function begin(options: BeaconOptions, signal: AbortSignal): Promise<Written> {
  await untilRemembered(options, signal)
  const there = parseVersioned(beaconSchema, options.key, await options.etcd.get(options.key))
  return write(options, there)
}

async function untilRemembered({ memory, clock, log }: BeaconOptions, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await memory.beacon()
      return
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error
      log.warn({ error: error.message }, 'beacon.waitsForLogStore')
    }
    await clock.sleep(EVERY_MS, signal)
  }
}

/** Over what we wrote last; if somebody else wrote meanwhile, over that: another leader, or a restore. */
async function advance(options: BeaconOptions, last: Written): Promise<Written> {
  const there = parseVersioned(beaconSchema, options.key, await options.etcd.get(options.key))
  return write(options, there, last.value)
}

async function write(options: BeaconOptions, there: MaybeAbsent<Beacon>, mine?: Beacon): Promise<Written> {
  const { etcd, key, memory, clock, log } = options
  const known = Math.max(await memory.beacon(), mine?.n ?? 0)
  const value = nextBeacon(there.value, known, clock.now())
  if (there.value && value.epoch !== there.value.epoch)
    log.warn({ found: there.value.n, known, epoch: value.epoch }, 'etcd.restored')
  const answer = await etcd.txn(putKnown(key, there.mod, JSON.stringify(value)))
  if (!answer.ok) {
    const now = parseVersioned(beaconSchema, key, answer.gets[0])
    return { ...now, value: now.value ?? value }
  }
  await memory.raiseBeacon(value.n)
  return { key, mod: answer.revision, value }
}

/**
 * The beacon after what lies in etcd, given the highest number that is known to have been written. An epoch is named by its first
 * number, so that no two are alike, whatever snapshot is restored.
 */
export function nextBeacon(there: Beacon | undefined, known: number, time: number): Beacon {
  const n = Math.max(there?.n ?? 0, known) + 1
  return !there || there.n < known ? { epoch: n, n, time } : { epoch: there.epoch, n, time }
}

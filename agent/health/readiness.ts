import type { Keys } from '../../core/keys.ts'
import type { Beacon, Trouble } from '../../core/records/state.ts'
import type { Clock } from '../../platform/clock.ts'
import type { World } from '../pool/world.ts'

/** Why this agent claims nothing at the moment; undefined: it may. In this order. */
export interface Readiness {
  refusal(): string | undefined
  /** That of them which nobody but the agent can tell. */
  trouble(): Trouble | undefined
}

/** A clock further off than this cannot be trusted with instants, ms. */
const MOST_SKEW_MS = 2_000
/** Skew is judged by so many beacons in a row, as one may simply come late. */
const BEACONS = 3

export function createReadiness(
  {
    world,
    keys,
    clock,
    pool,
    agent,
  }: { world: World; keys: Keys; clock: Clock; pool: string; agent: string },
  own: { running(): number; troubles: ReadonlySet<Trouble> },
): Readiness {
  const skews: number[] = []
  let highest: Beacon | undefined
  let restored = false

  const hear = (beacon: Beacon) => {
    skews.push(Math.abs(clock.now() - beacon.time))
    if (skews.length > BEACONS) skews.shift()
    // A lower number, or an older epoch: etcd was put back to a snapshot. Until the operator begins a new epoch nobody claims.
    if (highest && (beacon.epoch < highest.epoch || (beacon.epoch === highest.epoch && beacon.n < highest.n)))
      restored = true
    else if (!highest || beacon.epoch > highest.epoch) restored = false
    if (!restored) highest = beacon
  }
  // The first value may be of an operator long gone: it says nothing of the clock.
  world.beacon.onChange((_, now) => now && hear(now.value))

  const troubles: [reason: Trouble, holds: () => boolean][] = [
    ['RestoredSnapshot', () => restored],
    ['ClockSkewed', () => skews.length === BEACONS && skews.every(skew => skew > MOST_SKEW_MS)],
    ['EtcdFull', () => own.troubles.has('EtcdFull')],
    ['LauncherSilent', () => own.troubles.has('LauncherSilent')],
  ]
  const checks: [reason: string, holds: () => boolean][] = [
    ['PoolPaused', () => poolOf()?.paused === true || poolOf()?.draining === true],
    ['NotEnrolled', () => memberOf() === undefined],
    ['Cordoned', () => memberOf()?.cordoned === true],
    ...troubles,
    ['AtCapacity', () => own.running() >= (memberOf()?.maxConcurrentRuns ?? Number.POSITIVE_INFINITY)],
  ]
  const poolOf = () => world.pools.get(keys.pool(pool))?.value
  const memberOf = () => world.members.get(keys.member(pool, agent))?.value

  return {
    refusal: () => checks.find(([, holds]) => holds())?.[0],
    trouble: () => troubles.find(([, holds]) => holds())?.[0],
  }
}

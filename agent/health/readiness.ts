import type { Keys } from '../../core/keys.ts'
import type { Beacon, Trouble } from '../../core/records/state.ts'
import type { Clock } from '../../platform/clock.ts'
import type { World } from '../pool/world.ts'

/** Whether this agent may claim at the moment, and if not, why. */
export interface Readiness {
  /** The first reason that holds, in the order of the checks. undefined: the agent may claim. */
  refusal(): string | undefined
  /** The first reason among those that only the agent can detect. */
  trouble(): Trouble | undefined
}

/** A clock that is off by more than this cannot be trusted to start runs on time, ms. */
const MAX_SKEW_MS = 2_000
/** The clock is skewed if this many beacons in a row say so, because a single beacon may arrive late. */
const BEACONS = 3

export function createReadiness(
  {
    world,
    keys,
    clock,
    pool,
    agent,
  }: { world: World; keys: Keys; clock: Clock; pool: string; agent: string },
  own: { running(): number; troubles: ReadonlySet<Trouble>; lacksPoolKey(): boolean },
): Readiness {
  const beacons = watchBeacons(world, clock)
  const poolOf = () => world.pools.get(keys.pool(pool))?.value
  const memberOf = () => world.members.get(keys.member(pool, agent))?.value

  const troubles: [reason: Trouble, holds: () => boolean][] = [
    ['RestoredSnapshot', beacons.isRestored],
    ['ClockSkewed', beacons.isClockSkewed],
    ['EtcdFull', () => own.troubles.has('EtcdFull')],
    ['LauncherSilent', () => own.troubles.has('LauncherSilent')],
  ]
  const checks: [reason: string, holds: () => boolean][] = [
    ['PoolPaused', () => poolOf()?.paused === true || poolOf()?.draining === true],
    ['NotEnrolled', () => memberOf() === undefined],
    ['Cordoned', () => memberOf()?.cordoned === true],
    ...troubles,
    ['PoolKeyOld', () => own.lacksPoolKey()],
    ['AtCapacity', () => own.running() >= (memberOf()?.maxConcurrentRuns ?? Number.POSITIVE_INFINITY)],
  ]
  return {
    refusal: () => checks.find(([, holds]) => holds())?.[0],
    trouble: () => troubles.find(([, holds]) => holds())?.[0],
  }
}

/** The operator's beacons tell the agent whether its clock is right, and whether etcd was restored from a snapshot. */
function watchBeacons(
  { beacon }: Pick<World, 'beacon'>,
  clock: Clock,
): { isRestored(): boolean; isClockSkewed(): boolean } {
  const skews: number[] = []
  let highest: Beacon | undefined
  let restored = false
  const onBeacon = (now: Beacon) => {
    skews.push(Math.abs(clock.now() - now.time))
    if (skews.length > BEACONS) skews.shift()
    // A lower number or an older epoch means that etcd was restored from a snapshot. Nobody claims until the operator begins a new epoch.
    if (highest && (now.epoch < highest.epoch || (now.epoch === highest.epoch && now.n < highest.n)))
      restored = true
    else if (!highest || now.epoch > highest.epoch) restored = false
    if (!restored) highest = now
  }
  // The value at the start is ignored: its operator may be long gone, so its time says nothing about the clock.
  beacon.onChange((_, now) => now && onBeacon(now.value))
  return {
    isRestored: () => restored,
    isClockSkewed: () => skews.length === BEACONS && skews.every(skew => skew > MAX_SKEW_MS),
  }
}

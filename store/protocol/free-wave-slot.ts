import type { Keys } from '../../core/keys.ts'
import type { Cell } from '../../core/records/state.ts'
import type { Txn } from '../etcd/types.ts'
import { guards } from './model-guards.ts'
import type { Versioned } from './versioned.ts'

/**
 * Frees a slot whose run has no active entry, in one transaction. Every transaction changes the slot and the active entry together, so this
 * happens only if an old version without waves wrote, or if somebody deleted keys by hand.
 *
 *   wave unchanged ∧ the holder has no active entry → put the wave without the holder
 *   else read the wave
 */
export function freeUnknownHolder(
  keys: Keys,
  pool: string,
  of: { wave: Versioned<Cell>; holder: Cell['active'][number] },
): Txn {
  const { wave, holder } = of
  const active = wave.value.active.filter(each => each.run !== holder.run)
  return {
    compare: [
      ...guards.waveUnchanged(wave.key, wave.mod),
      ...guards.holderUnknown(keys.active(pool, holder.agent, holder.run)),
    ],
    then: [{ put: wave.key, value: JSON.stringify({ ...wave.value, active }) }],
    else: [{ get: wave.key }],
  }
}

import type { Keys } from '../../core/keys.ts'
import type { Cell } from '../../core/records/state.ts'
import type { Txn } from '../etcd/types.ts'
import { guards } from './model-guards.ts'
import type { Versioned } from './versioned.ts'

/**
 * A place whose run nobody knows of: its transactions put and delete both at once, so it can only be of a version that knew no waves, or
 * of what was deleted by hand.
 *
 *   wave unchanged ∧ nothing active under the holder's name → put the wave without it
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

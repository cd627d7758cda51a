import { type CellRef, scheduledRunId } from '../../core/keys.ts'
import type { JobEntry } from '../../core/records/entry.ts'
import type { Cell } from '../../core/records/state.ts'
import type { Batcher } from '../../store/etcd/batcher.ts'
import { settle } from '../../store/protocol/settle.ts'
import type { MaybeAbsent, Versioned } from '../../store/protocol/versioned.ts'
import { offerId } from '../agent-requests.ts'
import type { Context } from '../context.ts'
import { guards } from '../model-guards.ts'
import type { UnclaimedDecision } from './decide-unclaimed.ts'

type Deps = Pick<Context, 'keys' | 'clock' | 'log' | 'requests'> & { batcher: Batcher }

/** The state that a decision was made on. */
interface Seen {
  ref: CellRef
  entry: Versioned<JobEntry>
  cell: MaybeAbsent<Cell>
}

/** `stale`: the entry or the cell has changed since it was read, and nothing was settled. */
export async function applyDecision(
  deps: Deps,
  seen: Seen,
  { offer: time, settle: settlements, wait: waiting }: UnclaimedDecision,
): Promise<'settled' | 'stale' | 'nothing'> {
  const { keys, clock, batcher, log } = deps
  if (time !== undefined) await offer(deps, seen, time)
  if (settlements.length === 0 && waiting === undefined) return 'nothing'
  if (!guards.settlesUnclaimed()) return 'nothing'
  const wait = waiting === undefined ? {} : { wait: { time: waiting } }
  const { txn } = settle({ keys, ...seen, settle: settlements, now: clock.now(), ...wait })
  if (!(await batcher.txn(txn)).ok) return 'stale'
  log.info({ cell: seen.cell.key, settled: settlements, waiting }, 'sweep.settled')
  return 'settled'
}

async function offer({ requests, log }: Deps, { ref, entry }: Seen, time: number): Promise<void> {
  const { pool, namespace, name, target } = ref
  const run = scheduledRunId(ref, time, entry.value.clockEpoch)
  const request = { kind: 'offer' as const, namespace, name, target, uid: entry.value.uid, time }
  const put = await requests.put({ pool, id: offerId(run) }, request)
  if (put === 'put') log.info({ run }, 'sweep.offered')
}

import type { Entry } from '../../core/records/entry.ts'
import { type Active, activeSchema } from '../../core/records/state.ts'
import { messageOf } from '../../platform/errors.ts'
import type { TxnAnswer } from '../../store/etcd/types.ts'
import { restamp } from '../../store/protocol/restamp.ts'
import { parseVersioned, type Versioned } from '../../store/protocol/versioned.ts'
import type { Context } from '../session/context.ts'

export type Restamped =
  /** Stamped: it may be armed. */
  | { kind: 'mine'; active: Versioned<Active> }
  /** Refused, and still an attempt of this session: its entry or its mark has changed. */
  | { kind: 'changed'; active: Versioned<Active> }
  /** Refused, and no longer an attempt of this session. */
  | { kind: 'gone' }
  /** No answer: nobody knows whether it was stamped. */
  | { kind: 'unclear' }
  /** The session has ended. */
  | { kind: 'ended' }

/** After a refusal: how long the watch may take to show the entry that changed, ms. */
const REFUSED_PAUSE_MS = 50

/** Stamps an attempt of this session with this launcher and the generation of `entry`, if both are unchanged. */
export async function restampAttempt(
  context: Context,
  active: Versioned<Active>,
  entry: Versioned<Entry>,
): Promise<Restamped> {
  const { launcher, clock, batcher, log } = context
  const { txn, active: stamped } = restamp(active, { instance: launcher.instance, now: clock.now() }, entry)
  let answer: TxnAnswer
  try {
    answer = await batcher.txn(txn)
  } catch (error) {
    log.warn({ run: active.value.run, error: messageOf(error) }, 'attempt.unclear')
    return { kind: 'unclear' }
  }
  if (answer.ok) return { kind: 'mine', active: { ...active, mod: answer.revision, value: stamped } }
  try {
    await clock.sleep(REFUSED_PAUSE_MS, context.signal)
  } catch {
    return { kind: 'ended' }
  }
  const now = parseVersioned(activeSchema, active.key, answer.gets[0])
  const isMine = now.value?.session === context.session && now.value.attempt === active.value.attempt
  return now.value && isMine ? { kind: 'changed', active: { ...now, value: now.value } } : { kind: 'gone' }
}

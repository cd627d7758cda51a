import { withdrawnBy } from '../../core/fires/withdrawn.ts'
import { NOBODY, WAVE } from '../../core/keys.ts'
import type { Entry } from '../../core/records/entry.ts'
import { backoffMs, retries } from '../../core/runs/outcome.ts'
import { messageOf } from '../../platform/errors.ts'
import { Stale } from '../../platform/work-queue.ts'
import type { Retry } from '../../store/protocol/end.ts'
import { freeUnknownHolder } from '../../store/protocol/free-wave-slot.ts'
import type { Versioned } from '../../store/protocol/versioned.ts'
import type { Context } from '../context.ts'
import { endAttempt } from '../end-attempt.ts'
import type { ActiveSeen } from '../etcd-mirrors.ts'

type Deps = Pick<Context, 'etcd' | 'keys' | 'clock' | 'log' | 'mirrors'>

const EVERY_MS = 60_000

/**
 * Buries attempts where no agent is left to do it. An attempt whose owner's session is gone ends as Lost. A pending attempt without an
 * owner ends after its deadline. Every minute all attempts are checked, so that a restart misses none.
 */
export async function buryEveryMinute(deps: Deps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await bury(deps, signal)
    await freeWaveSlots(deps, signal)
    await deps.clock.sleep(EVERY_MS, signal).catch(() => undefined)
  }
}

/** One round. A failure is logged, and tried again in the next round. */
export async function bury(deps: Deps, signal?: AbortSignal): Promise<void> {
  const { mirrors, log } = deps
  for (const { active, verdict } of planBurial(deps)) {
    if (signal?.aborted) return
    try {
      const { pool, owner, value } = active
      const pending = owner === NOBODY
      const retry = pending ? undefined : retryOf(deps, active)
      await endAttempt(deps, {
        pool,
        owner,
        run: value.run,
        active,
        verdict,
        ...(pending ? {} : { ownerSeen: mirrors.sessionOf(pool, owner) ?? 0 }),
        ...(retry ? { retry } : {}),
      })
    } catch (error) {
      const level = error instanceof Stale ? 'debug' : 'warn'
      log[level]({ run: active.value.run, error: messageOf(error) }, 'burial.failed')
    }
  }
}

/** Frees the slots of waves whose runs are in no other record. */
export async function freeWaveSlots(deps: Deps, signal?: AbortSignal): Promise<void> {
  const { mirrors, keys, etcd, log } = deps
  for (const wave of mirrors.cells.entries()) {
    const ref = keys.parseCell(wave.key)
    if (ref?.target !== WAVE) continue
    for (const holder of wave.value.active) {
      if (signal?.aborted) return
      if (mirrors.actives.get(keys.active(ref.pool, holder.agent, holder.run))) continue
      try {
        // The mirrors may differ in age, so the transaction compares both records. Other slots of this wave follow in the next round.
        const { ok } = await etcd.txn(freeUnknownHolder(keys, ref.pool, { wave, holder }))
        if (ok) log.warn({ wave: wave.key, run: holder.run }, 'wave.freed')
      } catch (error) {
        log.warn({ wave: wave.key, error: messageOf(error) }, 'wave.notFreed')
      }
    }
  }
}

interface Burial {
  active: ActiveSeen
  verdict: { outcome: 'Lost'; reason: string }
}

function planBurial(deps: Deps): Burial[] {
  const { mirrors, keys } = deps
  const alive = new Set<string>()
  for (const { key } of mirrors.agents.entries()) alive.add(keys.parseAgent(key)?.pool ?? '')
  const burials: Burial[] = []
  for (const record of mirrors.actives.entries()) {
    const at = keys.parseActive(record.key)
    if (!at) continue
    const active = { ...record, pool: at.pool, owner: at.agent }
    const reason =
      at.agent === NOBODY ? overdue(deps, active) : alive.has(at.pool) ? undefined : ownerLost(deps, active)
    if (reason) burials.push({ active, verdict: { outcome: 'Lost', reason } })
  }
  return burials
}

/** `buryAfter`: the launcher may keep the run alive until then. */
function ownerLost({ mirrors, clock }: Deps, { value, pool, owner }: ActiveSeen): string | undefined {
  if (mirrors.sessionOf(pool, owner) === value.session) return undefined
  return (value.buryAfter ?? 0) > clock.now() ? undefined : 'AgentLost'
}

/** A pending attempt waits for an agent until its deadline. */
function overdue(deps: Deps, { pool, value }: ActiveSeen): string | undefined {
  const entry = entryOf(deps, pool, value)?.value
  if (!entry) return undefined
  const deadline =
    entry.kind === 'run'
      ? entry.deadline
      : entry.startingDeadlineSeconds === undefined
        ? undefined
        : value.time + entry.startingDeadlineSeconds * 1_000
  return deadline !== undefined && deps.clock.now() > deadline ? 'DeadlineExceeded' : undefined
}

function retryOf(deps: Deps, { pool, value }: ActiveSeen): Retry | undefined {
  const entry = entryOf(deps, pool, value)
  if (!entry || value.kill || withdrawnBy(entry.value, value) !== undefined) return undefined
  const { backoffLimit } = entry.value.command
  if (!retries('Lost', value.attempt, backoffLimit)) return undefined
  return { backoffLimit, notBefore: deps.clock.now() + backoffMs(value.attempt), entry, next: undefined }
}

function entryOf(
  { mirrors, keys }: Deps,
  pool: string,
  { kind, namespace, name }: ActiveSeen['value'],
): Versioned<Entry> | undefined {
  const ref = { pool, namespace, name }
  return kind === 'job' ? mirrors.jobs.get(keys.job(ref)) : mirrors.runs.get(keys.run(ref))
}

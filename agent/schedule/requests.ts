import { ANYWHERE, type CellRef, shellRunId } from '../../core/keys.ts'
import type { RunEntry } from '../../core/records/entry.ts'
import type { Cell, Request } from '../../core/records/state.ts'
import { Alarms } from '../../platform/alarms.ts'
import { messageOf, Unavailable } from '../../platform/errors.ts'
import { claim } from '../../store/protocol/claim.ts'
import { settle } from '../../store/protocol/settle.ts'
import type { MaybeAbsent, Versioned } from '../../store/protocol/versioned.ts'
import type { Runs } from '../runs/supervisor.ts'
import type { Context } from '../session/context.ts'
import type { Claims } from './claim-loop.ts'
import { endForReplacement } from './mark-replaced.ts'
import { sendClaim } from './send-claim.ts'
import { lookAtWave, type Wave } from './wave-slot.ts'

/**
 * What the operator asks for: run a ShellRun now, take an open time, end a run.
 * A ShellRun is claimed by rank, one second apart, in a container 50 ms; where concurrency holds it back it is looked at again every second until its
 * deadline, at which the operator settles it.
 */
const RANK_DELAY_MS = 1_000
const POLL_MS = 1_000
const STEP_MS = 50

export interface Requests {
  onChange(key: string, now: Versioned<Request> | undefined): void
  /** Who is eligible may have changed: what was another one's, or nobody's, may be mine now. */
  lookAgain(): void
  close(): void
}

export function createRequests(
  context: Context,
  parts: { runs: Runs; claims: Claims; mayClaim: () => boolean },
): Requests {
  const { keys, world, clock, log, pool, agent } = context
  const { runs, claims, mayClaim } = parts
  const busy = new Set<string>()
  const alarms = new Alarms(clock, {
    time: 'wall',
    onDue: keys => {
      for (const key of keys) void look(key)
    },
  })

  async function look(key: string): Promise<void> {
    const request = world.requests.get(key)
    // Who is eligible may have changed since its alarm was set.
    if (!request || busy.has(key) || turnOf(request) === undefined) return
    busy.add(key)
    try {
      const next = await answer(request)
      if (next !== undefined) alarms.set(key, next)
    } catch (error) {
      if (context.signal.aborted) return
      const level = error instanceof Unavailable ? 'warn' : 'error'
      log[level]({ key, error: messageOf(error) }, 'request.failed')
      alarms.set(key, clock.now() + POLL_MS)
    } finally {
      busy.delete(key)
    }
    // Put anew while it was answered: the answer was to the one before.
    const now = world.requests.get(key)
    if (now && now.mod !== request.mod) onChange(key, now)
  }

  async function answer(request: Versioned<Request>): Promise<number | undefined> {
    const { value } = request
    switch (value.kind) {
      case 'kill':
        runs.kill(value.run, value.reason)
        return undefined
      case 'offer':
        // The offer stands, and who has no room now may have some before it goes.
        if (!mayClaim()) return clock.now() + POLL_MS
        claims.offered(keys.job({ pool, namespace: value.namespace, name: value.name }), value.target)
        return undefined
      case 'run':
        return runNow(request, value)
      default:
        return value satisfies never
    }
  }

  async function runNow(
    request: Versioned<Request>,
    of: Extract<Request, { kind: 'run' }>,
  ): Promise<number | undefined> {
    const ref: CellRef = { pool, kind: 'run', namespace: of.namespace, name: of.name, target: of.target }
    const entry = world.runs.get(keys.run(ref))
    // The watch of entries may lag behind that of requests.
    if (entry?.value.uid !== of.uid || entry.value.blocked || !mayClaim()) return clock.now() + POLL_MS
    const cell = await context.cells.read(keys.cell(ref))
    if (isOver(entry.value, cell)) return undefined
    const jobCell = await jobCellOf(ref, entry.value)
    if (jobCell && (await isHeldBack(entry.value, jobCell))) return clock.now() + POLL_MS
    const wave = await lookAtWave(context, entry, of.target)
    if (wave?.isFull) {
      if (!cell.value?.waiting) await wait(ref, entry, cell)
      return clock.now() + wave.pollAfter
    }
    const declined = await declinesUntil(entry.value, ref)
    return declined ?? take(request, { ref, entry, cell, jobCell, wave })
  }

  /** Who has come to wait for its place has until that comes. */
  function isOver({ uid, deadline }: RunEntry, { mod, value }: MaybeAbsent<Cell>): boolean {
    return value?.waiting ? value.uid !== uid : mod !== 0 || clock.now() > deadline
  }

  function declinesUntil(entry: RunEntry, ref: CellRef) {
    const agents = world.eligible(entry, ref.target)
    const what = keys.cell(ref)
    const of = { rank: agents.indexOf(agent), others: agents.length - 1 }
    return context.presence.declinesUntil({
      what,
      entry,
      from: entry.createdAt,
      ...of,
      signal: context.signal,
    })
  }

  /** Its wave has no place: from here on its deadline does not count. Whoever else changed the cell, it is read again. */
  async function wait(ref: CellRef, entry: Versioned<RunEntry>, cell: MaybeAbsent<Cell>): Promise<void> {
    const { txn } = settle({
      keys,
      ref,
      entry,
      cell,
      settle: [],
      now: clock.now(),
      agent: { name: agent, session: context.session },
      wait: { time: entry.value.createdAt, wave: true },
    })
    await context.batcher.txn(txn)
  }

  async function take(
    request: Versioned<Request>,
    of: {
      ref: CellRef
      entry: Versioned<RunEntry>
      cell: MaybeAbsent<Cell>
      jobCell: MaybeAbsent<Cell> | undefined
      wave: Wave | undefined
    },
  ): Promise<number | undefined> {
    const { ref, entry, cell, jobCell, wave } = of
    // Others may have taken the last place while the cells were read.
    if (!mayClaim()) return clock.now() + POLL_MS
    const run = shellRunId({ ...ref, uid: entry.value.uid })
    const now = clock.now()
    const claimed = claim({
      keys,
      ref,
      agent,
      session: context.session,
      entry,
      cell,
      run,
      time: entry.value.createdAt,
      notBefore: now,
      instance: context.launcher.instance,
      settle: [],
      now,
      request,
      ...(jobCell ? { jobCell } : {}),
      ...(entry.value.jobRef ? { jobName: entry.value.jobRef.name } : {}),
      ...(wave ? { wave } : {}),
    })
    const answered = await sendClaim(context, claimed, active => {
      context.cells.forget(cell.key)
      if (jobCell) context.cells.forget(jobCell.key)
      runs.start(active, entry.value)
    })
    if (answered.ok) return undefined
    return clock.now() + (wave?.lost(answered.gets[1]) ?? POLL_MS)
  }

  async function jobCellOf(ref: CellRef, { jobRef }: RunEntry): Promise<MaybeAbsent<Cell> | undefined> {
    return jobRef && context.cells.read(keys.cell({ ...ref, kind: 'job', name: jobRef.name }))
  }

  async function isHeldBack(
    { concurrencyPolicy }: RunEntry,
    { value: cell }: MaybeAbsent<Cell>,
  ): Promise<boolean> {
    if (concurrencyPolicy === 'Allow' || !cell || cell.active.length === 0) return false
    if (concurrencyPolicy === 'Replace') await endForReplacement(context, cell)
    return true
  }

  /** When I may first look: ranks one after another, so that rank 0 usually meets nobody. */
  function turnOf({ value }: Versioned<Request>): number | undefined {
    if (value.kind === 'kill') return 0
    const ref = { pool, namespace: value.namespace, name: value.name }
    const entry = value.kind === 'run' ? world.runs.get(keys.run(ref)) : world.jobs.get(keys.job(ref))
    if (!entry) return RANK_DELAY_MS
    const { placement } = entry.value.command
    const rank = world.eligible(entry.value, value.target).indexOf(agent)
    if (rank < 0) return undefined
    if (value.target !== ANYWHERE && placement.mode === 'All') return value.target === agent ? 0 : undefined
    // Who has no such container declines, so that others need not wait for it.
    const isQuick = value.kind === 'offer' || entry.value.command.container !== undefined
    return rank * (isQuick ? STEP_MS : RANK_DELAY_MS)
  }

  function onChange(key: string, now: Versioned<Request> | undefined): void {
    const turn = now && turnOf(now)
    if (turn === undefined) alarms.clear(key)
    else if (turn === 0) void look(key)
    else alarms.set(key, clock.now() + turn)
  }
  /** Turns that were given stand: those who come and go must not put a request off. */
  function lookAgain(): void {
    for (const request of world.requests.entries()) {
      const turn = turnOf(request)
      if (turn === undefined || turn === 0 || alarms.at(request.key) === undefined)
        onChange(request.key, request)
    }
  }
  lookAgain()
  return { onChange, lookAgain, close: () => alarms.close() }
}

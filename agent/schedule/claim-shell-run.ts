import { type CellRef, shellRunId } from '../../core/keys.ts'
import type { RunEntry } from '../../core/records/entry.ts'
import type { Cell, Request } from '../../core/records/state.ts'
import { claim } from '../../store/protocol/claim.ts'
import { settle } from '../../store/protocol/settle.ts'
import type { MaybeAbsent, Versioned } from '../../store/protocol/versioned.ts'
import type { Runs } from '../runs/supervisor.ts'
import type { Context } from '../session/context.ts'
import { markReplaced } from './mark-replaced.ts'
import { sendClaim } from './send-claim.ts'
import { isBehindOlder } from './shell-run-order.ts'
import { readWave, type Wave } from './wave-slot.ts'

const POLL_MS = 1_000

type RunRequest = Extract<Request, { kind: 'run' }>

/** A ShellRun's target and the cells that its claim compares. */
interface Target {
  ref: CellRef
  entry: Versioned<RunEntry>
  cell: MaybeAbsent<Cell>
  /** With jobRef. */
  jobCell: MaybeAbsent<Cell> | undefined
}

/**
 * Claims one target of a ShellRun and arms its run. While concurrency or a full wave holds it back, it is looked at again; the operator
 * settles it at its deadline. Answers when to look again, ms from now; undefined: it needs no further look.
 */
export async function claimShellRun(
  context: Context,
  of: { runs: Runs; mayClaim(): boolean },
  request: Versioned<RunRequest>,
): Promise<number | undefined> {
  const { clock, keys, world, pool, cells } = context
  const { namespace, name, target, uid } = request.value
  const ref: CellRef = { pool, kind: 'run', namespace, name, target }
  const entry = world.runs.get(keys.run(ref))
  // The watch of entries may be behind that of requests.
  if (entry?.value.uid !== uid || entry.value.blocked || !of.mayClaim()) return POLL_MS
  const cell = await cells.read(keys.cell(ref))
  if (isSettled(entry.value, cell, clock.now())) return undefined
  const jobCell = await readJobCell(context, ref, entry.value)
  if (jobCell && (await isHeldBack(context, entry.value, jobCell))) return POLL_MS
  if (entry.value.concurrencyPolicy !== 'Allow' && isBehindOlder(context, entry, target)) return POLL_MS
  const wave = await readWave(context, entry, target)
  if (wave?.isFull) {
    if (!cell.value?.waiting) await waitForSlot(context, { ref, entry, cell })
    return wave.pollAfter
  }
  const until = await declinesUntil(context, entry.value, ref)
  if (until !== undefined) return until - clock.now()
  return claimTarget(context, of, { ref, entry, cell, jobCell, wave, request })
}

async function claimTarget(
  context: Context,
  { runs, mayClaim }: { runs: Runs; mayClaim(): boolean },
  of: Target & { wave: Wave | undefined; request: Versioned<RunRequest> },
): Promise<number | undefined> {
  const { keys, agent, session, launcher, clock, cells } = context
  const { ref, entry, cell, jobCell, wave, request } = of
  const { uid, createdAt, jobRef } = entry.value
  // Other claims may have used the agent's last slot while the cells were read.
  if (!mayClaim()) return POLL_MS
  const now = clock.now()
  const claimed = claim({
    keys,
    ref,
    agent,
    session,
    entry,
    cell,
    run: shellRunId({ ...ref, uid }),
    time: createdAt,
    notBefore: now,
    instance: launcher.instance,
    settle: [],
    now,
    request,
    ...(jobCell ? { jobCell } : {}),
    ...(jobRef ? { jobName: jobRef.name } : {}),
    ...(wave ? { wave } : {}),
  })
  const answer = await sendClaim(context, claimed, active => {
    cells.forget(cell.key)
    if (jobCell) cells.forget(jobCell.key)
    runs.start(active, entry.value)
  })
  return answer.ok ? undefined : (wave?.lost(answer.gets[1]) ?? POLL_MS)
}

/** Claimed, settled or too late. A target that waits for a slot of its wave keeps waiting past its deadline. */
function isSettled({ uid, deadline }: RunEntry, { mod, value }: MaybeAbsent<Cell>, now: number): boolean {
  return value?.waiting ? value.uid !== uid : mod !== 0 || now > deadline
}

/** The wave is full: from here on the deadline does not count. If the cell has changed meanwhile, it is read again anyway. */
async function waitForSlot(
  { keys, clock, agent, session, batcher }: Context,
  { ref, entry, cell }: Omit<Target, 'jobCell'>,
): Promise<void> {
  const { txn } = settle({
    keys,
    ref,
    entry,
    cell,
    settle: [],
    now: clock.now(),
    agent: { name: agent, session },
    wait: { time: entry.value.createdAt, wave: true },
  })
  await batcher.txn(txn)
}

async function readJobCell(
  { cells, keys }: Context,
  ref: CellRef,
  { jobRef }: RunEntry,
): Promise<MaybeAbsent<Cell> | undefined> {
  return jobRef && cells.read(keys.cell({ ...ref, kind: 'job', name: jobRef.name }))
}

async function isHeldBack(
  context: Context,
  { concurrencyPolicy }: RunEntry,
  { value: cell }: MaybeAbsent<Cell>,
): Promise<boolean> {
  if (concurrencyPolicy === 'Allow' || !cell || cell.active.length === 0) return false
  if (concurrencyPolicy === 'Replace') await markReplaced(context, cell)
  return true
}

function declinesUntil(context: Context, entry: RunEntry, ref: CellRef): Promise<number | undefined> {
  const { world, agent, keys, presence, signal } = context
  const agents = world.rankedAgents(entry, ref.target)
  return presence.declinesUntil({
    what: keys.cell(ref),
    entry,
    from: entry.createdAt,
    rank: agents.indexOf(agent),
    others: agents.length - 1,
    signal,
  })
}

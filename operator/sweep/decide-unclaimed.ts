import { CATCH_UP_AFTER, DEADLINE_EXCEEDED } from '../../core/fires/catch-up.ts'
import { decide } from '../../core/fires/decide.ts'
import type { Decision, FireInput } from '../../core/fires/decision.ts'
import { frontierOf, type Settlement, settleUpTo } from '../../core/fires/settlement.ts'
import { waitsUntil } from '../../core/fires/waiting.ts'

/**
 * Decides what the operator does about scheduled times that no agent has claimed. Pure.
 *
 *   T + jitter ── 3 s ──▶ open, and an eligible agent lives ─▶ offered, and again while it stays open
 *                    └──▶ closed, or held back and no agent lives ─▶ settled, in ranges, at most every 10 s per target
 *
 * A time that waits for its slot in a wave belongs to its agent. While that agent is away, the time stays until a newer one is due.
 */
export interface UnclaimedInput extends Omit<FireInput, 'lead'> {
  /** Whether an eligible agent lives. */
  living: boolean
  /** Why none does: the reason of times that are Missed for want of an agent. */
  nobody?: string | undefined
  /** When this target was last settled, Unix ms. */
  settledAt: number
}

export interface UnclaimedDecision {
  settle: Settlement[]
  /** A time that the concurrency policy holds back: it must be put into the cell as waiting. */
  wait?: number
  /** A time to offer to all agents. */
  offer?: number
  /** When to decide again; undefined: when the entry or the cell changes. */
  at: number | undefined
}

/** For this long after it is due, a time is left to the agents, ms. */
export const OPEN_FOR = 3_000
const SETTLE_EVERY = 10_000
const OFFER_AGAIN = 5_000

/** When the operator first has to decide about a target, given the present state of its cell. */
export function firstLook({
  entry,
  times,
  offset,
  cell,
  now,
}: Omit<UnclaimedInput, 'living' | 'nobody' | 'settledAt'>): number | undefined {
  if (entry.suspended) return undefined
  const looks: number[] = []
  const next = times.next(frontierOf(entry, cell))
  if (next !== undefined) looks.push(next + offset + OPEN_FOR)
  if (cell?.waiting && !cell.waiting.wave && cell.active.length === 0) looks.push(now + OPEN_FOR)
  const expires = waitsUntil(entry, cell)
  if (expires !== undefined) looks.push(expires + OPEN_FOR)
  return looks.length > 0 ? Math.min(...looks) : undefined
}

/** The reasons of a time that no agent claimed while it was open. They say nothing about why. */
const UNEXPLAINED = new Set(['NotCaughtUp', 'CatchUpLimit', DEADLINE_EXCEEDED])

export function decideUnclaimed(input: UnclaimedInput): UnclaimedDecision {
  const { nobody: reason } = input
  const decision = decideTimes(input)
  if (reason === undefined) return decision
  const settle = decision.settle.map(each =>
    each.outcome === 'Missed' && UNEXPLAINED.has(each.reason) ? { ...each, reason } : each,
  )
  return { ...decision, settle }
}

function decideTimes(input: UnclaimedInput): UnclaimedDecision {
  const { entry, now, offset } = input
  if (entry.suspended) return { settle: [], at: undefined }
  if (entry.blocked) return settled(input, settleUpTo(input, now - offset, entry.blocked.reason))
  const decision = decide({ ...input, lead: 0 })
  switch (decision.kind) {
    case 'idle':
      return { settle: [], at: decision.at === undefined ? undefined : decision.at + OPEN_FOR }
    case 'settle':
      return settled(input, decision.settle)
    case 'claim':
    case 'wait':
      return open(input, decision)
    default:
      return decision satisfies never
  }
}

function open(
  input: UnclaimedInput,
  decision: Extract<Decision, { kind: 'claim' | 'wait' }>,
): UnclaimedDecision {
  const { now, offset, living } = input
  const { time } = decision
  const waiting = input.cell?.waiting
  const waited = waiting?.time === time
  if (waited && waiting.wave) return inWave(input, time)
  const theirsUntil = time + offset + OPEN_FOR
  if (now < theirsUntil && !waited) {
    // The agent that claims it settles the closed times before it. If the first of them is older than that, no agent does.
    const isLeft = decision.settle.some(({ first }) => now >= first + offset + OPEN_FOR)
    return { settle: isLeft ? settled(input, decision.settle).settle : [], at: theirsUntil }
  }
  return living ? offered(input, decision) : withoutAgent(input, decision)
}

function inWave(input: UnclaimedInput, time: number): UnclaimedDecision {
  const { entry, times, offset, now } = input
  const newer = times.next(time)
  const isDue = newer !== undefined && now >= newer + offset + OPEN_FOR
  if (!input.living && isDue && entry.catchUp !== 'All')
    return settled(input, [{ first: time, last: time, count: 1, outcome: 'Missed', reason: 'NotCaughtUp' }])
  const at = firstLook(input)
  return { settle: [], at: at === undefined ? undefined : Math.max(at, now + SETTLE_EVERY) }
}

function offered(
  input: UnclaimedInput,
  { time, settle }: { time: number; settle: Settlement[] },
): UnclaimedDecision {
  // The agent that claims it settles the closed times before it. If all agents are busy, the operator settles them.
  const { settle: closed } = settled(input, settle)
  return { settle: closed, offer: time, at: input.now + OFFER_AGAIN }
}

function withoutAgent(
  input: UnclaimedInput,
  decision: { kind: 'claim' | 'wait'; time: number; settle: Settlement[] },
): UnclaimedDecision {
  const { now } = input
  const free = now >= input.settledAt + SETTLE_EVERY
  if (decision.kind === 'wait' && free)
    return { settle: decision.settle, wait: decision.time, at: now + SETTLE_EVERY }
  const { settle } = settled(input, decision.settle)
  return { settle, at: Math.max(now + SETTLE_EVERY, closesAt(input, decision.time)) }
}

/** When an open time may close: at its deadline, or when a newer one is due. */
function closesAt({ entry, times, offset, now }: UnclaimedInput, time: number): number {
  if (entry.catchUp === 'None') return time + offset + CATCH_UP_AFTER
  const next = times.next(now - offset)
  const newer = next === undefined ? Number.POSITIVE_INFINITY : next + offset + OPEN_FOR
  const deadline =
    entry.startingDeadlineSeconds === undefined
      ? Number.POSITIVE_INFINITY
      : time + entry.startingDeadlineSeconds * 1_000 + 1
  const at = Math.min(newer, deadline)
  return Number.isFinite(at) ? at : now + 3_600_000
}

/** Settles now, or as soon as the last settlement of this target is old enough. */
function settled({ now, settledAt, ...input }: UnclaimedInput, settle: Settlement[]): UnclaimedDecision {
  const free = settledAt + SETTLE_EVERY
  if (settle.length > 0) return now >= free ? { settle, at: undefined } : { settle: [], at: free }
  const at = firstLook({ ...input, now })
  return { settle: [], at: at === undefined ? undefined : Math.max(at, now + OPEN_FOR) }
}

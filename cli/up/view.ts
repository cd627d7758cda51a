import type { Result } from '../../core/records/state.ts'
import { systemClock } from '../../platform/clock.ts'
import { Unavailable } from '../../platform/errors.ts'
import { escapeControls, toJsonLine } from '../escape-controls.ts'
import { type Overview, outcomes, readOverview } from '../operator-client.ts'
import {
  keyOfResult,
  renderOutcome,
  renderProblem,
  renderTable,
  renderTroubles,
  whyItCannotRun,
} from './table.ts'

/** Shows jobs and outcomes until the signal aborts: as a live table, as one line for each outcome, or as JSON lines. */
export type Format = 'table' | 'lines' | 'json'

export interface ViewOptions {
  socketPath: string
  format: Format
  /** Problems that `up` itself has now. */
  troubles?(): Overview['problems']
  out: { write(text: string): unknown; columns?: number; rows?: number }
}

const POLL_MS = 500
/** More results than an operator repeats to a new connection. */
const REMEMBERED = 5_000

export async function view(options: ViewOptions, signal: AbortSignal): Promise<void> {
  const last = new Map<string, Result>()
  const told = new Set<string>()
  const screen = options.format === 'table' ? createScreen(options, last) : undefined
  await Promise.all([
    untilAborted(signal, () => followOutcomes(options, { last, told }, signal)),
    untilAborted(signal, createPoll(options, screen, signal)),
  ])
}

async function followOutcomes(
  { socketPath, format, out }: ViewOptions,
  { last, told }: { last: Map<string, Result>; told: Set<string> },
  signal: AbortSignal,
): Promise<void> {
  for await (const result of outcomes(socketPath, signal)) {
    if (!isNew(told, result)) continue
    last.set(keyOfResult(result), result)
    if (format === 'lines') out.write(`${renderOutcome(result)}\n`)
    if (format === 'json') out.write(toJsonLine({ type: 'outcome', ...result }))
  }
}

function createPoll(
  { socketPath, format, out, troubles = () => [] }: ViewOptions,
  screen: ((overview: Overview) => void) | undefined,
  signal: AbortSignal,
): () => Promise<void> {
  let told = new Set<string>()
  let read: Overview = { objects: [], problems: [] }
  return async () => {
    const own = troubles()
    try {
      read = await readOverview(socketPath, screen ? sizeOf(out).height : 0, signal)
    } catch (error) {
      if (own.length === 0) throw error
    }
    const overview = { ...read, problems: [...read.problems, ...own] }
    screen?.(overview)
    const now = new Set([
      ...overview.problems.map(renderProblem),
      ...refusals(overview),
      ...renderTroubles(overview),
    ])
    for (const line of now) {
      if (told.has(line) || screen) continue
      out.write(
        format === 'json' ? toJsonLine({ type: 'problem', message: line }) : `! ${escapeControls(line)}\n`,
      )
    }
    told = now
  }
}

/** The operator repeats its latest results on each new connection. A result is identified by object, run and attempt. */
function isNew(told: Set<string>, { uid, run, attempt }: Result): boolean {
  const key = `${uid} ${run} ${attempt}`
  if (told.has(key)) return false
  told.add(key)
  const [oldest] = told
  if (told.size > REMEMBERED && oldest !== undefined) told.delete(oldest)
  return true
}

/** A line for each job that cannot run as it is written. */
function refusals({ objects }: Overview): string[] {
  return objects.flatMap(object => {
    const { kind, metadata } = object
    const why = kind === 'ShellCronJob' ? whyItCannotRun(object) : undefined
    return why === undefined ? [] : [`${metadata.namespace}/${metadata.name}: ${why}`]
  })
}

/** How many lines of the table fit on the screen. */
/** Redraws the table in place. */
function createScreen({ out }: ViewOptions, last: ReadonlyMap<string, Result>): (overview: Overview) => void {
  let drawn = 0
  return overview => {
    const { width, height } = sizeOf(out)
    const lines = renderTable({ overview, last, now: systemClock.now(), width }).split('\n')
    const { more = 0 } = overview
    const kept = lines.length + Math.min(more, 1) > height ? height - 1 : lines.length
    const hidden = lines.length - kept + more
    const shown = hidden > 0 ? [...lines.slice(0, kept), `… ${hidden} more`] : lines
    out.write(`${drawn > 0 ? `\u001b[${drawn}A` : ''}\u001b[J${shown.join('\n')}\n`)
    drawn = shown.length
  }
}

/** How much of a terminal the table may fill. Some terminals say that they are 0 x 0: their size is not known. */
export function sizeOf({ columns, rows }: ViewOptions['out']): { width: number; height: number } {
  return { width: columns || 120, height: Math.max(3, (rows || 24) - 1) }
}

/** Repeats `once`, because the operator may be starting or restarting. */
async function untilAborted(signal: AbortSignal, once: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    try {
      await once()
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof Unavailable) && !isHangUp(error)) throw error
    }
    await systemClock.sleep(POLL_MS, signal).catch(() => undefined)
  }
}

function isHangUp(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ECONNRESET' || (error as Error).message === 'aborted'
}

import type { Result } from '../../core/records/state.ts'
import { escapeControls } from '../escape-controls.ts'
import type { ObjectWithStatus, Overview } from '../operator-client.ts'

/** The texts that `shellcron up` and `shellcron history` print. Pure. */
export interface Shown {
  overview: Overview
  /** The latest result of each object, by `kind/namespace/name`. */
  last: ReadonlyMap<string, Result>
  now: number
  width: number
}

const HEAD = ['JOB', 'SCHEDULE', 'ACTIVE', 'LAST RESULT', 'NEXT', 'OUTPUT']
const LONGEST = [36, 24, 6, 22, 10]

export function keyOfResult({ kind, namespace, name }: Result): string {
  return `${kind === 'job' ? 'ShellCronJob' : 'ShellRun'}/${namespace}/${name}`
}

export function renderTable(shown: Shown): string {
  const rows = shown.overview.objects
    .filter(({ kind }) => kind === 'ShellCronJob' || kind === 'ShellRun')
    .sort((a, b) => nameOf(a).localeCompare(nameOf(b)))
    .map(object => rowOf(object, shown).map(escapeControls))
  const widths = HEAD.map((title, i) => {
    const widest = Math.max(title.length, ...rows.map(row => row[i]?.length ?? 0))
    return Math.min(widest, LONGEST[i] ?? widest)
  })
  const lines = [HEAD, ...rows].map(row =>
    row
      .map((text, i) => (i === row.length - 1 ? text : cut(text, widths[i] ?? 0).padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
  return [...lines, ...problemLines(shown)].map(line => cut(line, shown.width)).join('\n')
}

/** One line for a result. */
export function renderOutcome(result: Result): string {
  const { namespace, name, time, outcome, reason, attempt, agent, range } = result
  const took =
    result.startedAt === undefined ? '' : ` in ${((result.endedAt - result.startedAt) / 1_000).toFixed(2)} s`
  const which = range ? `${range.count} times from ${iso(range.first)} to ${iso(time)}` : iso(time)
  const again =
    attempt > 1 || !result.final ? ` (attempt ${attempt}${result.final ? '' : ', will be retried'})` : ''
  const why = outcome === 'Succeeded' ? '' : ` ${reasonOf(result) ?? reason ?? ''}`
  const tail = lastLine(result.tail)
  const message = result.message ? ` [${lastLine(result.message)}]` : ''
  return escapeControls(
    `${which} ${namespace}/${name} ${outcome}${why}${took}${agent ? ` on ${agent}` : ''}${again}${tail ? `: ${tail}` : ''}${message}`,
  )
}

/** One line for a problem in a file. */
export function renderProblem({ file, line, field, message }: Overview['problems'][number]): string {
  return `${file}${line === undefined ? '' : `:${line}`}: ${field ? `${field}: ` : ''}${message}`
}

/** A line for each agent that is connected but claims nothing. For one that is not connected, `up` prints why. */
export function renderTroubles({ objects }: Overview): string[] {
  return objects.flatMap(({ kind, metadata, status }) => {
    const ready = status.conditions.find(({ type }) => type === 'Ready')
    if (kind !== 'ShellAgent' || ready?.status !== 'False' || ready.reason === 'NotConnected') return []
    return [`agent ${metadata.name}: ${ready.reason}: ${ready.message}`]
  })
}

function rowOf(object: ObjectWithStatus, { last, now }: Shown): string[] {
  const { spec, status, kind, metadata } = object
  const result = last.get(`${kind}/${metadata.namespace}/${metadata.name}`)
  const broken = kind === 'ShellCronJob' ? whyItCannotRun(object) : undefined
  return [
    nameOf(object),
    kind === 'ShellRun' ? 'once' : (status.schedule ?? spec.schedule ?? ''),
    String(status.activeCount),
    result ? `${result.outcome} ${ago(now - result.endedAt)}` : (status.lastResult ?? status.phase ?? '-'),
    spec.suspend === true
      ? 'suspended'
      : status.nextScheduleTime
        ? until(Date.parse(status.nextScheduleTime) - now)
        : '-',
    broken ?? lastLine(result?.tail),
  ]
}

/** Why a job cannot run: it does not compile, or no agent matches its target. */
export function whyItCannotRun({ status }: ObjectWithStatus): string | undefined {
  const no = (wanted: string) =>
    status.conditions.find(({ type, status }) => type === wanted && status === 'False')
  const why = no('Ready') ?? no('HasTargets')
  return why && `${why.reason}: ${why.message}`
}

function problemLines({ overview }: Shown): string[] {
  const lines = [...overview.problems.map(renderProblem), ...renderTroubles(overview)]
  return lines.length === 0 ? [] : ['', ...lines.map(line => `! ${escapeControls(line)}`)]
}

function nameOf({ metadata }: ObjectWithStatus): string {
  return `${metadata.namespace}/${metadata.name}`
}

function reasonOf({ exitCode, signal }: Result): string | undefined {
  return signal ?? (exitCode === undefined ? undefined : `(exit code ${exitCode})`)
}

/** The last line of output, on one line of ours. */
function lastLine(tail = ''): string {
  return (tail.trimEnd().split('\n').at(-1) ?? '').replaceAll('\t', ' ')
}

function iso(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19)}Z`
}

function ago(ms: number): string {
  return `${span(ms)} ago`
}

function until(ms: number): string {
  return ms <= 0 ? 'now' : `in ${span(ms)}`
}

function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000))
  if (seconds < 100) return `${seconds}s`
  if (seconds < 6_000) return `${Math.floor(seconds / 60)}m`
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)}h`
  return `${Math.floor(seconds / 86_400)}d`
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`
}

import { ANYWHERE, clockEpochIn } from '../../../core/keys.ts'
import { type FireSummary, gravity, type Milestones } from '../../../core/status/fire-summary.ts'
import { aggregateOf, type FireAggregate, mergeAggregates } from '../fire-aggregate.ts'
import { compareFires, summaryOf } from '../fire-summary-row.ts'
import type { StoredResult } from '../port.ts'
import { columnsOf, number, optional, type Row, text } from '../result-rows.ts'
import type { Execute } from './connection.ts'
import { escaped, unescaped } from './escape-text.ts'

/** How many failed targets a summary names. */
const NAMED = 10

/** Columns of the decisive result. */
const DECISIVE = [
  'class',
  'gravity',
  'kind',
  'namespace',
  'name',
  'outcome',
  'exit_code',
  'signal',
  'reason',
  'message',
  'tail',
  'range_first',
  'range_count',
] as const
const AGGREGATED = [
  'started_at',
  'ended_at',
  'succeeded',
  'failed',
  'missed',
  'taken',
  'failed_targets',
] as const
const COLUMNS = ['uid', 'clock_epoch', 'time', ...DECISIVE, ...AGGREGATED]

/** `mergeAggregates` of fire-aggregate.ts in SQL. Several operators may do it at once; the row's lock keeps it correct. */
const PUT = `
  INSERT INTO fires AS f (${COLUMNS.join(', ')})
  SELECT ${COLUMNS.join(', ')} FROM json_populate_recordset(null::fires, $1::json)
  ON CONFLICT (uid, clock_epoch, time) DO UPDATE SET
    ${DECISIVE.map(one => `${one} = CASE WHEN excluded.gravity > f.gravity THEN excluded.${one} ELSE f.${one} END`).join(',\n    ')},
    started_at = least(f.started_at, excluded.started_at),
    ended_at = greatest(f.ended_at, excluded.ended_at),
    succeeded = f.succeeded + excluded.succeeded,
    failed = f.failed + excluded.failed,
    missed = f.missed + excluded.missed,
    taken = greatest(f.taken, excluded.taken),
    failed_targets = ARRAY(
      SELECT DISTINCT target FROM unnest(f.failed_targets || excluded.failed_targets) AS target ORDER BY target LIMIT ${NAMED})`

interface Fire {
  uid: string
  time: number
  aggregate: FireAggregate
  decisive: StoredResult
  targets: string[]
}

/** Adds new results, which are in the order of the key. */
export async function addFires(
  execute: Execute,
  fresh: readonly { result: StoredResult; id: number }[],
): Promise<void> {
  const fires = new Map<string, Fire>()
  for (const { result, id } of fresh) {
    const { uid, time, run } = result
    const key = `${uid} ${time} ${clockEpochIn(run)}`
    const one = { uid, time, aggregate: aggregateOf(result, id), decisive: result, targets: failedIn(result) }
    const before = fires.get(key)
    fires.set(key, before ? together(before, one) : one)
  }
  await execute(PUT, [JSON.stringify([...fires.values()].map(rowOf))])
}

function together(a: Fire, b: Fire): Fire {
  const aggregate = mergeAggregates(a.aggregate, b.aggregate)
  return {
    ...a,
    aggregate,
    decisive: aggregate.result === a.aggregate.result ? a.decisive : b.decisive,
    targets: [...a.targets, ...b.targets].toSorted().slice(0, NAMED),
  }
}

function failedIn({ outcome, final, target }: StoredResult): string[] {
  return final && gravity(outcome) >= gravity('Missed') && target !== ANYWHERE ? [target] : []
}

function rowOf({ uid, time, aggregate, decisive, targets }: Fire): Record<string, unknown> {
  return {
    ...escaped(columnsOf(decisive)),
    uid,
    time,
    class: aggregate.class,
    gravity: aggregate.gravity,
    started_at: aggregate.startedAt ?? null,
    ended_at: aggregate.endedAt,
    succeeded: aggregate.succeeded,
    failed: aggregate.failed,
    missed: aggregate.missed,
    taken: aggregate.taken ? 1 : 0,
    failed_targets: targets,
  }
}

const NEWEST = `
  SELECT * FROM fires WHERE uid = $1 AND class = $2 AND time <= $4 ORDER BY clock_epoch DESC, time DESC LIMIT $3`
/** For a query that is not limited by time. */
const ANY_TIME = Number.MAX_SAFE_INTEGER

export async function recentFires(
  execute: Execute,
  uid: string,
  limit: { succeeded: number; failed: number },
): Promise<FireSummary[]> {
  const found: Row[] = []
  for (const [of, most] of [...Object.entries(limit), ['other', 1]] as const)
    found.push(...(await execute(NEWEST, [uid, of, most, ANY_TIME])).rows)
  return found
    .toSorted((a, b) => compareFires(b, a))
    .map(row => summaryOf(unescaped(row), uid, () => row.failed_targets as string[]))
}

export async function milestonesOf(execute: Execute, uid: string, upTo = ANY_TIME): Promise<Milestones> {
  const latest = async (of: string): Promise<Row | undefined> =>
    (await execute(NEWEST, [uid, of, 1, upTo])).rows[0]
  const good = await latest('succeeded')
  const bad = await latest('failed')
  const isFailing = compareFires(bad, good) > 0
  const after = isFailing ? good : bad
  const streak = await execute(
    `SELECT ended_at FROM fires WHERE uid = $1 AND class = $2 AND (clock_epoch, time) > ($3, $4) AND time <= $5
     ORDER BY clock_epoch, time LIMIT 1`,
    [uid, isFailing ? 'failed' : 'succeeded', after?.clock_epoch ?? -1, after?.time ?? -1, upTo],
  )
  const taken = await execute(
    `SELECT time FROM fires WHERE uid = $1 AND taken = 1 AND time <= $2 ORDER BY clock_epoch DESC, time DESC LIMIT 1`,
    [uid, upTo],
  )
  return {
    ...optional('lastScheduled', number(taken.rows[0]?.time)),
    ...optional('lastSuccessful', number(good?.ended_at)),
    ...optional('lastFailure', number(bad?.ended_at)),
    ...optional('failureTail', bad && text(unescaped(bad).tail)),
    ...optional('since', number(streak.rows[0]?.ended_at)),
  }
}

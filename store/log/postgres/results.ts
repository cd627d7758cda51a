import type { StoredResult } from '../port.ts'
import { COLUMNS, columnsOf } from '../rows.ts'
import type { Ask } from './connection.ts'
import { addFires } from './fires.ts'
import { escaped } from './rows.ts'

const INSERT = `
  INSERT INTO results (${COLUMNS.join(', ')})
  SELECT ${COLUMNS.join(', ')} FROM json_populate_recordset(null::results, $1::json)
  ON CONFLICT (uid, time, run, attempt) DO NOTHING
  RETURNING id, uid, run, attempt`

/** Within a transaction, with the partitions there. Always in the order of the key: two that store the same wait for each other, not in a ring. */
export async function addResults(ask: Ask, results: readonly StoredResult[]): Promise<void> {
  const ordered = results.toSorted(
    (a, b) => compare(a.uid, b.uid) || a.time - b.time || compare(a.run, b.run) || a.attempt - b.attempt,
  )
  const { rows } = await ask(INSERT, [JSON.stringify(ordered.map(result => escaped(columnsOf(result))))])
  const added = new Map(rows.map(({ id, uid, run, attempt }) => [keyOf({ uid, run, attempt }), Number(id)]))
  const fresh: { result: StoredResult; id: number }[] = []
  for (const result of ordered) {
    const id = added.get(keyOf(result))
    if (id === undefined) continue
    added.delete(keyOf(result))
    fresh.push({ result, id })
  }
  if (fresh.length > 0) await addFires(ask, fresh)
}

function keyOf({ uid, run, attempt }: { uid: string; run: string; attempt: number }): string {
  return `${uid} ${run} ${attempt}`
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

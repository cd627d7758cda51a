import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Page } from '../page-cursor.ts'
import type { HistoryQuery } from '../port.ts'
import { number, type Row, text } from '../result-rows.ts'
import { incarnationsOf, pageOf } from './history.ts'
import { type Incarnation, newestFirst } from './merge-incarnations.ts'

/** Opening an incarnation costs as much as reading this many rows. */
const ROWS_PER_INCARNATION = 4

/** Reads pages of history. */
export function createPages(db: DatabaseSync): (query: HistoryQuery) => Page {
  return query => {
    const incarnations = isOfName(query) ? incarnationsIn(db, query) : undefined
    // Incarnations differ only in their uid, which the index has: no row is tested for it.
    const { isWanted, most = Number.POSITIVE_INFINITY } = pageOf(incarnations ? { ...query, uid: '' } : query)
    const rows: Row[] = []
    let left = most
    const began = () => {
      left -= ROWS_PER_INCARNATION
    }
    for (const row of incarnations
      ? rowsOfIncarnations(db, query, { incarnations, began })
      : rowsOf(db, query)) {
      left--
      if (isWanted(row)) rows.push(row)
      if (rows.length === query.limit || left <= 0) return { rows, last: row }
    }
    return { rows, last: undefined }
  }
}

function rowsOf(db: DatabaseSync, query: HistoryQuery): Iterable<Row> {
  const { sql, parameters } = pageOf(query)
  return db.prepare(sql).iterate(...parameters)
}

function isOfName({ namespace, name, uid }: HistoryQuery): boolean {
  return namespace !== undefined && name !== undefined && uid === undefined
}

function incarnationsIn(db: DatabaseSync, query: HistoryQuery): Incarnation[] {
  const { sql, parameters } = incarnationsOf(query)
  const rows = db.prepare(sql).all(...parameters)
  return rows.map(({ uid, newest }) => ({ uid: text(uid) ?? '', newest: number(newest) ?? 0 }))
}

/** Reads the rows of each incarnation of a name by its uid, because there is no index by name. */
function rowsOfIncarnations(
  db: DatabaseSync,
  query: HistoryQuery,
  { incarnations, began }: { incarnations: readonly Incarnation[]; began(): void },
): Iterable<Row> {
  // The uid comes first.
  const plan = pageOf({ ...query, uid: '' })
  const others = plan.parameters.slice(1)
  const idle: StatementSync[] = []
  const rowsOfIncarnation = function* (uid: string): Generator<Row> {
    began()
    const statement = idle.pop() ?? db.prepare(plan.sql)
    yield* statement.iterate(uid, ...others)
    // Used again: thousands of short incarnations are read by one statement, one after another.
    idle.push(statement)
  }
  return newestFirst(incarnations, rowsOfIncarnation)
}

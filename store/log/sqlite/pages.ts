import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { HistoryQuery } from '../port.ts'
import type { Page } from '../position.ts'
import { number, type Row, text } from '../rows.ts'
import { livesOf, pageOf } from './history.ts'
import { type Life, newestFirst } from './lives.ts'

/** Pages of history, as rows. */
export function createPages(db: DatabaseSync): (query: HistoryQuery) => Page {
  return query => {
    const ofName = isOfName(query)
    // Lives differ in their uid only, which is asked of no row: an index has it.
    const { isWanted, most = query.limit } = pageOf(ofName ? { ...query, uid: '' } : query)
    const rows: Row[] = []
    let looked = 0
    for (const row of ofName ? rowsOfName(db, query) : rowsOf(db, query)) {
      looked++
      if (isWanted(row)) rows.push(row)
      if (rows.length === query.limit || looked === most) return { rows, last: row }
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

/** What is asked of a name is asked of each life that an object had under it: there is no index by name. */
function rowsOfName(db: DatabaseSync, query: HistoryQuery): Iterable<Row> {
  const { sql, parameters } = livesOf(query)
  const lives = db.prepare(sql).all(...parameters)
  // The uid comes first.
  const plan = pageOf({ ...query, uid: '' })
  const others = plan.parameters.slice(1)
  const idle: StatementSync[] = []
  const rowsOfLife = function* (uid: string): Generator<Row> {
    const statement = idle.pop() ?? db.prepare(plan.sql)
    yield* statement.iterate(uid, ...others)
    // Of thousands of short lives one statement reads one after the other.
    idle.push(statement)
  }
  return newestFirst(
    lives.map((row): Life => ({ uid: text(row.uid) ?? '', newest: number(row.newest) ?? 0 })),
    rowsOfLife,
  )
}

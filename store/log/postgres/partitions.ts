import pg from 'pg'
import type { Connection, Execute } from './connection.ts'
import { lockSchema } from './migrations.ts'

export type Partitioned = 'results' | 'output_pieces'

const DAY_MS = 86_400_000
/** How long dropping a partition waits for its readers and writers. New ones wait for it meanwhile. */
const LOCK_MS = 500
const LOCK_NOT_AVAILABLE = '55P03'

/** One partition for each day (UTC), created before the first row of that day. */
export interface Partitions {
  /** Creates the missing partitions for these times, ms since the epoch. */
  ensure(table: Partitioned, times: readonly number[]): Promise<void>
  /** Forgets which partitions exist: another operator dropped one. */
  forget(): void
  /** Drops one partition that is empty and whose day ended before this time. False: there is none, or it is in use. */
  dropEmpty(table: Partitioned, before: number): Promise<boolean>
}

export function createPartitions(connection: Connection): Partitions {
  const known = new Set<string>()
  return {
    async ensure(table, times) {
      const days = new Set(times.map(time => Math.floor(time / DAY_MS)))
      for (const day of [...days].toSorted((a, b) => a - b)) {
        const name = nameOf(table, day)
        if (known.has(name)) continue
        await connection.transaction(execute => attach(execute, { table, day, name }))
        known.add(name)
      }
    },
    forget: () => known.clear(),
    async dropEmpty(table, before) {
      for (const name of await endedBefore(connection.execute, table, before)) {
        if (!(await isEmpty(connection.execute, name))) continue
        known.delete(name)
        if (await connection.transaction(execute => drop(execute, { table, name })).catch(inUse)) return true
      }
      return false
    },
  }
}

interface Partition {
  table: Partitioned
  name: string
}

/** ATTACH PARTITION does not block writers, unlike CREATE … PARTITION OF. */
async function attach(execute: Execute, { table, day, name }: Partition & { day: number }): Promise<void> {
  await lockSchema(execute)
  const { rows } = await execute('SELECT to_regclass($1) IS NOT NULL AS there', [name])
  if (rows[0]?.there === true) return
  await execute(`CREATE TABLE ${name} (LIKE ${table} INCLUDING DEFAULTS INCLUDING STORAGE)`)
  const [from, to] = [day * DAY_MS, (day + 1) * DAY_MS]
  await execute(`ALTER TABLE ${table} ATTACH PARTITION ${name} FOR VALUES FROM (${from}) TO (${to})`)
}

/** Locks the partition first: no row can be added then. A row that was added before keeps it. */
async function drop(execute: Execute, { table, name }: Partition): Promise<boolean> {
  await lockSchema(execute)
  await execute(`SET LOCAL lock_timeout = ${LOCK_MS}`)
  await execute(`LOCK TABLE ONLY ${table} IN ACCESS EXCLUSIVE MODE`)
  await execute(`LOCK TABLE ${name} IN ACCESS EXCLUSIVE MODE`)
  if (!(await isEmpty(execute, name))) return false
  await execute(`DROP TABLE ${name}`)
  return true
}

async function isEmpty(execute: Execute, name: string): Promise<boolean> {
  return (await execute(`SELECT 1 FROM ${name} LIMIT 1`)).rows.length === 0
}

async function endedBefore(execute: Execute, table: Partitioned, before: number): Promise<string[]> {
  const { rows } = await execute(
    `SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = $1::regclass`,
    [table],
  )
  return rows.map(({ name }) => String(name)).filter(name => (dayIn(name, table) + 1) * DAY_MS <= before)
}

function inUse(error: unknown): false {
  if (
    error instanceof Error &&
    error.cause instanceof pg.DatabaseError &&
    error.cause.code === LOCK_NOT_AVAILABLE
  )
    return false
  throw error
}

/** Days before 1970 are negative, and a name cannot have a minus. */
function nameOf(table: Partitioned, day: number): string {
  return `${table}_${day < 0 ? 'm' : 'd'}${Math.abs(day)}`
}

/** NaN: it is not one of these partitions. */
function dayIn(name: string, table: Partitioned): number {
  const [, sign, days] = /^_([dm])(\d+)$/.exec(name.slice(table.length)) ?? []
  return Number(days) * (sign === 'm' ? -1 : 1)
}

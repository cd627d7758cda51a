import pg from 'pg'
import { parseIntoClientConfig } from 'pg-connection-string'
import { InvalidInput } from '../../../core/errors.ts'
import { messageOf, Unavailable } from '../../../platform/errors.ts'

/** Executes one statement. */
export type Execute = (
  sql: string,
  parameters?: readonly unknown[],
) => Promise<pg.QueryResult<pg.QueryResultRow>>

/** A pool of connections to one database. Every fault that may pass is `Unavailable`. */
export interface Connection {
  execute: Execute
  /** All or nothing. A fault during the commit leaves it unknown which, so `work` must be safe to repeat. */
  transaction<T>(work: (execute: Execute) => Promise<T>): Promise<T>
  /** Runs `work` on one connection, without a transaction. */
  withConnection<T>(work: (execute: Execute) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export interface ConnectionOptions {
  /** postgres://… without a password. */
  url: string
  /** Read for each new connection, because it may change. Default: PGPASSWORD or PGPASSFILE, as in libpq. */
  password?: (() => Promise<string>) | undefined
  /** A statement that takes longer fails, ms. Default: 30 s. */
  statementMs?: number
}

const CONNECTIONS = 8
const CONNECT_MS = 5_000
const STATEMENT_MS = 30_000
/** The client waits this much longer than the server's own limit. After that the server is gone. */
const GRACE_MS = 5_000

/**
 * Settings of each new connection. They are not in the startup packet, because poolers such as PgBouncer refuse unknown settings there.
 * Commits wait for the disk whatever the server's default is, because stored results are deleted from etcd next. JIT is off: compiling a
 * page's statement over many partitions takes longer than running it.
 */
const SETTINGS = `SELECT set_config('statement_timeout', $1, false), set_config('jit', 'off', false),
  set_config('synchronous_commit', replace(current_setting('synchronous_commit'), 'off', 'on'), false)`

/** Connects at the first statement. Idle connections that break are replaced. */
export function connectPostgres(options: ConnectionOptions): Connection {
  const pool = createPool(options)
  const withConnection = async <T>(work: (execute: Execute) => Promise<T>): Promise<T> => {
    const client = await pool.connect().catch(unavailable)
    let broken = false
    try {
      return await work((sql, parameters) => client.query(sql, parameters as unknown[]))
    } catch (error) {
      // After an error that is not the server's, the state of the connection is unknown.
      broken = !(error instanceof pg.DatabaseError)
      return unavailable(error)
    } finally {
      client.release(broken)
    }
  }
  return {
    withConnection,
    execute: (sql, parameters) => withConnection(execute => execute(sql, parameters)),
    transaction: work =>
      withConnection(async execute => {
        await execute('BEGIN')
        try {
          const done = await work(execute)
          await execute('COMMIT')
          return done
        } catch (error) {
          if (error instanceof pg.DatabaseError) await execute('ROLLBACK')
          throw error
        }
      }),
    close: () => pool.end(),
  }
}

function createPool({ url, password, statementMs = STATEMENT_MS }: ConnectionOptions): pg.Pool {
  const config = parseIntoClientConfig(url)
  const pool = new pg.Pool({
    // Not as `connectionString`, which would override the password.
    ...config,
    ...(password ? { password } : {}),
    max: CONNECTIONS,
    connectionTimeoutMillis: CONNECT_MS,
    idleTimeoutMillis: 60_000,
    query_timeout: statementMs + GRACE_MS,
    keepAlive: true,
    application_name: 'shellcron',
    // The pool awaits the promise, although its type does not say so.
    onConnect: (client => client.query(SETTINGS, [String(statementMs)])) as (client: pg.ClientBase) => void,
    types: { getTypeParser: parserOf as never },
  })
  // For idle connections. An error of a connection in use rejects its statement.
  pool.on('error', () => undefined)
  pool.on('connect', client => client.on('error', () => undefined))
  return pool
}

/** Throws InvalidInput if it is no URL, or holds a password: anyone who can list processes would see it. */
export function checkPostgresUrl(field: string, url: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (!parsed) throw new InvalidInput(field, 'must be like postgres://user@host:5432/database')
  if (parsed.password !== '' || parsed.searchParams.has('password'))
    throw new InvalidInput(
      field,
      'must not hold a password: put it into a file, and set --log-store-password-file',
    )
}

const INT8 = 20
const NUMERIC = 1_700

/** Integers here are times in ms, counts and ids: all are below 2^53. */
function parserOf(oid: number, format: 'text' | 'binary'): unknown {
  return oid === INT8 || oid === NUMERIC ? Number : pg.types.getTypeParser(oid as never, format as 'text')
}

/**
 * Classes of SQLSTATE for invalid data: a retry cannot succeed. All other faults pass, at the latest when somebody has fixed the database
 * (its rights, disk or tables). Until then no result counts as unstorable.
 */
const PERMANENT = /^2[123]/

function unavailable(error: unknown): never {
  if (!isTransient(error)) throw error
  throw new Unavailable(`log store: PostgreSQL: ${messageOf(error) || codeOf(error)}`, { cause: error })
}

function isTransient(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return !PERMANENT.test(error.code ?? '')
  if (!(error instanceof Error) || error.name === 'Unavailable') return false
  // Errors of sockets, or plain Errors of the pg client: it has no class for a lost connection, a timeout or a closed pool.
  return /^E[A-Z]/.test(codeOf(error)) || Object.getPrototypeOf(error) === Error.prototype
}

function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : ''
}

import pg from 'pg'
import { parseIntoClientConfig } from 'pg-connection-string'
import { InvalidInput } from '../../../core/errors.ts'
import { messageOf, Unavailable } from '../../../platform/errors.ts'

/** Sends one statement. */
export type Execute = (
  sql: string,
  parameters?: readonly unknown[],
) => Promise<pg.QueryResult<pg.QueryResultRow>>

/** A pool of connections to one database. Every fault that may pass by itself is `Unavailable`. */
export interface Connection {
  execute: Execute
  /** All of it or nothing. A fault during the commit leaves open which: what is done here can be done twice. */
  transaction<T>(work: (execute: Execute) => Promise<T>): Promise<T>
  /** Outside of transactions, on one connection. */
  withConnection<T>(work: (execute: Execute) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export interface ConnectionOptions {
  /** postgres://… without a password. */
  url: string
  /** Asked for each new connection, so that it may change. Default: as libpq finds it (PGPASSWORD, PGPASSFILE). */
  password?: (() => Promise<string>) | undefined
  /** A statement that takes longer fails, ms. Default: 30 s. */
  statementMs?: number
}

const CONNECTIONS = 8
const CONNECT_MS = 5_000
const STATEMENT_MS = 30_000
/** How much later than the server we give up: it has gone, without a word. */
const GRACE_MS = 5_000

/**
 * Of each new connection, and not in its first packet, of which poolers such as PgBouncer refuse what they do not know. What is stored is
 * deleted elsewhere next: it is on disk when it is committed, whatever the server's default is. Compiling a page's statement over many
 * partitions takes longer than the page.
 */
const SETTINGS = `SELECT set_config('statement_timeout', $1, false), set_config('jit', 'off', false),
  set_config('synchronous_commit', replace(current_setting('synchronous_commit'), 'off', 'on'), false)`

/** Nothing is sent before the first question. Idle connections that break are replaced. */
export function connectPostgres({
  url,
  password,
  statementMs = STATEMENT_MS,
}: ConnectionOptions): Connection {
  const config = parseIntoClientConfig(url)
  const pool = new pg.Pool({
    // Given as `connectionString` it would take the password away.
    ...config,
    ...(password ? { password } : {}),
    max: CONNECTIONS,
    connectionTimeoutMillis: CONNECT_MS,
    idleTimeoutMillis: 60_000,
    query_timeout: statementMs + GRACE_MS,
    keepAlive: true,
    application_name: 'shellcron',
    // The pool waits for it, though its type does not say so.
    onConnect: (client => client.query(SETTINGS, [String(statementMs)])) as (client: pg.ClientBase) => void,
    types: { getTypeParser: parserOf as never },
  })
  // Of idle connections. Those in use tell whoever uses them.
  pool.on('error', () => undefined)
  pool.on('connect', client => client.on('error', () => undefined))

  const withConnection = async <T>(work: (execute: Execute) => Promise<T>): Promise<T> => {
    const client = await pool.connect().catch(unavailable)
    let broken = false
    try {
      return await work((sql, parameters) => client.query(sql, parameters as unknown[]))
    } catch (error) {
      // What the server did not say itself leaves the connection in a state that nobody knows.
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

/** Throws InvalidInput if it is not an address of a database, or holds a password, which everybody sees who sees processes. */
export function checkPostgresUrl(field: string, url: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (!parsed) throw new InvalidInput(field, 'must be like postgres://user@host:5432/database')
  if (parsed.password !== '' || parsed.searchParams.has('password'))
    throw new InvalidInput(field, 'must not hold a password: put it into a file, and name that')
}

const INT8 = 20
const NUMERIC = 1_700

/** Whole numbers here are times in ms, counts and ids: all below 2^53. */
function parserOf(oid: number, format: 'text' | 'binary'): unknown {
  return oid === INT8 || oid === NUMERIC ? Number : pg.types.getTypeParser(oid as never, format as 'text')
}

/**
 * Classes of SQLSTATE that are about the data: wrong now and for ever. All others pass, or pass when somebody has mended the database (its
 * rights, its disk, its tables): meanwhile nothing may be taken for unstorable.
 */
const LASTING = /^2[123]/

function unavailable(error: unknown): never {
  if (!passes(error)) throw error
  throw new Unavailable(`log store: PostgreSQL: ${messageOf(error) || codeOf(error)}`, { cause: error })
}

function passes(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return !LASTING.test(error.code ?? '')
  if (!(error instanceof Error) || error.name === 'Unavailable') return false
  // Of sockets, or of the client, which has no kind of its own for "it ended", "it took too long", "the pool was closed".
  return /^E[A-Z]/.test(codeOf(error)) || Object.getPrototypeOf(error) === Error.prototype
}

function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : ''
}

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { InvalidInput } from '../../core/errors.ts'
import type { Clock } from '../../platform/clock.ts'
import { messageOf, Unavailable } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { LogStore } from '../../store/log/port.ts'
import { checkPostgresUrl } from '../../store/log/postgres/connection.ts'
import { openPostgresLogStore } from '../../store/log/postgres/store.ts'
import { openSqliteLogStore } from '../../store/log/sqlite/store.ts'

/** Where results and output are kept. */
export type LogStoreConfig =
  | { kind: 'sqlite'; path?: string }
  /** `passwordFile` is read for each new connection, so that the password can be rotated. */
  | { kind: 'postgres'; url: string; passwordFile?: string }

/** Reads `--log-store` and `--log-store-password-file`. Throws InvalidInput. */
export function logStoreOf(given: string | undefined, passwordFile: string | undefined): LogStoreConfig {
  if (given !== undefined && /^postgres(ql)?:/.test(given)) {
    checkPostgresUrl('--log-store', given)
    return { kind: 'postgres', url: given, ...(passwordFile === undefined ? {} : { passwordFile }) }
  }
  if (passwordFile !== undefined)
    throw new InvalidInput('--log-store-password-file', 'needs --log-store postgres://…')
  if (given !== undefined && /^[a-z]+:\/\//.test(given))
    throw new InvalidInput('--log-store', 'must be a file, or a URL like postgres://user@host:5432/database')
  return { kind: 'sqlite', ...(given === undefined ? {} : { path: given }) }
}

/** Throws as `openSqliteLogStore` does. A database is first connected to by the first call. */
function openLogStore(config: LogStoreConfig, stateDir: string): LogStore {
  if (config.kind === 'sqlite') return openSqliteLogStore(config.path ?? join(stateDir, 'shellcron.db'))
  const { url, passwordFile } = config
  return openPostgresLogStore({
    url,
    ...(passwordFile === undefined ? {} : { password: () => passwordIn(passwordFile) }),
  })
}

const RETRY_MS = 5_000

/**
 * Opens the log store and checks whether it may be used. Rejects with InvalidInput if a newer version created it. A log store that does
 * not answer does not delay the start: it is asked again until it answers or the signal aborts. `checked` rejects if it must not be used.
 */
export async function openCheckedLogStore(
  config: LogStoreConfig,
  { stateDir, clock, log }: { stateDir: string; clock: Clock; log: Log },
  signal: AbortSignal,
): Promise<{ logStore: LogStore; checked: Promise<void> }> {
  const logStore = openLogStore(config, stateDir)
  const untilReady = async (): Promise<void> => {
    do await clock.sleep(RETRY_MS, signal).catch(() => undefined)
    while (!signal.aborted && !(await isReady(logStore, log)))
  }
  try {
    return { logStore, checked: (await isReady(logStore, log)) ? Promise.resolve() : untilReady() }
  } catch (error) {
    await logStore.close()
    throw error
  }
}

async function isReady(logStore: LogStore, log: Log): Promise<boolean> {
  try {
    await logStore.ready()
    return true
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error
    log.warn({ error: error.message }, 'logStore.unavailable')
    return false
  }
}

async function passwordIn(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).replace(/\r?\n$/, '')
  } catch (error) {
    throw new Unavailable(`log store: cannot read the password file: ${messageOf(error)}`, { cause: error })
  }
}

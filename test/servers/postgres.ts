import { execFileSync } from 'node:child_process'
import { chown, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { type Child, startChild, untilReady } from '../../platform/child-process.ts'
import { onFreePorts } from '../../platform/free-ports.ts'
import { temporaryDirectory } from './directory.ts'

export interface Postgres {
  readonly host: string
  readonly port: number
  readonly password: string
  /** Path of a file with the password. */
  readonly passwordFile: string
  /** Creates an empty database. Resolves to its address, without the password. */
  database(name: string): Promise<string>
  /** Executes one statement as the server's owner. Default: in database `postgres`. */
  ask(sql: string, database?: string): Promise<pg.QueryResultRow[]>
  /** Kills every process of it, as a power failure does. */
  kill(): Promise<void>
  stop(): Promise<void>
  start(): Promise<void>
  /** Stops it and removes its data. */
  remove(): Promise<void>
}

const USER = 'shellcron'
const PASSWORD = 'p@ss word'
const PACKAGES = '/usr/lib/postgresql'

/** A real server from Debian's package, in its own directory. It ends with this process at the latest. */
export async function startPostgres(): Promise<Postgres> {
  const bin = await programs()
  const { path, remove } = await temporaryDirectory('shellcron-postgres-')
  const who = runAs()
  if (who) await chown(path, who.uid, who.gid)
  const passwordFile = join(path, 'password')
  await writeFile(passwordFile, `${PASSWORD}\n`, { mode: 0o600 })
  if (who) await chown(passwordFile, who.uid, who.gid)
  const data = join(path, 'data')
  const initdb = ['-D', data, '-U', USER, '-E', 'UTF8', '--locale=C.UTF-8', '-N', '-A', 'scram-sha-256']
  run([...as(who), join(bin, 'initdb'), ...initdb, `--pwfile=${passwordFile}`], path)
  return await onFreePorts(1, ([port = 0]) => serve({ bin, path, data, port, who, remove, passwordFile }))
}

interface Serve {
  bin: string
  path: string
  data: string
  port: number
  who: User | undefined
  passwordFile: string
  remove(): Promise<void>
}

async function serve(of: Serve): Promise<Postgres> {
  const { port } = of
  let child: Child | undefined
  const ask = async (sql: string, database = 'postgres') => {
    const client = new pg.Client({ host: '127.0.0.1', port, user: USER, password: PASSWORD, database })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return (await client.query<pg.QueryResultRow>(sql)).rows
    } finally {
      await client.end()
    }
  }
  const start = async () => {
    child = await launch(of)
    await untilReady({ name: 'postgres', child }, async () => (await ask('SELECT 1')).length === 1)
  }
  const kill = async () => {
    child?.signal('SIGKILL')
    await child?.ended
  }
  await start()
  return {
    host: '127.0.0.1',
    port,
    password: PASSWORD,
    passwordFile: of.passwordFile,
    ask,
    async database(name) {
      await ask(`CREATE DATABASE ${name}`)
      return `postgres://${USER}@127.0.0.1:${port}/${name}`
    },
    start,
    kill,
    // SIGINT is a fast shutdown, which does not wait for clients.
    async stop() {
      child?.signal('SIGINT')
      await child?.ended
    },
    async remove() {
      await kill()
      await of.remove()
    },
  }
}

function launch({ bin, path, data, port, who }: Serve): Promise<Child> {
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    shared_buffers: '64MB',
    max_connections: 60,
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const [command = '', ...args] = [...as(who), join(bin, 'postgres'), '-D', data, ...flags]
  return startChild({ command, args, cwd: path, name: 'postgres' })
}

interface User {
  uid: number
  gid: number
}

/** PostgreSQL refuses to run as root. A change of user clears the death signal, so it is set afterwards. */
function as(who: User | undefined): string[] {
  if (!who) return []
  const { uid, gid } = who
  return ['/usr/bin/setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--pdeathsig=KILL']
}

function runAs(): User | undefined {
  if (process.getuid?.() !== 0) return undefined
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

function run([command = '', ...args]: string[], cwd: string): void {
  execFileSync(command, args, { cwd, stdio: ['ignore', 'ignore', 'pipe'] })
}

async function programs(): Promise<string> {
  const versions = (await readdir(PACKAGES).catch(() => [])).toSorted((a, b) => Number(b) - Number(a))
  if (!versions[0]) throw new Error(`PostgreSQL is not in ${PACKAGES}: install it with node scripts/tools.ts`)
  return join(PACKAGES, versions[0], 'bin')
}

import { mkdir, stat, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { InvalidInput } from '../../core/errors.ts'
import { type Child, startChild } from '../../platform/child-process.ts'
import { systemClock } from '../../platform/clock.ts'
import { freePorts, isFree } from '../../platform/free-ports.ts'
import { readMachine, takeVariables } from './config.ts'
import { findEtcd } from './etcd-binary.ts'
import { type Ports, startEtcdServer, type TlsFiles } from './etcd-server.ts'
import { type Format, view } from './view.ts'

/**
 * Everything on one machine: etcd with certificates, the operator in directory mode, one agent; each a child that cannot outlive us.
 * The end is in the other order: the agent ends its runs and records them, then the operator stores that, then etcd.
 */
export interface UpOptions {
  directory: string
  state?: string
  name?: string
  etcdPort?: number
  /** NAMESPACE/NAME/KEY=VARIABLE, as the operator takes them. */
  secretFromEnv: string[]
  format: Format
  logLevel: string
}

const POOL = 'default'
/** Runs that go on at Ctrl-C have so long to end by themselves, s. */
const DRAIN_SECONDS = 10
/** And the agent so long to record them, ms. */
const AGENT_GRACE_MS = 30_000
const RESTART_MS = 1_000
/** With the settings of Node that each part wants. */
const program = fileURLToPath(new URL('../../bin/shellcron', import.meta.url))

export async function up(options: UpOptions, stop: AbortSignal): Promise<void> {
  const say = (line: string) => void process.stderr.write(`${line}\n`)
  const directory = await existing(options.directory)
  const state = resolve(options.state ?? join(directory, '.shellcron'))
  const name = options.name ?? hostname().toLowerCase()
  await mkdir(state, { recursive: true, mode: 0o700 })
  const operator = await import('../../operator/main.ts')
  // Fails here, before anything is started: the agent would end and be started again without end.
  await (await import('../../agent/main.ts')).launcherProgram()
  const operatorEnv = takeVariables(operator.variablesOfSecrets(options.secretFromEnv))
  const binary = await findEtcd({ machine: readMachine(), onLine: say, signal: stop })
  if (binary.warning) say(`warning: ${binary.warning}`)

  const identity = join(state, 'agent-identity')
  await operator.enrolLocal({ stateDir: state, name, pool: POOL, dir: identity })
  const tls = await operator.certifyEtcd({ stateDir: state, names: ['localhost', '127.0.0.1'] })
  const etcd = await startEtcdServer({
    binary: binary.path,
    dir: join(state, 'etcd'),
    tls: await asFiles(join(state, 'etcd-tls'), tls),
    ...(options.etcdPort === undefined ? {} : { ports: await portsFor(options.etcdPort) }),
    onLine: line => void (options.logLevel === 'debug' && say(line)),
    signal: stop,
  })
  say(
    `ShellCron runs the jobs of ${directory} as agent ${name}; what it keeps is in ${state}. Ctrl-C stops all.`,
  )

  const [ingest = 0] = await freePorts(1)
  const ending = new AbortController()
  const common = ['--endpoints', etcd.endpoint, '--log-level', options.logLevel]
  const parts = [
    keepRunning(
      {
        say,
        name: 'operator',
        env: operatorEnv,
        args: [
          ...common,
          '--directory',
          directory,
          '--state',
          state,
          '--ingest',
          `127.0.0.1:${ingest}`,
          ...options.secretFromEnv.flatMap(each => ['--secret-from-env', each]),
        ],
      },
      ending.signal,
    ),
    keepRunning(
      {
        say,
        name: 'agent',
        args: [
          ...common,
          '--identity',
          identity,
          '--name',
          name,
          '--pool',
          POOL,
          '--state',
          join(state, 'agent'),
          '--operator',
          `https://127.0.0.1:${ingest}`,
          '--drain-seconds',
          `${DRAIN_SECONDS}`,
        ],
      },
      ending.signal,
    ),
  ]
  const viewing = new AbortController()
  const shown = view(
    { socketPath: join(state, 'operator.sock'), format: options.format, out: process.stdout },
    viewing.signal,
  )
  const failed = etcd.ended.then(({ code, signal }) => {
    if (!stop.aborted) throw new Error(`etcd ended with ${signal ?? code}:\n${etcd.tail()}`)
  })
  try {
    await Promise.race([aborted(stop), failed, shown])
  } finally {
    ending.abort()
    if (stop.aborted) say(`\nStopping: runs that go on have ${DRAIN_SECONDS} seconds.`)
    const [operatorPart, agentPart] = parts
    await agentPart?.stop(DRAIN_SECONDS * 1_000 + AGENT_GRACE_MS)
    await operatorPart?.stop(AGENT_GRACE_MS)
    viewing.abort()
    await Promise.allSettled([shown])
    await etcd.stop()
    await Promise.allSettled([failed])
  }
}

interface Part {
  stop(graceMs: number): Promise<void>
}

/** Starts a part again whenever it ends, until `ending` aborts. */
function keepRunning(
  of: { name: 'operator' | 'agent'; args: string[]; env?: NodeJS.ProcessEnv; say(line: string): void },
  ending: AbortSignal,
): Part {
  let child: Child | undefined
  const start = async (): Promise<void> => {
    while (!ending.aborted) {
      child = await startChild({
        name: of.name,
        command: program,
        args: [of.name, ...of.args],
        onLine: of.say,
        ...(of.env ? { env: of.env } : {}),
      })
      const { code, signal } = await child.ended
      if (ending.aborted) return
      of.say(`the ${of.name} ended with ${signal ?? `code ${code}`}; it is started again`)
      await systemClock.sleep(RESTART_MS, ending).catch(() => undefined)
    }
  }
  const running = start()
  return {
    async stop(graceMs) {
      await child?.stop(graceMs)
      await running
    },
  }
}

async function asFiles(dir: string, tls: TlsFiles): Promise<TlsFiles> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const files = { ca: join(dir, 'ca.crt'), cert: join(dir, 'tls.crt'), key: join(dir, 'tls.key') }
  for (const part of ['ca', 'cert', 'key'] as const) await writeFile(files[part], tls[part], { mode: 0o600 })
  return files
}

async function portsFor(client: number): Promise<Ports> {
  if (!Number.isInteger(client) || client < 1 || client > 65_535) {
    throw new InvalidInput('--etcd-port', 'must be a port, 1 to 65535')
  }
  if (!(await isFree(client))) {
    throw new InvalidInput(
      '--etcd-port',
      `${client} is in use; name another one, or leave it out to take any that is free`,
    )
  }
  const [peer = 0] = await freePorts(1)
  return { client, peer }
}

async function existing(directory: string): Promise<string> {
  const path = resolve(directory)
  const found = await stat(path).catch(() => undefined)
  if (!found?.isDirectory()) {
    throw new InvalidInput(
      'directory',
      `${path} is not a directory; name one with ShellCronJobs in YAML files, or make it`,
    )
  }
  return path
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(done => {
    if (signal.aborted) done()
    else signal.addEventListener('abort', () => done(), { once: true })
  })
}

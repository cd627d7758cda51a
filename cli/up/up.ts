import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../platform/clock.ts'
import { escapeLines } from '../escape-controls.ts'
import { hasCompared } from '../operator-client.ts'
import { readMachine, takeVariables } from './config.ts'
import { explainStart } from './disk-room.ts'
import { type EtcdBinary, findEtcd } from './etcd-binary.ts'
import { type EtcdServer, type Ports, startEtcdServer, type TlsFiles } from './etcd-server.ts'
import { type KeptEtcd, keepEtcd } from './keep-etcd.ts'
import { keepRunning, type Part } from './keep-running.ts'
import { judgeFlags, makeState, portsFor, type Setup } from './setup.ts'
import { type Format, view } from './view.ts'

/**
 * Runs everything on one machine: etcd with certificates, the operator on a directory, and one agent. Each is a child process that
 * cannot outlive this one. The agent starts when the operator has compared etcd with the directory, and new jobs are compiled when the
 * agent is Ready (operator/first-comparison.ts). They stop in reverse order: the agent ends and records its runs, the operator stores the
 * results, etcd ends.
 */
export interface UpOptions {
  directory: string
  state?: string
  name?: string
  etcdPort?: number
  retentionDays?: number
  /** As the operator takes it, such as 20Gi. */
  retentionBytes?: string
  /** URLs of container runtimes' sockets. */
  runtimeEndpoint?: string[]
  /** How many processes all runs together may have. */
  pidsLimit?: number
  /** NAMESPACE/NAME/KEY=VARIABLE, as the operator takes them. */
  secretFromEnv: string[]
  /** Users who may own the directory, its files and the state directory, besides root and the caller. */
  trustOwner: string[]
  format: Format
  logLevel: string
}

type Say = (line: string) => void

const POOL = 'default'
/** How long active runs may go on after Ctrl-C, s. */
const DRAIN_SECONDS = 10
/** How long the agent then has to record them, and the operator to store them, ms. */
const RECORD_GRACE_MS = 30_000
const COMPARED_POLL_MS = 100

export async function up(options: UpOptions, stop: AbortSignal): Promise<void> {
  const say: Say = line => void process.stderr.write(`${escapeLines(line)}\n`)
  const setup = await judgeFlags(options)
  const running = await start({ options, setup, say }, stop).catch(async (error: unknown) => {
    // Ctrl-C also reaches the programs that a start calls, so their errors say nothing.
    if (!stop.aborted) throw await explainStart(error, setup.state)
    say('\nStopped during the start. Nothing runs.')
  })
  if (running) await runUntilStopped(running, stop)
}

/** Everything up to a running etcd. */
async function start(
  { options, setup, say }: Pick<Running, 'options' | 'setup' | 'say'>,
  stop: AbortSignal,
): Promise<Running> {
  const operator = await import('../../operator/main.ts')
  // Fails here, before anything is written or started: the agent would end and be started again without end.
  await (await import('../../agent/main.ts')).launcherProgram()
  const operatorEnv = takeVariables(operator.variablesOfSecrets(options.secretFromEnv))
  await makeState(setup)
  const binary = await findEtcd({ machine: readMachine(), onLine: say, signal: stop })
  if (binary.warning) say(`warning: ${binary.warning}`)

  await operator.enrolLocal({ stateDir: setup.state, name: setup.name, pool: POOL, dir: identityIn(setup) })
  const tls = await operator.certifyEtcd({ stateDir: setup.state, names: ['localhost', '127.0.0.1'] })
  const by = { options, setup, binary, tls: await asFiles(join(setup.state, 'etcd-tls'), tls), say }
  const given = options.etcdPort === undefined ? undefined : await portsFor(options.etcdPort)
  const first = await startEtcd(by, given, stop)
  const again = (ports: Ports, signal: AbortSignal) => startEtcd(by, ports, signal)
  const etcd = keepEtcd(first, { state: setup.state, start: again, say })
  say(
    `ShellCron runs the jobs of ${setup.directory} on agent ${setup.name}. State directory: ${setup.state}. To stop, press Ctrl-C.`,
  )
  return { options, setup, etcd, endpoint: first.endpoint, operatorEnv, say }
}

function identityIn({ state }: Setup): string {
  return join(state, 'agent-identity')
}

async function startEtcd(
  by: { options: UpOptions; setup: Setup; binary: EtcdBinary; tls: TlsFiles; say: Say },
  ports: Ports | undefined,
  signal: AbortSignal,
): Promise<EtcdServer> {
  const { options, setup, binary, tls, say } = by
  return startEtcdServer({
    binary: binary.path,
    dir: join(setup.state, 'etcd'),
    tls,
    ...(ports ? { ports } : {}),
    onLine: line => void (options.logLevel === 'debug' && say(line)),
    signal,
  })
}

async function asFiles(dir: string, tls: TlsFiles): Promise<TlsFiles> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const files = { ca: join(dir, 'ca.crt'), cert: join(dir, 'tls.crt'), key: join(dir, 'tls.key') }
  for (const part of ['ca', 'cert', 'key'] as const) await writeFile(files[part], tls[part], { mode: 0o600 })
  return files
}

interface Running {
  options: UpOptions
  setup: Setup
  etcd: KeptEtcd
  endpoint: string
  operatorEnv: NodeJS.ProcessEnv
  say: Say
}

async function runUntilStopped(of: Running, stop: AbortSignal): Promise<void> {
  const { options, setup, etcd, say } = of
  const ending = new AbortController()
  const parts = await startParts(of, ending.signal)
  const viewing = new AbortController()
  const socketPath = join(setup.state, 'operator.sock')
  const troubles = () => [etcd.trouble()].flatMap(message => (message ? [{ file: 'etcd', message }] : []))
  const shown = view({ socketPath, format: options.format, out: process.stdout, troubles }, viewing.signal)
  try {
    await Promise.race([aborted(stop), etcd.done, shown, parts.operator.done, parts.agent.done])
  } finally {
    ending.abort()
    if (stop.aborted) say(`\nStopping. Active runs have ${DRAIN_SECONDS} seconds to end.`)
    await parts.agent.stop(DRAIN_SECONDS * 1_000 + RECORD_GRACE_MS)
    await parts.operator.stop(RECORD_GRACE_MS)
    viewing.abort()
    await Promise.allSettled([shown])
    await etcd.stop()
  }
}

async function startParts(
  { options, setup, endpoint, operatorEnv, say }: Running,
  ending: AbortSignal,
): Promise<{ operator: Part; agent: Part }> {
  // Not a port: another user could take it while the operator restarts.
  const ingest = `unix:${join(setup.state, 'ingest.sock')}`
  const common = { '--endpoints': endpoint, '--log-level': options.logLevel }
  const operatorFlags = {
    ...common,
    '--directory': setup.directory,
    '--state': setup.state,
    '--ingest': ingest,
    ...flag('--retention-days', options.retentionDays),
    ...flag('--retention-bytes', options.retentionBytes),
    '--await-agent': setup.name,
    '--await-since': String(systemClock.now()),
  }
  const agentFlags = {
    ...common,
    '--identity': identityIn(setup),
    '--name': setup.name,
    '--pool': POOL,
    '--state': join(setup.state, 'agent'),
    '--operator': ingest,
    '--drain-seconds': String(DRAIN_SECONDS),
    ...flag('--runtime-endpoint', options.runtimeEndpoint?.join(',')),
    ...flag('--pids-limit', options.pidsLimit),
  }
  const secrets = options.secretFromEnv.flatMap(each => ['--secret-from-env', each])
  const owners = options.trustOwner.flatMap(each => ['--trust-owner', each])
  const operatorArgs = [...Object.entries(operatorFlags).flat(), ...secrets, ...owners]
  const agentArgs = [...Object.entries(agentFlags).flat(), ...owners]
  const operator = keepRunning({ say, name: 'operator', env: operatorEnv, args: operatorArgs }, ending)
  const after = untilCompared(join(setup.state, 'operator.sock'), ending)
  const agent = keepRunning({ say, name: 'agent', args: agentArgs, after }, ending)
  return { operator, agent }
}

/** Resolves when the operator has compared etcd with the directory, or the signal aborts. */
async function untilCompared(socketPath: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const done = await hasCompared(socketPath, signal).catch(() => false)
    if (done) return
    await systemClock.sleep(COMPARED_POLL_MS, signal).catch(() => undefined)
  }
}

/** The flag with its value, or nothing: the part then has its default. */
function flag(name: string, value: string | number | undefined): Record<string, string> {
  return value === undefined ? {} : { [name]: String(value) }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(done => {
    if (signal.aborted) done()
    else signal.addEventListener('abort', () => done(), { once: true })
  })
}

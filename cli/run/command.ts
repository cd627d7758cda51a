import { randomInt } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { InvalidInput } from '../../core/errors.ts'
import { parseDocuments } from '../../core/schema/documents.ts'
import { API_VERSION } from '../../core/schema/objects.ts'
import { messageOf } from '../../platform/errors.ts'
import { type ClusterFlags, isForCluster } from '../cluster/cluster.ts'
import type { ShellRunManifest } from '../cluster/run.ts'
import { escapeControls } from '../escape-controls.ts'
import { makeRun } from '../operator-client.ts'
import { collect, durationMs } from '../options/parsers.ts'
import { addReachOptions, type ReachFlags, reach } from '../options/reach.ts'
import { followRun } from './follow.ts'

/** `shellcron run`: creates a ShellRun, of a job or from a file, and waits for it if asked. */
type RunFlags = ReachFlags & {
  param: string[]
  target: string[]
  filename?: string
  wait?: true
  logs?: true
  /** ms */
  timeout?: number
}

const CODES = `
Exit codes:
  0    the ShellRun was created; with --wait, it succeeded
  1    with --wait: it did not succeed
  2    it was refused
  124  it did not end within --timeout. It continues`

const NOTES = `; \`shellcron kill\` ends it

The ShellRun is a file in the state directory, below runs/. It survives a
restart of the operator. Removing the file kills the run. The operator removes
it ttlSecondsAfterFinished after the run ends, by default after an hour.`

export function addRunCommand(program: Command): void {
  const command = program
    .command('run')
    .description('run a job now, even a suspended one, or a ShellRun from a file')
    .argument('[job]', 'the ShellCronJob: NAME or NAMESPACE/NAME')
    .addOption(repeatable('--param <name=value>', 'value of a parameter that the job declares; repeatable'))
    .addOption(repeatable('--target <target>', 'run only on this agent or shard; repeatable'))
    .option('-f, --filename <path>', 'instead of a job: a file with one ShellRun, or - for stdin')
    .option('--wait', 'wait until the run ends, and print the outcome of each target')
    .option('--timeout <duration>', 'with --wait: wait at most this long, such as 60s, 5m or 1h', timeout)
    .addHelpText('after', isForCluster(program) ? CODES : CODES + NOTES)
    .action(async (job: string | undefined, flags: RunFlags) => {
      if (flags.timeout !== undefined && !flags.wait && !flags.logs)
        throw new InvalidInput('--timeout', 'has no effect without --wait; add --wait')
      process.exitCode = await (flags.state === undefined
        ? runInCluster(job, flags, flags)
        : runOnSocket(job, flags))
    })
  addReachOptions(command, program, 'namespace of the job (default: "default")')
  if (isForCluster(program))
    command.option('--logs', 'print the output of the run until it ends; implies --wait')
}

async function runOnSocket(job: string | undefined, flags: RunFlags): Promise<number> {
  const object = await objectOf(job, flags, 'default')
  const { operator } = await reach(flags)
  const made = await makeRun(operator, object)
  process.stdout.write(
    `${escapeControls(`${made.namespace}/${made.name}: created; its run is ${made.run}`)}\n`,
  )
  return flags.wait ? followRun(operator, made, flags.timeout) : 0
}

/** The user creates the ShellRun with their own rights. The operator has no part in it. */
async function runInCluster(
  job: string | undefined,
  flags: RunFlags,
  reached: ClusterFlags,
): Promise<number> {
  const [{ connectCluster }, { createRun, mustExist, waitForRun }] = await Promise.all([
    import('../cluster/cluster.ts'),
    import('../cluster/run.ts'),
  ])
  const cluster = await connectCluster(reached)
  const object = await objectOf(job, flags, cluster.namespace)
  const { namespace } = object.metadata
  if (job !== undefined) await mustExist(cluster, { namespace, name: job.split('/').at(-1) ?? job })
  const made = await createRun(cluster, object)
  process.stdout.write(
    `${escapeControls(`${made.namespace}/${made.name}: created; its run is ${made.run}`)}\n`,
  )
  if (!flags.wait && !flags.logs) return 0
  return waitForRun(cluster, made, {
    ...(flags.timeout === undefined ? {} : { timeoutMs: flags.timeout }),
    ...(flags.logs ? { logs: reached } : {}),
  })
}

function repeatable(flags: string, description: string): Option {
  return new Option(flags, description).argParser(collect).default([], 'none')
}

/** `own`: the namespace of an object that names none. */
async function objectOf(job: string | undefined, flags: RunFlags, own: string): Promise<ShellRunManifest> {
  if (job !== undefined && flags.filename !== undefined)
    throw new InvalidInput('--filename', `cannot be combined with the job "${job}"; leave one of them out`)
  if (job !== undefined) return ofJob(job, flags, own)
  if (flags.filename !== undefined) return fromFile(flags, own)
  throw new InvalidInput('run', 'needs a job or a file: name a job, or give a file with -f')
}

/** A name has at most 52 characters, and ours ends in a dash and five of them. */
const LONGEST_STEM = 46

function ofJob(job: string, flags: RunFlags, own: string): ShellRunManifest {
  const [name = '', inName] = job.split('/').toReversed()
  if (inName !== undefined && flags.namespace !== undefined && inName !== flags.namespace)
    throw new InvalidInput(
      '--namespace',
      `"${flags.namespace}" contradicts the job "${job}"; name one namespace`,
    )
  const parameters = flags.param.map(given => {
    const at = given.indexOf('=')
    if (at < 1) throw new InvalidInput('--param', `"${given}" has no name or no "="; write NAME=VALUE`)
    return { name: given.slice(0, at), value: given.slice(at + 1) }
  })
  return {
    apiVersion: API_VERSION,
    kind: 'ShellRun',
    metadata: {
      name: `${name.slice(0, LONGEST_STEM).replace(/-+$/, '')}-${suffix()}`,
      namespace: inName ?? flags.namespace ?? own,
    },
    spec: {
      jobRef: { name },
      ...(parameters.length > 0 ? { parameters } : {}),
      ...(flags.target.length > 0 ? { targets: flags.target } : {}),
    },
  }
}

async function fromFile(
  { filename = '', namespace, param, target }: RunFlags,
  fallback: string,
): Promise<ShellRunManifest> {
  if (param.length > 0 || target.length > 0)
    throw new InvalidInput(
      param.length > 0 ? '--param' : '--target',
      'cannot be combined with -f; write it into the file',
    )
  const content = filename === '-' ? await text(process.stdin) : await readText(filename)
  const { objects, problems } = parseDocuments(content, { suffix: suffix() })
  const [wrong] = problems
  if (wrong) throw new InvalidInput(wrong.field ?? `${filename}:${wrong.line}`, wrong.message)
  const [only, another] = objects
  if (only?.object.kind !== 'ShellRun' || another)
    throw new InvalidInput(
      '--filename',
      `"${filename}" must contain one ShellRun and no other ShellCron object`,
    )
  const { kind, apiVersion, metadata } = only.object
  const own = metadata.namespace ?? namespace
  if (namespace !== undefined && own !== namespace)
    throw new InvalidInput(
      '--namespace',
      `"${namespace}" contradicts metadata.namespace "${own}" of the file; name one namespace`,
    )
  const { generateName: _, ...named } = metadata
  return {
    apiVersion,
    kind,
    metadata: { ...named, namespace: own ?? fallback },
    spec: only.spec as object,
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new InvalidInput('--filename', `"${path}" cannot be read: ${messageOf(cause)}`, { cause })
  }
}

/** Five random letters and digits without vowels, as an API server appends them to `generateName`. */
function suffix(): string {
  const letters = 'bcdfghjklmnpqrstvwxz2456789'
  return Array.from({ length: 5 }, () => letters[randomInt(letters.length)]).join('')
}

/** Answers ms. A number without a unit counts seconds. */
function timeout(given: string): number {
  const ms = durationMs(/^\d+$/.test(given) ? `${given}s` : given)
  if (ms === undefined) throw new InvalidArgumentError('Use a duration, such as 60s, 5m or 1h.')
  return ms
}

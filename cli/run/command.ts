import { randomInt } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { type Command, InvalidArgumentError } from 'commander'
import { InvalidInput } from '../../core/errors.ts'
import { parseDocuments } from '../../core/schema/documents.ts'
import { API_VERSION } from '../../core/schema/objects.ts'
import { makeRun } from '../operator-client.ts'
import { socketIn, stateOption } from '../options/state.ts'
import { followRun } from './follow.ts'

/** `shellcron run`: makes a ShellRun, of a job or as a file has it, and waits for it if it is told to. */
interface RunFlags {
  state: string
  namespace?: string
  param: string[]
  target: string[]
  filename?: string
  wait?: true
  /** ms */
  timeout?: number
}

const CODES = `
Exit codes: 0, it was made, or with --wait it succeeded; 1, it did not succeed; 2, it cannot be made as it is; 124, it had not ended
within --timeout. It goes on then: \`shellcron kill\` ends it.

The ShellRun lies in the state directory, below runs/: it outlives the operator, and to remove its file is to kill it. It goes an hour after its
end, or after ttlSecondsAfterFinished of its file.`

export function addRunCommand(program: Command): void {
  program
    .command('run')
    .description('run a job now, also a suspended one, or a ShellRun of a file')
    .argument('[job]', 'the ShellCronJob: NAME, or NAMESPACE/NAME')
    .addOption(stateOption())
    .option('-n, --namespace <namespace>', 'of the job; default: default')
    .option(
      '--param <name=value>',
      'of a parameter that the job declares; may be given several times',
      collect,
      [],
    )
    .option(
      '--target <target>',
      'only here, of several: an agent or a shard; may be given several times',
      collect,
      [],
    )
    .option(
      '-f, --filename <path>',
      'in place of a job: a file with one ShellRun, or - ; it may have generateName',
    )
    .option('--wait', 'until it has ended; what ends meanwhile is printed')
    .option('--timeout <duration>', 'with --wait: no longer than this: 60s, 5m, 1h', duration)
    .addHelpText('after', CODES)
    .action(async (job: string | undefined, flags: RunFlags) => {
      if (flags.timeout !== undefined && !flags.wait)
        throw new InvalidInput('--timeout', 'says how long to wait; give --wait too')
      const object = await objectOf(job, flags)
      const socket = socketIn(flags.state)
      const made = await makeRun(socket, object)
      const what = `${made.namespace}/${made.name}`
      process.stdout.write(`${what}: made; its run is ${made.run}\n`)
      if (flags.wait) process.exitCode = await followRun(socket, made, flags.timeout)
    })
}

async function objectOf(job: string | undefined, flags: RunFlags): Promise<object> {
  if ((job === undefined) === (flags.filename === undefined))
    throw new InvalidInput('run', 'give a job, or a file by -f')
  return job === undefined ? fromFile(flags) : ofJob(job, flags)
}

/** Names of objects have at most so many characters, and five are ours. */
const LONGEST_STEM = 46

function ofJob(job: string, flags: RunFlags): object {
  const [name = '', inName] = job.split('/').toReversed()
  if (inName !== undefined && flags.namespace !== undefined && inName !== flags.namespace)
    throw new InvalidInput(
      '--namespace',
      `is ${flags.namespace}, and the job's is ${inName}; give one of them`,
    )
  const parameters = flags.param.map(given => {
    const at = given.indexOf('=')
    if (at < 1) throw new InvalidInput('--param', `"${given}" is not NAME=VALUE`)
    return { name: given.slice(0, at), value: given.slice(at + 1) }
  })
  return {
    apiVersion: API_VERSION,
    kind: 'ShellRun',
    metadata: {
      name: `${name.slice(0, LONGEST_STEM).replace(/-+$/, '')}-${suffix()}`,
      namespace: inName ?? flags.namespace ?? 'default',
    },
    spec: {
      jobRef: { name },
      ...(parameters.length > 0 ? { parameters } : {}),
      ...(flags.target.length > 0 ? { targets: flags.target } : {}),
    },
  }
}

async function fromFile({ filename = '', namespace, param, target }: RunFlags): Promise<object> {
  if (param.length > 0 || target.length > 0)
    throw new InvalidInput(
      param.length > 0 ? '--param' : '--target',
      'belongs to a job; write it into the file',
    )
  const content = filename === '-' ? await text(process.stdin) : await readText(filename)
  const { objects, problems } = parseDocuments(content, { suffix: suffix() })
  const [wrong] = problems
  if (wrong) throw new InvalidInput(wrong.field ?? `${filename}:${wrong.line}`, wrong.message)
  const [only, another] = objects
  if (only?.object.kind !== 'ShellRun' || another)
    throw new InvalidInput(
      '--filename',
      `${filename} must have one ShellRun, and nothing else of ShellCron's`,
    )
  const { kind, apiVersion, metadata } = only.object
  const own = metadata.namespace ?? namespace
  if (namespace !== undefined && own !== namespace)
    throw new InvalidInput('--namespace', `is ${namespace}, and the file says ${own}; give one of them`)
  const { generateName: _, ...named } = metadata
  return {
    apiVersion,
    kind,
    metadata: { ...named, ...(own === undefined ? {} : { namespace: own }) },
    spec: only.spec,
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new InvalidInput('--filename', `${path} cannot be read`, { cause })
  }
}

/** Five characters that make no words, as an API server takes them for `generateName`. */
function suffix(): string {
  const letters = 'bcdfghjklmnpqrstvwxz2456789'
  return Array.from({ length: 5 }, () => letters[randomInt(letters.length)]).join('')
}

const UNITS = { s: 1_000, m: 60_000, h: 3_600_000 }

function duration(given: string): number {
  const [, number, unit = 's'] = /^(\d{1,9})([smh])?$/.exec(given) ?? []
  if (number === undefined) throw new InvalidArgumentError('write it as 60s, 5m or 1h')
  return Number(number) * UNITS[unit as keyof typeof UNITS]
}

function collect(value: string, all: string[] = []): string[] {
  return [...all, value]
}

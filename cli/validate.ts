import { readdir, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { type Command, Option } from 'commander'
import { InvalidInput } from '../core/errors.ts'
import {
  MAX_TEXT_BYTES,
  parseDocuments,
  type TextContent,
  type TextObject,
} from '../core/schema/documents.ts'
import type { ShellCronJob, ShellRun } from '../core/schema/objects.ts'
import { validateJob, validateRun } from '../core/schema/validate.ts'
import { messageOf } from '../platform/errors.ts'
import { readTextFile, textOf } from '../platform/text-file.ts'
import { escapeControls, toJsonLine } from './escape-controls.ts'
import { collect } from './options/parsers.ts'

/** `shellcron validate`: checks objects in files as the operator would, before they are applied. */
interface Finding {
  file: string
  line: number
  field?: string
  message: string
}

/** The suffix that an API server would append to `generateName`. */
const GENERATED = 'xxxxx'

interface FileObject {
  file: string
  of: TextObject
}

export function addValidateCommand(program: Command): void {
  program
    .command('validate')
    .description('check the objects in YAML files, as the operator would')
    .requiredOption('-f, --filename <path>', 'a file, a directory, or - for stdin; repeatable', collect)
    .addOption(new Option('-o, --output <format>', 'output format').choices(['text', 'json']).default('text'))
    .action(async ({ filename, output }: { filename: string[]; output: string }) => {
      const { findings, count } = await validate(filename)
      for (const finding of findings)
        process.stdout.write(output === 'json' ? toJsonLine(finding) : render(finding))
      if (output === 'text')
        process.stderr.write(`${counted(count, 'object')}, ${counted(findings.length, 'problem')}\n`)
      if (findings.length > 0) process.exitCode = 1
    })
}

async function validate(paths: string[]): Promise<{ findings: Finding[]; count: number }> {
  const findings: Finding[] = []
  const found: FileObject[] = []
  for (const path of paths) {
    for (const file of await filesOf(path)) {
      const { objects, problems } = await read(file)
      findings.push(...problems.map(problem => ({ file, ...problem })))
      found.push(...objects.map(of => ({ file, of })))
    }
  }
  for (const each of found) {
    for (const { field, message } of check(each, found)) {
      findings.push({ file: each.file, line: each.of.lineOf(field), field, message })
    }
  }
  return { findings: [...findings, ...duplicates(found)], count: found.length }
}

/** A file that cannot be read is a problem of that file, as it is for `up`. */
async function read(file: string): Promise<TextContent> {
  const failed = (message: string): TextContent => ({ objects: [], problems: [{ line: 1, message }] })
  try {
    const limits = { maxBytes: MAX_TEXT_BYTES }
    const found = await (file === '-' ? textOf(process.stdin, MAX_TEXT_BYTES) : readTextFile(file, limits))
    return found.kind === 'text' ? parseDocuments(found.text, { suffix: GENERATED }) : failed(found.why)
  } catch (error) {
    return failed(`cannot be read: ${messageOf(error)}`)
  }
}

function check(
  { of: { object } }: FileObject,
  all: readonly FileObject[],
): { field: string; message: string }[] {
  if (object.kind === 'ShellCronJob') return validateJob(object as ShellCronJob)
  if (object.kind !== 'ShellRun') return []
  const run = object as ShellRun
  const job = all.map(({ of }) => of.object).find(each => each.kind === 'ShellCronJob' && sameName(each, run))
  // A job that is missing from these files may exist in the cluster.
  return job ? validateRun(run, job as ShellCronJob) : []
}

function sameName(job: TextObject['object'], run: ShellRun): boolean {
  const { name, namespace = 'default' } = job.metadata
  return name === run.spec.jobRef?.name && namespace === (run.metadata.namespace ?? 'default')
}

/** Reports an object that is defined twice. Objects with generateName have no name yet, and may be repeated. */
function duplicates(found: readonly FileObject[]): Finding[] {
  const first = new Map<string, FileObject>()
  return found.flatMap(each => {
    const { kind, metadata } = each.of.object
    if ('generateName' in metadata) return []
    const key = `${kind} ${metadata.namespace ?? 'default'}/${metadata.name}`
    const before = first.get(key)
    first.set(key, before ?? each)
    if (!before) return []
    return [
      {
        file: each.file,
        line: each.of.line,
        field: 'metadata.name',
        message: `${key} is also defined in ${before.file}:${before.of.line}; remove one of them`,
      },
    ]
  })
}

async function filesOf(path: string): Promise<string[]> {
  if (path === '-') return ['-']
  const found = await stat(path).catch(() => undefined)
  if (!found) throw new InvalidInput('--filename', `there is no file or directory "${path}"`)
  if (!found.isDirectory()) return [path]
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  return entries
    .filter(entry => /\.ya?ml$/i.test(entry.name) && !entry.isDirectory())
    .map(entry => relative(path, join(entry.parentPath, entry.name)))
    .filter(name => !name.split('/').some(part => part.startsWith('.')))
    .sort()
    .map(name => join(path, name))
}

function render({ file, line, field, message }: Finding): string {
  return `${escapeControls(`${file}:${line}: ${field ? `${field}: ` : ''}${message}`)}\n`
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

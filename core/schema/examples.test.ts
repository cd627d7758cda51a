import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { parseObject, type ShellCronJob, type ShellRun } from './objects.ts'
import { validateJob, validateRun } from './validate.ts'

const root = new URL('../../examples/', import.meta.url)
/** Those of GitOps controllers and Helm are of other kinds. */
const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
  name => name.endsWith('.yaml') && !name.startsWith('gitops/'),
)
const objects = files.flatMap(file =>
  parseAllDocuments(readFileSync(new URL(file, root), 'utf8')).map(document => ({
    file,
    object: parseObject(document.toJS()),
  })),
)

test('there are at least ten examples besides the quickstart', () => {
  expect(files.filter(file => !file.startsWith('quickstart')).length).toBeGreaterThanOrEqual(10)
})

test.each(objects)('$file: $object.kind $object.metadata.name is valid', ({ object }) => {
  if (object.kind === 'ShellCronJob') expect(validateJob(object as ShellCronJob)).toEqual([])
  if (object.kind === 'ShellRun') {
    const { jobRef } = (object as ShellRun).spec
    const job = objects
      .map(each => each.object)
      .find(each => each.kind === 'ShellCronJob' && each.metadata.name === jobRef?.name)
    expect(validateRun(object as ShellRun, job as ShellCronJob | undefined)).toEqual([])
  }
})

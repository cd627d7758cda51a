import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../../platform/clock.ts'
import { Unavailable } from '../../../platform/errors.ts'
import { silentLog } from '../../../platform/log.ts'
import { eventually } from '../../../test/fault/eventually.ts'
import type { ObjectRef, Problem, Resources } from '../port.ts'
import { createDirectoryResources } from './resources.ts'
import type { StatusStore } from './status-store.ts'

let directory: string
let stored: Map<string, string>
const stops: AbortController[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'shellcron-directory-'))
  stored = new Map()
})
afterEach(async () => {
  for (const stop of stops.splice(0)) stop.abort(new Error('the test is over'))
  await rm(directory, { recursive: true })
})

const store: StatusStore = {
  load: () => Promise.resolve(new Map(stored)),
  put: (key, value) => Promise.resolve(void stored.set(key, value)),
  delete: key => Promise.resolve(void stored.delete(key)),
}

async function start(over: StatusStore = store) {
  const resources = createDirectoryResources({
    directory,
    made: join(directory, '.state/runs'),
    store: over,
    clock: systemClock,
    log: silentLog,
  })
  const reported: ObjectRef[] = []
  resources.onChange(ref => reported.push(ref))
  const stop = new AbortController()
  stops.push(stop)
  await resources.start(stop.signal)
  return { resources, reported, stop }
}

/** Writes a temporary file and renames it, as editors do. */
async function save(file: string, text: string): Promise<void> {
  await mkdir(join(directory, file, '..'), { recursive: true })
  await writeFile(join(directory, `${file}.tmp`), text)
  await rename(join(directory, `${file}.tmp`), join(directory, file))
}

function yaml(name: string, schedule = '@daily', more = ''): string {
  return `apiVersion: shellcron.dev/v1alpha1
kind: ShellCronJob
metadata: { name: ${name}${more} }
spec:
  schedule: "${schedule}"
  template: { spec: { host: {}, script: "true" } }
`
}

const job = (name: string): ObjectRef => ({ kind: 'ShellCronJob', namespace: 'default', name })
const get = (resources: Resources, name: string) => resources.get('ShellCronJob', 'default', name)
const uidOf = (resources: Resources, name: string) => get(resources, name)?.metadata.uid ?? ''

test('when start has resolved, exactly the objects of all files exist, with defaults', async () => {
  await save('a.yaml', `${yaml('one')}---\n${yaml('two', '@hourly', ', namespace: ops')}`)
  await save('deploy/web.yaml', 'apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\nspec: {}\n')
  await save('values.yaml', 'image: {{ not yaml }\n')
  const { resources } = await start()
  expect(get(resources, 'one')).toMatchObject({
    metadata: { namespace: 'default', generation: 1 },
    spec: { timeZone: 'UTC' },
  })
  expect(resources.get('ShellCronJob', 'ops', 'two')).toBeDefined()
  expect(resources.list('ShellCronJob')).toHaveLength(2)
  expect(resources.list('Node')).toEqual([])
  expect(resources.problems()).toEqual([])
})

test('an edit takes effect and raises the generation; new and deleted files are noticed', async () => {
  await save('a.yaml', yaml('one'))
  const { resources, reported } = await start()
  const uid = uidOf(resources, 'one')
  await save('a.yaml', yaml('one', '@hourly'))
  await eventually('the edit is seen', () => get(resources, 'one')?.spec.schedule === '@hourly')
  expect(get(resources, 'one')?.metadata).toMatchObject({ generation: 2, uid })
  await save('new/b.yaml', yaml('two'))
  await eventually('the new one is seen', () => get(resources, 'two'))
  await rm(join(directory, 'a.yaml'))
  await eventually('the end is seen', () => !get(resources, 'one'))
  expect(reported).toContainEqual(job('one'))
  expect(stored.size).toBe(1)
})

test('an invalid file is reported with line and field, and keeps its last valid objects', async () => {
  await save('a.yaml', yaml('one'))
  const { resources } = await start()
  const reports: (readonly Problem[])[] = []
  resources.onProblems(problems => reports.push(problems))
  await save('a.yaml', yaml('one').replace('spec:', 'spec:\n  jitterSeconds: -5'))
  await eventually('the problem is reported', () => reports.length === 1)
  expect(reports[0]).toMatchObject([{ file: 'a.yaml', line: 5, field: 'spec.jitterSeconds' }])
  await save('a.yaml', 'kind: ShellCronJob\nmetadata: { name: x }\nkind: twice\n')
  await eventually('the next is reported', () => reports.length === 2)
  expect(reports[1]?.[0]).toMatchObject({ file: 'a.yaml', line: 3 })
  expect(get(resources, 'one')?.spec.schedule).toBe('@daily')
  await save('a.yaml', yaml('one', '@weekly'))
  await eventually('it is mended', () => get(resources, 'one')?.spec.schedule === '@weekly')
  expect(resources.problems()).toEqual([])
})

test('an invalid object of a file does not affect the others', async () => {
  const list = `kind: List\napiVersion: v1\nitems:\n- apiVersion: shellcron.dev/v1alpha1\n  kind: ShellCronJob\n`
  await save('a.yaml', `${yaml('good')}---\n${yaml('bad').replace('host', 'hots')}---\n${list}`)
  await save('b.yaml', yaml('headless').replace(/^kind.*\n/m, ''))
  const { resources } = await start()
  expect(get(resources, 'good')).toBeDefined()
  expect(resources.list('ShellCronJob')).toHaveLength(1)
  expect(resources.problems()).toContainEqual({
    file: 'a.yaml',
    line: 13,
    field: 'spec.template.spec.hots',
    message: expect.stringContaining('not a known field') as string,
  })
  expect(resources.problems()).toContainEqual(expect.objectContaining({ file: 'a.yaml', field: 'items' }))
  expect(resources.problems()).toContainEqual(expect.objectContaining({ file: 'b.yaml', field: 'kind' }))
})

test('one object in two files is an error that names both', async () => {
  await save('a.yaml', yaml('one'))
  const { resources } = await start()
  await save('b.yaml', yaml('one', '@hourly'))
  await eventually('it is reported', () => resources.problems().length > 0)
  expect(resources.problems()[0]?.file).toBe('b.yaml')
  expect(resources.problems()[0]?.message).toContain('a.yaml')
  expect(get(resources, 'one')?.spec.schedule).toBe('@daily')
})

test('a restart changes nothing; a file that has become invalid keeps its objects, a deleted file loses them', async () => {
  await save('a.yaml', yaml('one'))
  await save('b.yaml', yaml('two'))
  await save('c.yaml', yaml('three'))
  const first = await start()
  const uid = uidOf(first.resources, 'one')
  await first.resources.setFinalizer(job('three'), uidOf(first.resources, 'three'), true)
  first.stop.abort(new Error('stopped'))
  await save('b.yaml', 'kind: ShellCronJob: what')
  await rm(join(directory, 'c.yaml'))
  await rename(join(directory, 'a.yaml'), join(directory, 'z.yaml'))
  const { resources } = await start()
  expect(get(resources, 'one')?.metadata).toMatchObject({ uid, generation: 1 })
  expect(get(resources, 'two')?.spec.schedule).toBe('@daily')
  expect(get(resources, 'three')?.metadata.deletionTimestamp).toBeDefined()
})

test('with our finalizer a removed object stays until the finalizer is removed; one that returns is new', async () => {
  await save('a.yaml', yaml('one'))
  const { resources } = await start()
  const uid = uidOf(resources, 'one')
  expect(await resources.setFinalizer(job('one'), uid, true)).toBe('applied')
  await rm(join(directory, 'a.yaml'))
  await eventually('it is marked', () => get(resources, 'one')?.metadata.deletionTimestamp)
  await save('a.yaml', yaml('one', '@hourly'))
  await save('witness.yaml', yaml('witness'))
  await eventually('what came later is there', () => get(resources, 'witness'))
  expect(get(resources, 'one')?.spec.schedule).toBe('@daily')
  expect(await resources.setFinalizer(job('one'), uid, true)).toBe('applied')
  expect(await resources.setFinalizer(job('one'), uid, false)).toBe('applied')
  await eventually('the new one is there', () => get(resources, 'one')?.spec.schedule === '@hourly')
  expect(uidOf(resources, 'one')).not.toBe(uid)
  expect(get(resources, 'one')?.metadata).toMatchObject({ generation: 1 })
  expect(await resources.setFinalizer(job('one'), uid, false)).toBe('gone')
})

test('status and annotations are stored for the right uid, and a status is not reported as a change', async () => {
  await save('a.yaml', yaml('one', '@daily', ', annotations: { a: "1", b: "1" }'))
  const { resources, reported } = await start()
  const uid = uidOf(resources, 'one')
  reported.length = 0
  expect(await resources.applyStatus(job('one'), uid, { lastResult: 'Succeeded' })).toBe('applied')
  expect(reported).toEqual([])
  expect(JSON.parse(stored.get('ShellCronJob/default/one') ?? '')).toMatchObject({
    status: { lastResult: 'Succeeded' },
  })
  stored.delete('ShellCronJob/default/one')
  // It is the same: nothing is written.
  expect(await resources.applyStatus(job('one'), uid, { lastResult: 'Succeeded' })).toBe('applied')
  expect(stored.has('ShellCronJob/default/one')).toBe(false)
  expect(await resources.annotate(job('one'), uid, { a: null, c: '2' })).toBe('applied')
  expect(JSON.parse(stored.get('ShellCronJob/default/one') ?? '')).toMatchObject({
    spec: { schedule: '@daily' },
    status: { lastResult: 'Succeeded' },
  })
  expect(get(resources, 'one')?.metadata.annotations).toEqual({ b: '1', c: '2' })
  expect(reported).toEqual([job('one')])
  expect(await resources.applyStatus(job('one'), 'another', {})).toBe('gone')
  expect(await resources.annotate(job('none'), uid, {})).toBe('gone')
  expect(await resources.remove(job('one'), uid)).toBe('kept')
})

test('an object is visible only once it is stored', async () => {
  await save('a.yaml', yaml('one'))
  let away = false
  let refused = 0
  const failing: StatusStore = {
    ...store,
    put: (key, value) => {
      if (!away) return store.put(key, value)
      refused++
      return Promise.reject(new Unavailable('away'))
    },
  }
  const { resources } = await start(failing)
  away = true
  await save('a.yaml', yaml('one', '@hourly'))
  await eventually('it is tried again and again', () => refused > 1)
  expect(get(resources, 'one')?.spec.schedule).toBe('@daily')
  away = false
  await eventually('the edit shows', () => get(resources, 'one')?.spec.schedule === '@hourly')
})

test('a looked-up Secret that is replaced is reported', async () => {
  await save('secrets/ops/db/password', 'old')
  const { resources, reported } = await start()
  expect(await resources.lookUp('Secret', 'ops', 'db')).toMatchObject({ data: { password: 'old' } })
  await save('secrets/ops/db/password', 'new one')
  await eventually('it is reported', () =>
    reported.some(({ kind, name }) => kind === 'Secret' && name === 'db'),
  )
})

test('cluster-scoped objects have no namespace', async () => {
  const agent =
    'apiVersion: shellcron.dev/v1alpha1\nkind: ShellAgent\nmetadata: { name: web1 }\nspec: { external: {} }\n'
  await save('agent.yaml', agent)
  const { resources } = await start()
  expect(resources.get('ShellAgent', '', 'web1')).toMatchObject({ metadata: { name: 'web1' } })
  expect([...stored.keys()]).toEqual(['ShellAgent//web1'])
})

const run = { namespace: 'ops', name: 'now', spec: { jobRef: { name: 'one' } } }
const runRef: ObjectRef = { kind: 'ShellRun', namespace: 'ops', name: 'now' }

test('a created ShellRun has its own file, survives a restart, and can be removed', async () => {
  await save('a.yaml', yaml('one'))
  const first = await start()
  const made = await first.resources.createRun(run)
  expect(made).toMatchObject({ kind: 'created' })
  expect(await first.resources.createRun(run)).toEqual({ kind: 'exists' })
  first.stop.abort(new Error('killed'))
  const { resources } = await start()
  const { metadata, spec } = resources.get('ShellRun', 'ops', 'now') ?? {}
  const { uid = '' } = metadata ?? {}
  expect(made).toEqual({ kind: 'created', uid })
  expect(spec).toEqual(run.spec)
  expect(await resources.remove(runRef, 'of another life')).toBe('kept')
  expect(await resources.remove(job('one'), uidOf(resources, 'one'))).toBe('kept')
  expect(await resources.remove(runRef, uid)).toBe('removed')
  await eventually('it is gone', () => resources.get('ShellRun', 'ops', 'now') === undefined)
  expect(get(resources, 'one')).toBeDefined()
})

test('a ShellRun from a file of the directory is neither created again nor removed', async () => {
  const spec = 'spec: { jobRef: { name: one } }\n'
  const text = `apiVersion: shellcron.dev/v1alpha1\nkind: ShellRun\nmetadata: { name: now, namespace: ops }\n${spec}`
  await save('run.yaml', text)
  const { resources } = await start()
  expect(await resources.createRun(run)).toEqual({ kind: 'exists' })
  const uid = resources.get('ShellRun', 'ops', 'now')?.metadata.uid ?? ''
  expect(await resources.remove(runRef, uid)).toBe('kept')
})

import { expect, test } from 'vitest'
import { job } from '../../test/fixtures/objects/make.ts'
import { InvalidObject, parseObject, parseStored, type ShellCronJob } from './objects.ts'

test('an object gets the defaults of its kind', () => {
  const { spec } = parseObject(job()) as ShellCronJob
  expect(spec).toEqual({
    schedule: '0 1 * * *',
    timeZone: 'UTC',
    jitterSeconds: 0,
    catchUp: 'Latest',
    catchUpLimit: 100,
    concurrencyPolicy: 'Allow',
    suspend: false,
    successfulRunsHistoryLimit: 3,
    failedRunsHistoryLimit: 3,
    daylightSaving: { skipped: 'RunAfter', repeated: 'RunOnce' },
    template: {
      spec: {
        host: {},
        script: 'true',
        target: { pool: 'default', mode: 'One' },
        workingDir: '/',
        tty: false,
        leftovers: 'Kill',
        successExitCodes: [0],
        terminationGracePeriodSeconds: 10,
        onDisconnect: 'Stop',
        backoffLimit: 0,
        outputLimit: '10Mi',
      },
    },
  })
})

test('an admitted object may have fields of a newer version', () => {
  const stored = parseStored({
    ...job({ someday: 1, template: { spec: { host: { later: true }, script: 'true' } } }),
    status: { whatever: 1 },
  }) as ShellCronJob
  expect(stored.spec.template.spec.host).toEqual({})
  expect(stored.status).toBeUndefined()
})

test('an admitted object with unknown enum values is refused', () => {
  expect(() => parseStored(job({ catchUp: 'Someday' }))).toThrow(InvalidObject)
})

test('a cluster-scoped object with a namespace is refused', () => {
  const pool = { apiVersion: 'shellcron.dev/v1alpha1', kind: 'ShellPool', metadata: { name: 'p' }, spec: {} }
  expect(() => parseObject({ ...pool, metadata: { name: 'p', namespace: 'ops' } })).toThrow(
    'has no namespace',
  )
  expect(parseObject(pool).spec).toEqual({ sessionTTLSeconds: 30, paused: false })
})

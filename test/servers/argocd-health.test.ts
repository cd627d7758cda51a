import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { temporaryDirectory } from './directory.ts'
import { argocdHealth, writeHealthScripts } from './gitops-tools.ts'

/** The health scripts that users give to Argo CD, run by the Lua that Argo CD uses. */
const directory = await temporaryDirectory('shellcron-health-')
afterAll(() => directory.remove())
let scripts: Map<string, string>
beforeAll(async () => {
  scripts = await writeHealthScripts(directory.path)
})

type Conditions = Record<string, string>

/** `conditions`: by type, the condition's status and reason. */
const object = (generation: number, observed: number, conditions: Conditions = {}, more: object = {}) => ({
  metadata: { name: 'a', generation },
  status: {
    observedGeneration: observed,
    conditions: Object.entries(conditions).map(([type, text]) => {
      const [status, reason] = text.split(' ')
      return { type, status, reason, message: `because of ${reason}`, observedGeneration: observed }
    }),
    ...more,
  },
})
const nothing = { metadata: { name: 'a', generation: 1 } }
const good = { Ready: 'True Compiled', Reconciling: 'False Compiled', Stalled: 'False Compiled' }
const refused = { Ready: 'False PolicyRefused', Stalled: 'True PolicyRefused', Reconciling: 'False Stalled' }
const waiting = {
  Ready: 'False SecretNotFound',
  Reconciling: 'True SecretNotFound',
  Stalled: 'False Reconciling',
}
const running = { Ready: 'False Running', Reconciling: 'True Running', Stalled: 'False Running' }
const open = { Complete: 'False NotEnded', Failed: 'False NotEnded' }
const over = { Reconciling: 'False -', Complete: 'False -', Failed: 'False -', Stalled: 'False -' }

type Case = [state: string, object: unknown, health: string, message: string]

const cases: Record<string, Case[]> = {
  ShellCronJob: [
    ['no status', nothing, 'Progressing', 'waiting for the operator'],
    ['the status of a new object', object(1, -1), 'Progressing', 'waiting for the operator'],
    ['the status of an earlier generation', object(2, 1, good), 'Progressing', 'waiting for the operator'],
    ['a refusal of an earlier generation', object(2, 1, refused), 'Progressing', 'waiting for the operator'],
    ['scheduled', object(2, 2, good), 'Healthy', 'because of Compiled'],
    ['suspended', object(1, 1, { ...good, Ready: 'True Suspended' }), 'Healthy', 'because of Suspended'],
    ['refused', object(1, 1, refused), 'Degraded', 'PolicyRefused: because of PolicyRefused'],
    ['waits for a Secret', object(1, 1, waiting), 'Progressing', 'because of SecretNotFound'],
    [
      'its last run failed',
      object(1, 1, { ...good, LastRunSucceeded: 'False Failed' }),
      'Healthy',
      'because of Compiled',
    ],
    [
      'without agents',
      object(1, 1, { ...good, HasTargets: 'False NoAgentMatches' }),
      'Healthy',
      'NoAgentMatches',
    ],
  ],
  ShellRun: [
    ['no status', nothing, 'Progressing', 'waiting for the operator'],
    ['the status of a new object', object(1, -1), 'Progressing', 'waiting for the operator'],
    [
      'waits for an agent',
      object(1, 1, { ...running, ...open, Ready: 'False Pending' }),
      'Progressing',
      'because of Pending',
    ],
    ['running', object(1, 1, { ...running, ...open }), 'Progressing', 'because of Running'],
    [
      'succeeded',
      object(1, 1, { ...over, Ready: 'True Succeeded', Complete: 'True Succeeded' }),
      'Healthy',
      'because of Succeeded',
    ],
    [
      'failed',
      object(1, 1, { ...over, Ready: 'False Failed', Stalled: 'True Failed', Failed: 'True Failed' }),
      'Degraded',
      'Failed: because of Failed',
    ],
    ['refused', object(1, 1, { ...open, ...refused }), 'Degraded', 'PolicyRefused: because of PolicyRefused'],
    ['waits for a Secret', object(1, 1, { ...open, ...waiting }), 'Progressing', 'because of SecretNotFound'],
  ],
  ShellAgent: [
    ['no status', nothing, 'Progressing', 'waiting for the operator'],
    ['connected', object(1, 1, { Ready: 'True Connected' }), 'Healthy', 'because of Connected'],
    ['cordoned', object(1, 1, { Ready: 'True Cordoned' }), 'Healthy', 'because of Cordoned'],
    ['not connected', object(1, 1, { Ready: 'False NotConnected' }), 'Suspended', 'because of NotConnected'],
    [
      'its clock is wrong',
      object(1, 1, { Ready: 'False ClockSkewed' }),
      'Degraded',
      'because of ClockSkewed',
    ],
  ],
  ...Object.fromEntries(
    ['ShellPolicy', 'ShellPool'].map((kind): [string, Case[]] => [
      kind,
      [
        ['no status', nothing, 'Progressing', 'waiting for the operator'],
        ['the status of a new object', object(1, -1), 'Progressing', 'waiting for the operator'],
        [
          'the status of an earlier generation',
          object(2, 1, { Ready: 'True Accepted' }),
          'Progressing',
          'waiting for the operator',
        ],
        ['accepted', object(1, 1, { Ready: 'True Accepted' }), 'Healthy', 'because of Accepted'],
      ],
    ]),
  ),
}

test('every kind that users write has a script and a table', () => {
  expect([...scripts.keys()].toSorted()).toEqual(Object.keys(cases).toSorted())
  expect(scripts.size).toBe(5)
})

describe.each(Object.entries(cases))('%s', (kind, all) => {
  test.each(all)('%s', async (_, of, status, message) => {
    const [health] = await argocdHealth(scripts.get(kind) ?? '', [of])
    expect(health?.status).toBe(status)
    expect(health?.message).toContain(message)
  })
})

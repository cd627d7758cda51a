import { expect, test } from 'vitest'
import { agentOf, agentUser } from './agent-user.ts'

test("an agent's user can be read back", () => {
  const agent = { pool: 'db', agent: 'web-1.example', id: '0a1b' }
  expect(agentUser(agent)).toBe('agent:db:web-1.example:0a1b')
  expect(agentOf(agentUser(agent))).toEqual(agent)
})

test.each([
  'shellcron-operator',
  'agent:db:web',
  'agent:db:web:',
  'agent::web:1',
  'agent:db:web:1:2',
  'x:db:web:1',
])('%s is no agent', user => {
  expect(agentOf(user)).toBeUndefined()
})

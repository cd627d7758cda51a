import * as z from 'zod'
import { InvalidInput } from '../../core/errors.ts'
import { API_VERSION, parseObject } from '../../core/schema/objects.ts'
import { type MadeToken, parseTokenRequest } from '../enrolment/make-token.ts'
import type { MadeAgents } from '../startup/local-agents.ts'
import type { Routes } from './server.ts'

/**
 *   PUT    /v1/agents/NAME          {"pool", "labels"}: creates the ShellAgent, or sets what is given. One of a file in the directory is left alone
 *   DELETE /v1/agents/NAME          removes an agent that PUT has made: its identity ends
 *   POST   /v1/agents/NAME/tokens   {"ttlSeconds"}: {"token", "operator", "expiresAt"}: the token lets the agent enrol once
 */
export interface AgentRoutesOptions {
  made: Pick<MadeAgents, 'put' | 'remove'>
  makeToken(of: { agent: string; ttlSeconds?: number | undefined }): Promise<MadeToken>
}

const wanted = z.object({
  pool: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
})
function wishOf(body: unknown): z.infer<typeof wanted> {
  const { data, error } = wanted.safeParse(body ?? {})
  if (!data)
    throw new InvalidInput(
      error?.issues[0]?.path.join('.') || 'body',
      error?.issues[0]?.message ?? 'is not valid',
    )
  return data
}

interface Named {
  Params: { name: string }
}

export function agentRoutes({ made, makeToken }: AgentRoutesOptions): Routes {
  return server => {
    server.put<Named>('/v1/agents/:name', async ({ params: { name }, body }) => {
      const { pool, labels } = wishOf(body)
      const given = { ...(pool === undefined ? {} : { pool }), ...(labels ? { labels } : {}) }
      const spec = { external: {}, ...given }
      // Throws InvalidInput that names the field.
      parseObject({ apiVersion: API_VERSION, kind: 'ShellAgent', metadata: { name }, spec })
      return { kind: await made.put({ name, ...given }) }
    })
    server.delete<Named>('/v1/agents/:name', async ({ params: { name } }) => {
      const kind = await made.remove(name)
      if (kind === 'removed') return { kind }
      throw new InvalidInput(
        'name',
        kind === 'absent'
          ? `there is no agent ${name}`
          : `agent ${name} is in a file of the directory, or is this machine's own: remove it from its file`,
      )
    })
    server.post<Named>(
      '/v1/agents/:name/tokens',
      async ({ params: { name }, body }) => await makeToken({ agent: name, ...parseTokenRequest(body) }),
    )
  }
}

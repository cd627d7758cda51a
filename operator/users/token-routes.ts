import { Forbidden } from '../api/rights.ts'
import type { Routes } from '../api/server.ts'
import type { Context } from '../context.ts'
import type { Reach } from '../enrolment/issue.ts'
import { makeToken, parseTokenRequest } from '../enrolment/make-token.ts'
import type { Authority } from '../identity/authority.ts'
import type { Users } from './start-users.ts'

const VERBS = ['create', 'update']

/**
 *   POST /v1/agents/NAME/tokens   {"ttlSeconds"}: {"token", "operator", "expiresAt"}: the token lets the agent enrol once
 *
 * The user needs the right to create and to update this ShellAgent: so it is no more than the user could do to the object.
 */
export function tokenRoutes(enrolment: { authority: Authority; reach: Reach }) {
  return (users: Users, context: Context): Routes =>
    server => {
      server.post<{ Params: { name: string } }>('/v1/agents/:name/tokens', async request => {
        const { name } = request.params
        const subject = users.userOf(request)
        for (const verb of VERBS)
          if (!(await users.review(subject, { verb, resource: 'shellagents', name })))
            throw new Forbidden(
              `user "${subject.user}" may not let agents join: this needs the verbs create and update on shellagents. An administrator grants it with: kubectl create clusterrole shellcron-join --verb=get,create,update,patch --resource=shellagents.shellcron.dev; kubectl create clusterrolebinding shellcron-join --clusterrole=shellcron-join --user='${subject.user}'`,
            )
        return await makeToken(context, enrolment, { agent: name, ...parseTokenRequest(request.body) })
      })
    }
}

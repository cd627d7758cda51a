import type { Routes } from './server.ts'

/**
 *   POST /v1/runs/ID/kill                      {"attempts": how many were asked to end}; ID as status and history show it
 *   POST /v1/objects/NAMESPACE/NAME/kill       the same of all that a ShellCronJob or ShellRun of this name runs
 */
export function killRoutes(of: {
  /** Asks the owners to end a run, or every part of it; answers how many. */
  kill(run: string): Promise<number>
  /** Of everything under this name. InvalidInput if there is no such object. */
  killAll(namespace: string, name: string): Promise<number>
}): Routes {
  return server => {
    server.post<{ Params: { id: string } }>('/v1/runs/:id/kill', async request => ({
      attempts: await of.kill(request.params.id),
    }))
    server.post<{ Params: { namespace: string; name: string } }>(
      '/v1/objects/:namespace/:name/kill',
      async ({ params }) => ({ attempts: await of.killAll(params.namespace, params.name) }),
    )
  }
}

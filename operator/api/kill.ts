import type { Routes } from './server.ts'

/**
 *   POST /v1/runs/ID/kill                      {"attempts": how many are to end}; ID as status and history show it
 *   POST /v1/objects/NAMESPACE/NAME/kill       the same for every run of a ShellRun, or of a ShellCronJob and its ShellRuns
 */
export function killRoutes(of: {
  /** Asks the owners to end all attempts of a run. Returns how many there were. */
  kill(run: string): Promise<number>
  /** The same for every run of an object. Throws InvalidInput if there is none of this name. */
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

import type { Routes } from './server.ts'

/**
 *   POST /v1/runs/ID/kill    {"attempts": how many were asked to end}; ID as status and history show it
 */
export function killRoutes(of: {
  /** Asks the owners to end a run, or every part of it; answers how many. */
  kill(run: string): Promise<number>
}): Routes {
  return server => {
    server.post<{ Params: { id: string } }>('/v1/runs/:id/kill', async request => ({
      attempts: await of.kill(request.params.id),
    }))
  }
}

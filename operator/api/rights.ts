import type { FastifyRequest } from 'fastify'

/** What the client of a request may read. */
export interface Rights {
  /** Whether the output and results of all ShellCronJobs and ShellRuns of the namespace, or of this ShellCronJob and its ShellRuns. */
  mayReadLogs(of: { namespace: string; job?: string | undefined }): Promise<boolean>
  /** Why not, with the remedy. */
  refusal(of: { namespace: string; job?: string | undefined }): string
}

export type RightsOf = (request: FastifyRequest) => Rights

/** Of the operator's own user, through its socket. */
const everything: Rights = { mayReadLogs: () => Promise.resolve(true), refusal: () => '' }

export const rightsOnSocket: RightsOf = () => everything

/** The client may not do what it asked for. The message has the remedy. */
export class Forbidden extends Error {
  override readonly name = 'Forbidden'
  readonly statusCode = 403
}

/** The client has not proved who it is. The message has the remedy. */
export class Unauthenticated extends Error {
  override readonly name = 'Unauthenticated'
  readonly statusCode = 401
}

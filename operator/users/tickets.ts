import { createHash, timingSafeEqual } from 'node:crypto'
import * as z from 'zod'
import { subdomainName } from '../../core/schema/metadata.ts'
import type { Clock } from '../../platform/clock.ts'
import { accepted, type KubeApi } from '../../platform/kubernetes/api.ts'
import { Unauthenticated } from '../api/rights.ts'
import type { Subject } from './rights.ts'

/**
 * Who a user is, by a ShellTicket. The user never gives credentials of the cluster to the operator:
 *
 *   user ── creates ShellTicket (hash of a nonce, own name and groups) ──▶ API server: admission compares name and groups
 *   user ── name of the ticket, nonce ──▶ operator ── reads it from the API server, deletes it ──▶ that user, once
 *
 * The deletion makes the ticket good for one use: the API server answers only one of two deletions of the same object with success.
 */
export interface Tickets {
  /** Throws Unauthenticated with the remedy; Unavailable if the API server does not answer. */
  redeem(name: string, nonce: string): Promise<Subject>
}

const PATH = '/apis/shellcron.dev/v1alpha1/shelltickets'
export const TICKET_LIFE_MS = 60_000
/** Unused tickets are deleted when they are this old, ms. */
const OLD_MS = 600_000
const AGAIN = 'run the command again, it creates a new one'

const ticketSchema = z.object({
  metadata: z.object({
    uid: z.string(),
    creationTimestamp: z.string(),
    deletionTimestamp: z.string().optional(),
    finalizers: z.array(z.string()).default([]),
  }),
  spec: z.object({ nonceHash: z.string(), user: z.string(), groups: z.array(z.string()).default([]) }),
})
type Ticket = z.infer<typeof ticketSchema>

export function createTickets({ api, clock }: { api: KubeApi; clock: Clock }): Tickets {
  return {
    async redeem(name, nonce) {
      const ticket = subdomainName.safeParse(name).success ? await read(api, name) : undefined
      if (!ticket) throw refused(`there is no ShellTicket "${name}": it was used before, or has expired`)
      check(ticket, { name, nonce, now: clock.now() })
      await use(api, name, ticket)
      const { user, groups } = ticket.spec
      return { user, groups }
    },
  }
}

async function read(api: KubeApi, name: string): Promise<Ticket | undefined> {
  const answer = await api.request({ path: `${PATH}/${name}` })
  return answer.status === 404 ? undefined : ticketSchema.parse(accepted(answer, `get shellticket ${name}`))
}

function check({ metadata, spec }: Ticket, of: { name: string; nonce: string; now: number }): void {
  const hash = createHash('sha256').update(of.nonce).digest()
  const wanted = Buffer.from(spec.nonceHash, 'hex')
  if (wanted.length !== hash.length || !timingSafeEqual(wanted, hash))
    throw refused(`the nonce is not the one of ShellTicket "${of.name}"`)
  const age = of.now - Date.parse(metadata.creationTimestamp)
  if (!(Math.abs(age) <= TICKET_LIFE_MS))
    throw refused(
      `ShellTicket "${of.name}" is ${Math.round(age / 1_000)} s old by the operator's clock, and counts for ${TICKET_LIFE_MS / 1_000} s: compare the clocks of the operator's node and of the API server if it is new`,
    )
  // With a finalizer the deletion would not be final, and could be repeated.
  if (metadata.deletionTimestamp !== undefined || metadata.finalizers.length > 0)
    throw refused(`ShellTicket "${of.name}" is being deleted, or has a finalizer`)
}

async function use(api: KubeApi, name: string, { metadata: { uid } }: Ticket): Promise<void> {
  const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid } }
  const answer = await api.request({ path: `${PATH}/${name}`, method: 'DELETE', body })
  if (answer.status === 404 || answer.status === 409) throw refused(`ShellTicket "${name}" was used before`)
  const deleted = accepted(answer, `delete shellticket ${name}`) as { metadata?: { finalizers?: unknown } }
  if (deleted.metadata?.finalizers) throw refused(`ShellTicket "${name}" has a finalizer`)
}

function refused(why: string): Unauthenticated {
  return new Unauthenticated(`${why}; ${AGAIN}`)
}

/** Few, because any user may create tickets, as large as the API server takes them. */
const PAGE = 50
const page = z.object({
  metadata: z.object({ continue: z.string().default('') }),
  items: z.array(z.object({ metadata: z.object({ name: z.string(), creationTimestamp: z.string() }) })),
})

/** Deletes tickets that nobody used. */
export async function deleteOldTickets({ api, clock }: { api: KubeApi; clock: Clock }): Promise<void> {
  let next = ''
  do {
    const path = `${PATH}?limit=${PAGE}&continue=${encodeURIComponent(next)}`
    const { metadata, items } = page.parse(accepted(await api.request({ path }), 'list shelltickets'))
    for (const { metadata: of } of items)
      if (clock.now() - Date.parse(of.creationTimestamp) > OLD_MS)
        await api.request({ path: `${PATH}/${of.name}`, method: 'DELETE' })
    next = metadata.continue
  } while (next !== '')
}

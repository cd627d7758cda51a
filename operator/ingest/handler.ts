import { type Batch, decodeBatch, encodeAnswer } from '../../core/output/batch.ts'
import type { AgentIdentity } from '../../core/records/agent-user.ts'
import type { LogStore } from '../../store/log/port.ts'
import type { Context } from '../context.ts'
import { refuse } from '../server/answers.ts'
import type { Handler, Handlers } from '../server/exchange.ts'
import type { PeerAgent } from '../server/peer-agent.ts'
import { createAdmission } from './admission.ts'
import type { OutputNotifier } from './output-notifier.ts'
import { createOwners } from './owners.ts'
import { bodyOf } from './request-body.ts'
import { createStorePieces, type StorePieces } from './store-pieces.ts'

/**
 * Takes output from agents: `POST /v1/ingest` with a batch (core/output/batch.ts), compressed with zstd or gzip, and with the client
 * certificate of the agent.
 *
 *   200 answers for each piece    400 invalid batch    403 not this agent's certificate    503 try again after Retry-After
 */
export const INGEST = 'POST /v1/ingest'

/** How many batches are in memory at a time, and how many requests may wait with their body still unread. */
const SLOTS = 8
const WAITING = 1_000

export function ingestHandlers({ store, notifier }: { store: LogStore; notifier: OutputNotifier }) {
  return ({ log, mirrors, keys }: Context, peerAgent: PeerAgent): Handlers => {
    const owners = createOwners({ mirrors, keys, store })
    const storePieces = createStorePieces({ store, owners, notifier, log })
    return { [INGEST]: createIngestHandler({ peerAgent, storePieces }) }
  }
}

export function createIngestHandler({
  peerAgent,
  storePieces,
}: {
  peerAgent: PeerAgent
  storePieces: StorePieces
}): Handler {
  const admission = createAdmission({ slots: SLOTS, waiting: WAITING })
  return async ({ request, response }) => {
    const peer = peerAgent(request.socket)
    if (peer.kind !== 'agent') return refuse(response, 403, peer.why)
    const leave = await admission.enter(`${peer.agent.pool}/${peer.agent.agent}`)
    try {
      const batch = decodeBatch(await bodyOf(request))
      const mismatch = senderMismatch(peer.agent, batch)
      if (mismatch) return refuse(response, 403, mismatch)
      const answers = await storePieces(peer.agent, batch.pieces)
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(encodeAnswer(answers))
    } finally {
      leave()
    }
  }
}

function senderMismatch({ pool, agent }: AgentIdentity, batch: Batch): string | undefined {
  if (batch.pool === pool && batch.agent === agent) return undefined
  return `the client certificate is that of agent ${pool}/${agent}, but the batch is from ${batch.pool}/${batch.agent}`
}

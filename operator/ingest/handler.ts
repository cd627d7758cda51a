import type { ServerResponse } from 'node:http'
import { type Batch, decodeBatch, encodeAnswer } from '../../core/output/batch.ts'
import type { AgentIdentity } from '../../core/records/agent-user.ts'
import type { Clock } from '../../platform/clock.ts'
import { Unavailable } from '../../platform/errors.ts'
import { createSemaphore } from '../../platform/semaphore.ts'
import type { LogStore } from '../../store/log/port.ts'
import type { Context } from '../context.ts'
import { refuse } from '../server/answers.ts'
import type { Handler, Handlers } from '../server/exchange.ts'
import type { PeerAgent } from '../server/peer-agent.ts'
import { createAdmission } from './admission.ts'
import { createBodyBudget } from './body-budget.ts'
import type { OutputNotifier } from './output-notifier.ts'
import { createOwners } from './owners.ts'
import { type Body, bodyOf } from './request-body.ts'
import { createStorePieces, type StorePieces } from './store-pieces.ts'

/**
 * Takes output from agents: `POST /v1/ingest` with a batch (core/output/batch.ts), compressed with zstd or gzip, and with the client
 * certificate of the agent.
 *
 *   200 answers for each piece    400 invalid batch    403 not this agent's certificate    503 try again after Retry-After
 */
export const INGEST = 'POST /v1/ingest'

/** How many batches are decompressed and stored at a time. */
const SLOTS = 8
/** Requests of one agent that may wait with their body still unread, besides the one in progress. */
const WAITING = 2
/** Compressed bodies in memory, those included that are still arriving. */
const BODY_BYTES = 64 * 1024 * 1024

export function ingestHandlers({ store, notifier }: { store: LogStore; notifier: OutputNotifier }) {
  return ({ log, clock, mirrors, keys }: Context, peerAgent: PeerAgent): Handlers => {
    const owners = createOwners({ mirrors, keys, store })
    const storePieces = createStorePieces({ store, owners, notifier, log })
    return { [INGEST]: createIngestHandler({ peerAgent, storePieces, clock }) }
  }
}

/**
 *   agent's turn ─▶ body whole ─▶ slot ─▶ decompressed, stored, answered
 *
 * A slot is taken only when the body is whole, so a slow sender keeps no other agent waiting.
 */
export function createIngestHandler(of: {
  peerAgent: PeerAgent
  storePieces: StorePieces
  clock: Clock
}): Handler {
  const admission = createAdmission({ waiting: WAITING })
  const budget = createBodyBudget(BODY_BYTES)
  const slots = createSemaphore(SLOTS)
  return async ({ request, response }) => {
    const peer = of.peerAgent(request.socket)
    if (peer.kind !== 'agent') return refuse(response, 403, peer.why)
    const leave = await admission.enter(`${peer.agent.pool}/${peer.agent.agent}`)
    try {
      const body = await bodyOf(request, { clock: of.clock, budget })
      const store = async () => {
        // Its identity may have ended while the body arrived.
        const now = of.peerAgent(request.socket)
        if (now.kind !== 'agent') return refuse(response, 403, now.why)
        await storeBatch(of.storePieces, { sender: now.agent, body, response })
      }
      await slots.run(store, goneOf(response)).finally(body.close)
    } finally {
      leave()
    }
  }
}

async function storeBatch(
  storePieces: StorePieces,
  { sender, body, response }: { sender: AgentIdentity; body: Body; response: ServerResponse },
): Promise<void> {
  const batch = decodeBatch(await body.decompressed())
  const mismatch = senderMismatch(sender, batch)
  if (mismatch) return refuse(response, 403, mismatch)
  const answers = await storePieces(sender, batch.pieces)
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(encodeAnswer(answers))
}

/** Aborts when the client has disconnected. */
function goneOf(response: ServerResponse): AbortSignal {
  const gone = new AbortController()
  response.on('close', () => gone.abort(new Unavailable('the client has disconnected')))
  return gone.signal
}

function senderMismatch({ pool, agent }: AgentIdentity, batch: Batch): string | undefined {
  if (batch.pool === pool && batch.agent === agent) return undefined
  return `the client certificate is that of agent ${pool}/${agent}, but the batch is from ${batch.pool}/${batch.agent}`
}

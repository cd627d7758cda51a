import { request as http } from 'node:http'
import { request as https } from 'node:https'
import { text } from 'node:stream/consumers'
import { InvalidInput } from '../../core/errors.ts'
import { isSafeEtcd, SAFE_ETCD } from '../../core/etcd-version.ts'
import type { Clock } from '../../platform/clock.ts'
import { deadline } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { Tls } from '../../store/etcd/connection.ts'

interface Options {
  endpoints: readonly string[]
  tls: Tls | undefined
  clock: Clock
  log: Log
}

const ANSWER_WITHIN_MS = 5_000
const RETRY_MS = 1_000

/**
 * Waits until a member of etcd answers, and judges every member that does. Throws InvalidInput that names a member that is too old. A member
 * that is away is judged when the next term begins.
 */
export async function requireSafeEtcd(options: Options, signal: AbortSignal): Promise<void> {
  const { endpoints, clock, log } = options
  for (let attempt = 0; ; attempt++) {
    const versions = await Promise.allSettled(endpoints.map(endpoint => versionOf(endpoint, options, signal)))
    signal.throwIfAborted()
    for (const [i, result] of versions.entries()) {
      if (result.status === 'fulfilled' && !isSafeEtcd(result.value))
        throw new InvalidInput(
          '--endpoints',
          `${endpoints[i]} is etcd ${result.value}, which is too old; use ${SAFE_ETCD}`,
        )
    }
    if (versions.some(({ status }) => status === 'fulfilled')) return
    const [first] = versions
    if (attempt === 0 && first?.status === 'rejected')
      log.warn({ endpoint: endpoints[0], error: messageOf(first.reason) }, 'etcd.unreachable')
    await clock.sleep(RETRY_MS, signal)
  }
}

/** The version of one member, as in `3.6.16`. */
async function versionOf(endpoint: string, { tls }: Options, signal: AbortSignal): Promise<string> {
  const limit = deadline(ANSWER_WITHIN_MS, signal)
  try {
    const body = await get(`${endpoint}/version`, tls, limit.signal)
    const { etcdserver } = JSON.parse(body) as { etcdserver?: string }
    return etcdserver ?? ''
  } finally {
    limit.done()
  }
}

function get(url: string, tls: Tls | undefined, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const send = url.startsWith('https:') ? https : http
    const call = send(url, { ...tls, signal, agent: false }, response => {
      const body = text(response)
      if (response.statusCode === 200) body.then(resolve, reject)
      else body.then(() => reject(new Error(`${url}: status ${response.statusCode}`)), reject)
    })
    call.on('error', reject)
    call.end()
  })
}

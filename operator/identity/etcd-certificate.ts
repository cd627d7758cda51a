import { X509Certificate } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { type Clock, systemClock } from '../../platform/clock.ts'
import { messageOf, Unavailable } from '../../platform/errors.ts'
import { accepted, type KubeApi } from '../../platform/kubernetes/api.ts'
import type { Log } from '../../platform/log.ts'
import type { Authority } from './authority.ts'

/**
 * Certificates for etcd in Secrets that pods mount: ca.crt, tls.crt, tls.key. One is for all members, as servers and as clients of each other.
 * etcd reads the files again for each connection, so a renewal needs no restart. The other is for the job that saves snapshots.
 */
export interface EtcdCertificateOptions {
  api: KubeApi
  namespace: string
  /** The Secret's name. */
  secret: string
  /** Names and addresses of the members. The first is the common name. Or the user of a client. */
  of: { names: readonly string[] } | { user: string }
  authority: Authority
  clock: Clock
  log: Log
}

interface Secret {
  metadata: { name: string; namespace: string; resourceVersion?: string }
  data?: Record<string, string>
}

const HOURS = 24 * 90
const LOOK_EVERY_MS = 3_600_000
const MAX_ATTEMPTS = 5

/** Issues the certificate unless the stored one is still good. To be called before etcd is dialled: its pods wait for the Secret. */
export async function ensureEtcdCertificate(options: EtcdCertificateOptions): Promise<void> {
  const { api, namespace, secret: name, of, authority, log } = options
  const names = 'names' in of ? of.names : []
  const all = `/api/v1/namespaces/${namespace}/secrets`
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const answer = await api.request({ path: `${all}/${name}` })
    const stored = answer.status === 404 ? undefined : (accepted(answer, `get secret ${name}`) as Secret)
    const why = whyRenew(pemIn(stored), { ...options, names })
    if (why === undefined) return
    const pair = await ('user' in of ? authority.client(of.user, HOURS) : authority.server([...names], HOURS))
    const data = encoded({ 'ca.crt': authority.caCert, 'tls.crt': pair.cert, 'tls.key': pair.key })
    const written = await api.request({
      path: stored ? `${all}/${name}` : all,
      method: stored ? 'PUT' : 'POST',
      body: {
        apiVersion: 'v1',
        kind: 'Secret',
        type: 'kubernetes.io/tls',
        metadata: { name, namespace },
        ...stored,
        data,
      },
    })
    // Another operator was faster.
    if (written.status === 409 || written.status === 404) continue
    accepted(written, `put secret ${name}`)
    log.info({ secret: name, why }, 'etcd.certified')
    return
  }
  throw new Unavailable(`Secret ${namespace}/${name} has changed during each of ${MAX_ATTEMPTS} attempts`)
}

/** Renews the certificate at two thirds of its life, until the signal aborts. Never throws. */
export async function renewEtcdCertificate(
  options: EtcdCertificateOptions,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await options.clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined)
    if (signal.aborted) return
    await ensureEtcdCertificate(options).catch((error: unknown) =>
      options.log.error({ secret: options.secret, error: messageOf(error) }, 'etcd.notCertified'),
    )
  }
}

/** Why a new certificate is needed. undefined: the stored one is good. */
export function whyRenew(
  pem: { ca: string; cert: string } | undefined,
  {
    names,
    authority,
    clock = systemClock,
  }: { names: readonly string[]; authority: Pick<Authority, 'caCert'>; clock?: Pick<Clock, 'now'> },
): string | undefined {
  if (!pem?.cert) return 'there is none'
  if (pem.ca.trim() !== authority.caCert.trim()) return 'it is of another authority'
  try {
    const certificate = new X509Certificate(pem.cert)
    if (!certificate.verify(new X509Certificate(authority.caCert).publicKey))
      return 'it is of another authority'
    if (!isDeepStrictEqual(namesOf(certificate), [...new Set(names)].toSorted()))
      return 'the names have changed'
    const from = certificate.validFromDate.getTime()
    const renewAt = from + ((certificate.validToDate.getTime() - from) * 2) / 3
    return clock.now() >= renewAt ? 'it is two thirds through its life' : undefined
  } catch (error) {
    return `it cannot be read: ${messageOf(error)}`
  }
}

function namesOf(certificate: X509Certificate): string[] {
  const names = (certificate.subjectAltName ?? '')
    .split(', ')
    .map(one => one.replace(/^(DNS|IP Address):/, ''))
    .filter(Boolean)
  return names.toSorted()
}

function pemIn(secret: Secret | undefined): { ca: string; cert: string } | undefined {
  const read = (key: string) => Buffer.from(secret?.data?.[key] ?? '', 'base64').toString('utf8')
  return secret && { ca: read('ca.crt'), cert: read('tls.crt') }
}

function encoded(files: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(files).map(([name, text]) => [name, Buffer.from(text).toString('base64')]),
  )
}

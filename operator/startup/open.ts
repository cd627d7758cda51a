import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { InvalidInput } from '../../core/errors.ts'
import { createKeys, type Keys } from '../../core/keys.ts'
import type { Clock } from '../../platform/clock.ts'
import { flock } from '../../platform/flock.ts'
import type { KubeApi } from '../../platform/kubernetes/api.ts'
import { connectKubernetes } from '../../platform/kubernetes/connect.ts'
import type { Log } from '../../platform/log.ts'
import { makeStateDirectory } from '../../platform/state-directory.ts'
import { resolveTrusted, type Trust } from '../../platform/trust.ts'
import { connectEtcd, type Etcd } from '../../store/etcd/client.ts'
import type { Tls } from '../../store/etcd/connection.ts'
import type { LogStore } from '../../store/log/port.ts'
import { type Access, createAccess, userOf } from '../identity/access.ts'
import { type Authority, BACKUP_USER, OPERATOR_USER, openAuthority } from '../identity/authority.ts'
import {
  type EtcdCertificateOptions,
  ensureEtcdCertificate,
  renewEtcdCertificate,
} from '../identity/etcd-certificate.ts'
import { type Identity, openIdentity } from '../identity/identity.ts'
import { fileKeyStore, type KeyStore, keysDir } from '../identity/keystore.ts'
import { secretKeyStore } from '../identity/keystore-secret.ts'
import type { OperatorConfig } from './config.ts'
import { openCheckedLogStore } from './open-log-store.ts'

/** Everything that the operator opens at its start and keeps from one term of leadership to the next. */
export interface Opened {
  logStore: LogStore
  /** Rejects if the log store must not be used: see open-log-store.ts. */
  logStoreChecked: Promise<void>
  /** undefined in directory mode. */
  api: KubeApi | undefined
  identity: Identity
  authority: Authority
  keys: Keys
  etcd: Etcd
  /** The operator's certificate for etcd. undefined: etcd takes connections without TLS. */
  tls: Tls | undefined
  /** undefined: etcd is used without certificates, and so without users. */
  access: Access | undefined
  close(): Promise<void>
}

/** How long the operator's own certificate for etcd is valid, h. It gets a new one at each start. */
const CERTIFICATE_HOURS = 24 * 365
const KEYS_SECRET = 'shellcron-keys'

export async function open(
  { config, clock, log }: { config: OperatorConfig; clock: Clock; log: Log },
  signal: AbortSignal,
): Promise<Opened> {
  const { mode } = config
  if (mode.kind === 'directory') await judgeDirectory(mode.directory, config.trust)
  const unlock = await lockStateDir(mode.stateDir, config.trust)
  const closing = new AbortController()
  const { logStore, checked } = await openCheckedLogStore(
    config.logStore,
    { stateDir: mode.stateDir, clock, log },
    AbortSignal.any([signal, closing.signal]),
  ).catch((error: unknown) => {
    unlock()
    throw error
  })
  const api = mode.kind === 'kubernetes' ? connectKubernetes(mode.kubeconfig) : undefined
  const store = await keyStoreOf(config, api)
  const identity = await openIdentity(store)
  const authority = await openAuthority(store)
  for (const certificate of etcdCertificatesOf({ config, clock, log }, { api, authority })) {
    await ensureEtcdCertificate(certificate)
    void renewEtcdCertificate(certificate, closing.signal)
  }
  const tls = await tlsOf(config, authority)
  const etcd = connectEtcd({ endpoints: config.endpoints, log, ...(tls ? { tls } : {}) })
  const keys = createKeys(config.prefix)
  const access =
    tls &&
    createAccess({
      auth: etcd.auth,
      keys,
      ownUser: userOf(tls.cert),
      backups: config.backupSecret !== undefined,
    })
  const close = async () => {
    closing.abort(new Error('the operator ends'))
    await etcd.close()
    await logStore.close()
    unlock()
  }
  return { logStore, logStoreChecked: checked, api, identity, authority, keys, etcd, tls, access, close }
}

function etcdCertificatesOf(
  { config, clock, log }: { config: OperatorConfig; clock: Clock; log: Log },
  { api, authority }: { api: KubeApi | undefined; authority: Authority },
): EtcdCertificateOptions[] {
  const { mode, etcdCertificate: members, backupSecret } = config
  if (mode.kind !== 'kubernetes' || !api) return []
  const common = { api, namespace: mode.namespace, authority, clock, log }
  return [
    ...(members ? [{ ...common, secret: members.secret, of: { names: members.names } }] : []),
    ...(backupSecret === undefined ? [] : [{ ...common, secret: backupSecret, of: { user: BACKUP_USER } }]),
  ]
}

/** Other users must not be able to replace the directory of the objects. Later its owner and its mode are judged at every look. */
async function judgeDirectory(directory: string, trust: Trust): Promise<void> {
  const resolved = await resolveTrusted(directory, { trust })
  if (resolved.kind === 'distrusted') throw new InvalidInput('--directory', resolved.why)
}

/** Creates the directory. Returns the function that releases the lock. Throws InvalidInput if other users could change what is in it. */
async function lockStateDir(stateDir: string, trust: Trust): Promise<() => void> {
  const made = await makeStateDirectory(stateDir, trust)
  if (made.kind === 'distrusted') throw new InvalidInput('--state', made.why)
  const lock = await flock(join(stateDir, 'operator.lock'))
  if (lock.kind === 'held')
    throw new InvalidInput('--state', `${stateDir} is in use by another operator; use another directory`)
  return () => void (lock.kind === 'locked' && lock.release())
}

async function keyStoreOf({ mode }: OperatorConfig, api: KubeApi | undefined): Promise<KeyStore> {
  return mode.kind === 'kubernetes' && api
    ? secretKeyStore({ api, namespace: mode.namespace, name: KEYS_SECRET })
    : fileKeyStore(keysDir(mode.stateDir))
}

async function tlsOf({ etcdIdentity, endpoints }: OperatorConfig, authority: Authority) {
  if (etcdIdentity !== undefined) return readTls(etcdIdentity)
  if (!endpoints.some(endpoint => endpoint.startsWith('https:'))) return undefined
  return { ca: authority.caCert, ...(await authority.client(OPERATOR_USER, CERTIFICATE_HOURS)) }
}

/** Reads ca.crt, tls.crt and tls.key of a directory. */
export async function readTls(dir: string): Promise<Tls> {
  const read = async (name: string) => {
    try {
      return await readFile(join(dir, name), 'utf8')
    } catch (error) {
      throw new InvalidInput(
        '--etcd-identity',
        `cannot read ${name} in ${dir}; it must hold ca.crt, tls.crt and tls.key`,
        { cause: error },
      )
    }
  }
  return { ca: await read('ca.crt'), cert: await read('tls.crt'), key: await read('tls.key') }
}

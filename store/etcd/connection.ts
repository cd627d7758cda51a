import { Etcd3 } from 'etcd3'
import { messageOf } from '../../platform/errors.ts'

/** PEM texts. */
export interface Tls {
  ca: string
  cert: string
  key: string
}

export type Service = 'Auth' | 'KV' | 'Watch' | 'Lease' | 'Maintenance'

/** The parts of a gRPC client and its calls that are used here. etcd3 does not export their types. */
interface RawCall {
  cancel(): void
}

export interface RawStream extends RawCall {
  write(message: unknown): void
  end(): void
  on(event: 'data', listener: (message: never) => void): this
  on(event: 'error', listener: (error: Error) => void): this
  on(event: 'end', listener: () => void): this
}

interface RawChannel {
  getConnectivityState(tryToConnect: boolean): number
  watchConnectivityState(current: number, deadline: number, callback: () => void): void
}

interface RawMetadata {
  set(name: string, value: string): void
}

interface RawClient {
  getChannel(): RawChannel
  makeUnaryRequest(
    path: string,
    serialize: (request: Buffer) => Buffer,
    deserialize: (answer: Buffer) => Buffer,
    request: Buffer,
    callback: (error: Error | null, answer?: Buffer) => void,
  ): RawCall
  [method: string]: unknown
}

type UnaryMethod = (
  request: unknown,
  metadata: RawMetadata,
  options: object,
  callback: (error: Error | null, answer: unknown) => void,
) => RawCall

type DownloadMethod = (
  request: unknown,
  metadata: RawMetadata,
  options: object,
) => RawCall & AsyncIterable<unknown>

type StreamMethod = (metadata: RawMetadata, options: object) => RawStream

const ready = 2
const transientFailure = 3
const shutdown = 4

/**
 * Gives access to etcd3's raw gRPC clients. It bypasses etcd3's wrapper of a call, which repeats transactions, breaks circuits, and closes
 * a host's channels when one call fails. etcd3 does this in `exec` and around the callback of `withConnection`; this callback only returns
 * the client and cannot fail.
 */
class RawEtcd extends Etcd3 {
  client(service: Service): Promise<{ client: RawClient; metadata: RawMetadata }> {
    return this.pool.withConnection(service, ({ client, metadata }) => ({
      client: client as unknown as RawClient,
      metadata,
    }))
  }
}

/** gRPC shares a TCP connection between equal channels of a process. A unique user agent gives each `Connection` its own. */
let connections = 0

/** One endpoint over one TCP connection. gRPC reconnects when it breaks. */
export class Connection {
  readonly endpoint: string
  readonly #etcd: RawEtcd
  readonly #closing = new AbortController()

  constructor(endpoint: string, tls: Tls | undefined) {
    connections += 1
    this.endpoint = endpoint
    this.#etcd = new RawEtcd({
      hosts: [endpoint],
      ...(tls && {
        credentials: {
          rootCertificate: Buffer.from(tls.ca),
          certChain: Buffer.from(tls.cert),
          privateKey: Buffer.from(tls.key),
        },
      }),
      grpcOptions: {
        'grpc.primary_user_agent': `shellcron-${connections}`,
        // No retries by gRPC itself, and no DNS records that could enable them.
        'grpc.enable_retries': 0,
        'grpc.service_config_disable_resolution': 1,
        'grpc.enable_http_proxy': 0,
        // The answer to a committed transaction must not be rejected for its size.
        'grpc.max_receive_message_length': -1,
        'grpc.max_send_message_length': -1,
        // etcd disconnects clients that ping more often than every 5 s, or without a call.
        'grpc.keepalive_time_ms': 10_000,
        'grpc.keepalive_timeout_ms': 5_000,
        'grpc.keepalive_permit_without_calls': 0,
        'grpc.initial_reconnect_backoff_ms': 200,
        'grpc.max_reconnect_backoff_ms': 3_000,
        // A member that is a pod has another address after its restart. The default, 30 s, is longer than several restarts take.
        'grpc.dns_min_time_between_resolutions_ms': 1_000,
      },
    })
  }

  /** Resolves when requests can be sent. Rejects with the last failure, or the signal's reason. Sends only a status call. */
  async ready(service: Service, signal: AbortSignal): Promise<void> {
    const { client } = await this.#etcd.client(service)
    const channel = client.getChannel()
    for (;;) {
      signal.throwIfAborted()
      const state = channel.getConnectivityState(true)
      if (state === ready) return
      if (state === shutdown) throw new Error(`the connection to ${this.endpoint} is closed`)
      // The state has no reason; the error of a call that cannot be sent has one.
      if (state === transientFailure) await this.unary('Maintenance', 'status', {}, signal)
      else await stateChange(channel, state, signal)
    }
  }

  /** Sends one request, at most once. Rejects with gRPC's error, or with the signal's reason when it aborts. */
  async unary<T>(service: Service, method: string, request: unknown, signal: AbortSignal): Promise<T> {
    const { client, metadata } = await this.#etcd.client(service)
    const send = client[method] as UnaryMethod
    return await answerOf<T>(signal, done => send.call(client, request, metadata, {}, done))
  }

  /** The raw bytes of an answer, for fields that etcd3's protocol file lacks. `path`: `/etcdserverpb.<Service>/<Method>`. */
  async bytes(service: Service, path: string, signal: AbortSignal): Promise<Buffer> {
    const { client } = await this.#etcd.client(service)
    const asIs = (bytes: Buffer) => bytes
    return await answerOf<Buffer>(signal, done =>
      client.makeUnaryRequest(path, asIs, asIs, Buffer.alloc(0), done),
    )
  }

  /** The messages by which a call is answered. Rejects with gRPC's error, or with the signal's reason when it aborts. */
  async *messages<T>(
    service: Service,
    method: string,
    { request = {}, signal }: { request?: object; signal: AbortSignal },
  ): AsyncGenerator<T> {
    const { client, metadata } = await this.#etcd.client(service)
    signal.throwIfAborted()
    const call = (client[method] as DownloadMethod).call(client, request, metadata, {})
    const onAbort = () => call.cancel()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      for await (const message of call) yield message as T
    } catch (error) {
      signal.throwIfAborted()
      throw error
    } finally {
      signal.removeEventListener('abort', onAbort)
      call.cancel()
    }
  }

  /** A bidirectional stream. `needsLeader`: etcd ends it when this member loses its leader. */
  async stream(service: Service, method: string, needsLeader: boolean): Promise<RawStream> {
    const { client, metadata } = await this.#etcd.client(service)
    if (needsLeader) metadata.set('hasleader', 'true')
    const stream = (client[method] as StreamMethod).call(client, metadata, {})
    // Without a listener Node throws an error that comes after the end.
    return stream.on('error', () => undefined)
  }

  /** Aborts when this connection is closed. Calls in flight continue until their own deadline. */
  get closed(): AbortSignal {
    return this.#closing.signal
  }

  close(): void {
    this.#etcd.close()
    this.#closing.abort(new Error('connection closed'))
  }
}

/** Starts a call. Cancels it and rejects with the signal's reason when the signal aborts. */
function answerOf<T>(
  signal: AbortSignal,
  start: (done: (error: Error | null, answer?: unknown) => void) => RawCall,
): Promise<T> {
  signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      reject(signal.reason)
      call.cancel()
    }
    const call = start((error, answer) => {
      signal.removeEventListener('abort', onAbort)
      if (error) reject(error)
      else resolve(answer as T)
    })
    signal.addEventListener('abort', onAbort, { once: true })
  })
}

function stateChange(channel: RawChannel, state: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      channel.watchConnectivityState(state, Infinity, () => {
        signal.removeEventListener('abort', onAbort)
        resolve()
      })
    } catch (error) {
      reject(new Error(messageOf(error), { cause: error }))
    }
  })
}

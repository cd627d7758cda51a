import { createPublicKey } from 'node:crypto'
import type { Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import { type Identity, readIdentity } from '../startup/identity.ts'
import { RefusedByOperator } from './ask-operator.ts'
import { renew } from './enrol.ts'

/**
 * Keeps an agent's identity fresh while it runs: the certificate is renewed when two thirds of its life have passed, and at once when the
 * pool has a key that this agent does not have, because another identity of the pool has ended.
 *
 *   sleep ─▶ two thirds, or another pool key ─▶ POST /v1/renew ─▶ files; after two thirds etcd and ingest too ─▶ sleep
 *     ▲                                              └ no answer: again in seconds; refused: again in a minute
 *
 * For another pool key the connections stay: otherwise the whole pool would reconnect and list at once.
 */
export interface KeepOptions {
  /** The identity directory. */
  dir: string
  /** The operator's URL. undefined: nothing is renewed. */
  operator: string | undefined
  identity: Identity
  clock: Clock
  log: Log
  /** From 0 to 1. */
  random(): number
  /** Gets the identity whose certificate replaces the one in use. */
  onRenewed(identity: Identity): void
  /** The operator has refused: the identity has ended. */
  onEnded(why: string): void
}

export interface KeptIdentity {
  current(): Identity
  /** The public key with which the operator seals now, PEM. */
  sealKeyIs(pem: string): void
  /** Whether the pool seals with a key that this agent does not have yet. It then claims nothing for the moment. */
  lacksPoolKey(): boolean
  /** Renews soon: etcd does not admit the agent. */
  doubt(): void
  run(signal: AbortSignal): Promise<void>
}

const RETRY_MS = 2_000
const REFUSED_MS = 60_000
/** Timers overflow at 24.8 days. */
const LONGEST_SLEEP_MS = 3_600_000

export function keepIdentity(options: KeepOptions): KeptIdentity {
  return new Keeper(options)
}

class Keeper implements KeptIdentity {
  readonly #options: KeepOptions
  #identity: Identity
  /** Whose certificate etcd and the ingest have. */
  #inUse: Identity
  #renewAt: number
  #sealKey = ''
  #own: string
  readonly #jitter: number
  #wake = new AbortController()

  constructor(options: KeepOptions) {
    this.#options = options
    this.#identity = options.identity
    this.#inUse = options.identity
    this.#jitter = options.random() * 0.05
    this.#own = newestPublicKey(options.identity)
    this.#renewAt = this.#twoThirds()
  }

  current(): Identity {
    return this.#identity
  }

  sealKeyIs(pem: string): void {
    this.#sealKey = pem.trim()
    if (this.lacksPoolKey()) this.#soon()
  }

  lacksPoolKey(): boolean {
    return this.#options.operator !== undefined && this.#sealKey !== '' && this.#sealKey !== this.#own
  }

  doubt(): void {
    this.#soon()
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, operator: url } = this.#options
    if (url === undefined) return
    while (!signal.aborted) {
      const wait = Math.min(this.#renewAt - clock.now(), LONGEST_SLEEP_MS)
      this.#wake = new AbortController()
      if (wait > 0)
        await clock.sleep(wait, AbortSignal.any([signal, this.#wake.signal])).catch(() => undefined)
      if (!signal.aborted && clock.now() >= this.#renewAt) await this.#renew(url, signal)
    }
  }

  async #renew(url: string, signal: AbortSignal): Promise<void> {
    const { dir, clock, log, onRenewed, onEnded } = this.#options
    try {
      await renew({ url, dir }, signal)
      this.#identity = await readIdentity(dir)
      this.#own = newestPublicKey(this.#identity)
      if (clock.now() >= this.#twoThirds()) {
        this.#inUse = this.#identity
        onRenewed(this.#identity)
      }
      // The operator's record of the pool may be newer than its answer.
      this.#renewAt = this.lacksPoolKey() ? clock.now() + RETRY_MS : this.#twoThirds()
      log.info({ validTo: new Date(this.#identity.validTo).toISOString() }, 'identity.renewed')
    } catch (error) {
      if (signal.aborted) return
      const isRefused = error instanceof RefusedByOperator
      this.#renewAt = clock.now() + (isRefused ? REFUSED_MS : RETRY_MS)
      log[isRefused ? 'error' : 'warn'](
        { error: messageOf(error) },
        isRefused ? 'identity.ended' : 'identity.notRenewed',
      )
      if (isRefused) onEnded(error.message)
    }
  }

  /** Jittered by up to 5 %, so that agents that have joined together do not renew together. */
  #twoThirds(): number {
    const { validFrom, validTo } = this.#inUse
    return validFrom + (validTo - validFrom) * (2 / 3 - this.#jitter)
  }

  #soon(): void {
    this.#renewAt = Math.min(this.#renewAt, this.#options.clock.now())
    this.#wake.abort()
  }
}

function newestPublicKey({ poolKeys: [key] }: Identity): string {
  return key ? createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString().trim() : ''
}

import type { IWatchResponse } from 'etcd3'
import { type Clock, deadline } from '../../platform/clock.ts'
import type { ClusterMember, ClusterMembers } from './cluster-members.ts'
import type { RawStream } from './connection.ts'
import { EtcdUnavailable } from './errors.ts'
import { rangeOf, type WatchEvent, watchEventOf } from './messages.ts'
import type { KeyRange } from './types.ts'

/** Called by a watch. After `lost` nothing more is called: list again, and watch from that revision. */
export interface WatchListener {
  /** Events of whole revisions, in order. Without `now` the key was deleted. */
  events(events: WatchEvent[], revision: number): void
  /** All events up to this revision were delivered. */
  progress(revision: number): void
  lost(reason: Error): void
}

interface Watch {
  readonly keys: KeyRange
  readonly from: number
  readonly listener: WatchListener
  /** Fragments of one answer that etcd split for its size. */
  parts: WatchEvent[]
  heardAt: number
  /** How many progress requests were sent before the watch was created. Answers to those do not prove it alive. */
  requestsBefore: number
}

export interface WatchesOptions {
  members: ClusterMembers
  clock: Clock
  connectTimeoutMs: number
  /** A watch without an answer for this long is lost, with the stream. */
  deadlineMs: number
}

/**
 * All watches of this client share one stream, because streams cost a member memory. It opens with the first watch and closes with the
 * last. Every watch is lost when the stream breaks, when the member loses its leader, or when a watch gets no answer within the deadline
 * although progress was requested. No watch is resumed, because etcd may have compacted the missed events.
 */
export class Watches {
  readonly #options: WatchesOptions
  readonly #watches = new Map<string, Watch>()
  /** Ids in the order of creation. etcd answers a refused creation without its id. */
  #creating: string[] = []
  #stream: RawStream | undefined
  #opening = false
  #stop = new AbortController()
  #progressRequests = 0
  #lastId = 0

  constructor(options: WatchesOptions) {
    this.#options = options
  }

  /** Watches keys from a revision on. Returns a function that cancels the watch. */
  open(keys: KeyRange, from: number, listener: WatchListener): () => void {
    this.#lastId += 1
    const id = String(this.#lastId)
    const watch: Watch = { keys, from, listener, parts: [], heardAt: 0, requestsBefore: Infinity }
    this.#watches.set(id, watch)
    if (this.#stream) this.#create(id, watch)
    else if (!this.#opening) void this.#openStream()
    return () => this.#cancel(id)
  }

  /** All watches are lost, for this reason. */
  close(reason: Error): void {
    const stream = this.#stream
    this.#stream = undefined
    this.#stop.abort()
    stream?.cancel()
    const lost = [...this.#watches.values()]
    this.#watches.clear()
    this.#creating = []
    for (const watch of lost) watch.listener.lost(reason)
  }

  async #openStream(): Promise<void> {
    this.#opening = true
    const limit = deadline(this.#options.connectTimeoutMs)
    try {
      const member = await this.#options.members.connected('Watch', limit.signal)
      const stream = await member.connection.stream('Watch', 'watch', true)
      this.#opening = false
      this.#attach(stream, member)
    } catch (error) {
      this.#opening = false
      this.close(error instanceof Error ? error : new Error(String(error), { cause: error }))
    } finally {
      limit.done()
    }
  }

  #attach(stream: RawStream, member: ClusterMember): void {
    if (this.#watches.size === 0) {
      stream.cancel()
      return
    }
    this.#stream = stream
    this.#stop = new AbortController()
    const { signal } = this.#stop
    const end = (error: Error) => {
      if (this.#stream !== stream) return
      this.#options.members.avoid(member, error)
      this.close(new EtcdUnavailable('Unreachable', `etcd watch: ${error.message}`, { cause: error }))
    }
    const { closed } = member.connection
    closed.addEventListener('abort', () => end(new Error('connection closed')), { signal })
    stream
      .on('data', (answer: IWatchResponse) => this.#onAnswer(stream, answer))
      .on('error', end)
      .on('end', () => end(new Error('the member ended the stream')))
    for (const [id, watch] of this.#watches) this.#create(id, watch)
    void this.#watchdog(stream, member, end)
  }

  /** Requests progress, and ends a stream that does not answer. */
  async #watchdog(stream: RawStream, member: ClusterMember, end: (error: Error) => void): Promise<void> {
    const { clock, deadlineMs } = this.#options
    while (this.#stream === stream) {
      await clock.sleep(deadlineMs / 4, this.#stop.signal).catch(() => undefined)
      if (this.#stream !== stream) return
      const oldest = clock.monotonic() - deadlineMs
      if ([...this.#watches.values()].some(watch => watch.heardAt < oldest)) {
        this.#options.members.suspect(member)
        end(new Error(`no answer for ${deadlineMs} ms`))
        return
      }
      this.#progressRequests += 1
      stream.write({ progress_request: {} })
    }
  }

  #create(id: string, watch: Watch): void {
    watch.heardAt = this.#options.clock.monotonic()
    this.#creating.push(id)
    this.#stream?.write({
      create_request: {
        ...rangeOf(watch.keys),
        start_revision: watch.from,
        watch_id: id,
        progress_notify: true,
        fragment: true,
      },
    })
  }

  #cancel(id: string): void {
    if (!this.#watches.delete(id)) return
    if (this.#watches.size > 0) this.#stream?.write({ cancel_request: { watch_id: id } })
    else this.close(new Error('the last watch was cancelled'))
  }

  #onAnswer(stream: RawStream, answer: IWatchResponse): void {
    if (this.#stream !== stream) return
    const now = this.#options.clock.monotonic()
    if (answer.created) {
      const id = this.#creating.shift() ?? ''
      const watch = this.#watches.get(id)
      if (watch) watch.requestsBefore = this.#progressRequests
      if (answer.canceled) this.#lose(id, answer)
      return
    }
    if (answer.watch_id === '-1') {
      for (const watch of this.#watches.values())
        if (watch.requestsBefore < this.#progressRequests) this.#onProgress(watch, answer, now)
      return
    }
    const watch = this.#watches.get(answer.watch_id)
    if (!watch) return
    if (answer.canceled) this.#lose(answer.watch_id, answer)
    else if (answer.events.length > 0) this.#onEvents(watch, answer, now)
    else this.#onProgress(watch, answer, now)
  }

  #onProgress(watch: Watch, answer: IWatchResponse, now: number): void {
    watch.heardAt = now
    watch.listener.progress(Number(answer.header.revision))
  }

  #onEvents(watch: Watch, answer: IWatchResponse, now: number): void {
    watch.heardAt = now
    for (const event of answer.events) watch.parts.push(watchEventOf(event))
    if (answer.fragment) return
    const events = watch.parts
    watch.parts = []
    watch.listener.events(events, Number(answer.header.revision))
  }

  #lose(id: string, answer: IWatchResponse): void {
    const watch = this.#watches.get(id)
    if (!watch) return
    this.#watches.delete(id)
    const compacted = answer.compact_revision !== '0'
    const why = compacted ? `compacted up to ${answer.compact_revision}` : answer.cancel_reason
    watch.listener.lost(
      new EtcdUnavailable(compacted ? 'Compacted' : 'Unreachable', `etcd watch cancelled: ${why}`),
    )
  }
}

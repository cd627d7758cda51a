import { systemClock } from '../../platform/clock.ts'
import { firstBatch } from './batch-limits.ts'
import type { Etcd } from './client.ts'
import type { Txn, TxnAnswer } from './types.ts'

export interface Batcher {
  /**
   * Like `Etcd.txn`, but in one request with others. Rejects with EtcdAmbiguous (it may have been applied), or with EtcdUnavailable or
   * EtcdRefused (it was not).
   */
  txn(txn: Txn): Promise<TxnAnswer>
}

interface Waiting {
  txn: Txn
  resolve: (answer: TxnAnswer) => void
  reject: (error: Error) => void
}

/**
 * Sends as one request the transactions of one turn of the event loop, or of `maxDelayMs`, or those that came while a request was in
 * flight. An agent with a hundred fires at midnight sends one request.
 */
export function createBatcher(etcd: Pick<Etcd, 'batch'>, options: { maxDelayMs?: number } = {}): Batcher {
  const { maxDelayMs = 0 } = options
  let queue: Waiting[] = []
  let draining = false

  async function drain(): Promise<void> {
    if (maxDelayMs > 0) await systemClock.sleep(maxDelayMs)
    else await new Promise(setImmediate)
    while (queue.length > 0) {
      const count = firstBatch(queue.slice(0, 200).map(({ txn }) => txn))
      const sent = queue.slice(0, count)
      queue = queue.slice(count)
      await send(sent)
    }
    draining = false
  }

  async function send(sent: readonly Waiting[]): Promise<void> {
    try {
      const answers = await etcd.batch(sent.map(({ txn }) => txn))
      for (const [index, { resolve, reject }] of sent.entries()) {
        const answer = answers[index]
        if (!answer) reject(new Error('etcd answered fewer transactions than the batch has'))
        else if ('ambiguous' in answer) reject(answer.ambiguous)
        else resolve(answer)
      }
    } catch (error) {
      for (const { reject } of sent) reject(error as Error)
    }
  }

  return {
    txn: txn =>
      new Promise((resolve, reject) => {
        queue.push({ txn, resolve, reject })
        if (draining) return
        draining = true
        void drain()
      }),
  }
}

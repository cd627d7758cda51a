import type { BatchPiece } from '../../core/output/batch.ts'
import { outputBytes } from '../../core/output/chunks.ts'
import type { Log } from '../../platform/log.ts'
import type { BatchItem } from './gather-batch.ts'
import type { Launch } from './launch.ts'
import type { Launches } from './launches.ts'
import type { Losses } from './losses.ts'
import type { SendAnswer } from './send-until-answered.ts'
import type { UnknownAttempts } from './unknown-attempts.ts'

/**
 * Applies the operator's answers to a batch. The agent continues from the position that the operator names, whatever was sent: an answer
 * may have been lost, the agent may have restarted, or the log store may have been restored from a backup.
 */
export type ApplyAnswers = (batch: readonly BatchItem[], answers: readonly SendAnswer[]) => BatchItem[]

export interface ApplyAnswersOptions {
  launches: Pick<Launches, 'acknowledge'>
  losses: Pick<Losses, 'acknowledge'>
  unknownAttempts: Pick<UnknownAttempts, 'mayBecomeKnown'>
  log: Log
  /** The launch may have more output to send. */
  enqueue(launch: Launch): void
  /** The launch is running and has nothing more to send now. */
  poll(launch: Launch): void
  /** The operator cannot read the output of the launch. */
  onUnreadable(launch: Launch, why: string): void
}

/** The function returns the items of attempts that the operator does not know yet. */
export function createApplyAnswers(options: ApplyAnswersOptions): ApplyAnswers {
  const { launches, losses, unknownAttempts, log } = options
  return (batch, answers) => {
    const complete: Launch[] = []
    const reportedLosses: string[] = []
    const unknown: BatchItem[] = []
    for (const [index, item] of batch.entries()) {
      const { source, piece } = item
      const answer = answers[index]
      if (!answer) continue
      if (answer.refused) log.error({ run: piece.run, why: answer.refused }, 'output.refused')
      if (answer.later && unknownAttempts.mayBecomeKnown(source)) unknown.push(item)
      else if ('loss' in source) reportedLosses.push(source.loss.launch)
      else if (isComplete(options, source.launch, { piece, answer })) complete.push(source.launch)
    }
    launches.acknowledge(complete)
    if (reportedLosses.length > 0)
      losses.acknowledge(reportedLosses).catch(error => {
        // They are reported again, which is harmless: the operator has them already.
        log.warn({ error: String(error) }, 'output.lossNotRemoved')
      })
    return unknown
  }
}

/** Whether the launch has nothing more to send, ever. Otherwise arranges for it to be read again. */
function isComplete(
  { enqueue, poll, onUnreadable }: ApplyAnswersOptions,
  launch: Launch,
  { piece, answer }: { piece: BatchPiece; answer: SendAnswer },
): boolean {
  if (answer.isMalformed) {
    // A running launch is read again when it ends.
    if (launch.record) onUnreadable(launch, answer.refused ?? '')
    return false
  }
  updateProgress(launch, piece, answer)
  if (answer.refused || answer.ended || (piece.end && answer.stored >= piece.next)) return true
  // Without a known position there is nothing to poll from. The next piece asks for the position.
  if (launch.isRunning && launch.storedOffset !== undefined) poll(launch)
  else if (!launch.acknowledged) enqueue(launch)
  return false
}

function updateProgress(
  launch: Launch,
  { offset, next, chunks }: BatchPiece,
  { stored, bytes }: SendAnswer,
): void {
  if (launch.storedOffset === undefined) launch.storedBytes = bytes
  else if (stored === next && launch.storedBytes !== undefined) launch.storedBytes += outputBytes(chunks)
  // At an unexpected position the stored bytes are not known, so the agent asks for them.
  const isKnown = launch.storedOffset === undefined || stored === next || stored === offset
  launch.storedOffset = isKnown ? stored : undefined
}

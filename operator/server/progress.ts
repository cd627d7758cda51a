import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../platform/clock.ts'
import { Unavailable } from '../../platform/errors.ts'

/** The least that must arrive of a body that is being read, in each window. A slow client holds its place for one window only. */
const WINDOW_MS = 5_000
const LEAST_BYTES = 5_000

/** Rejects with Unavailable as soon as the body of a request arrives too slowly. Never resolves; `over` ends the watch. */
export async function tooSlow(request: IncomingMessage, clock: Clock, over: AbortSignal): Promise<never> {
  for (let before = request.socket.bytesRead; ; ) {
    await clock.sleep(WINDOW_MS, over)
    const { bytesRead } = request.socket
    if (bytesRead - before < LEAST_BYTES && !request.complete)
      throw new Unavailable(
        `the body of the request arrives too slowly: ${bytesRead - before} bytes in ${WINDOW_MS / 1_000} s, at least ${LEAST_BYTES} are needed; check the network`,
      )
    before = bytesRead
  }
}

import { Duplex, PassThrough } from 'node:stream'
import { type KubeConfig, PortForward } from '@kubernetes/client-node'
import { messageOf, Unavailable } from '../../platform/errors.ts'

/** A connection to a port of a pod, through the API server. It needs the right to create pods/portforward. */
export async function forwardPort(
  config: KubeConfig,
  { namespace, pod, port }: { namespace: string; pod: string; port: number },
): Promise<Duplex> {
  const fromPod = new PassThrough()
  const toPod = new PassThrough()
  const troubles = new PassThrough()
  const opened = new PortForward(config).portForward(namespace, pod, [port], fromPod, troubles, toPod)
  const webSocket = await opened.catch((error: unknown) => {
    throw new Unavailable(
      `cannot forward a port to pod ${namespace}/${pod}: ${messageOf(error)}. With 403, bind the Role shellcron-user of namespace ${namespace} to the user, or name the operator's address with --server (docs/cli.md)`,
      { cause: error },
    )
  })
  // With retries the client would return a function.
  if (typeof webSocket === 'function') throw new Unavailable('the port-forward was not opened')
  const stream = Duplex.from({ readable: fromPod, writable: toPod })
  webSocket.addEventListener('close', () => void fromPod.end())
  stream.on('close', () => webSocket.close())
  troubles.on('data', (text: Buffer) => stream.destroy(new Unavailable(`port-forward: ${text.toString()}`)))
  return stream
}

import { createReadStream } from 'node:fs'
import { request } from 'node:http'
import { pipeline } from 'node:stream/promises'

export interface TestEngineContainer {
  name: string
  labels?: Record<string, string>
  /** Default: busybox that sleeps. */
  image?: string
  argv?: string[]
  /** In bytes. */
  memory?: number
}

/** The path of Docker's API, at the helper's version. */
const API = 'http://engine/v1.40'

/** The API of a Docker engine or a Podman. */
export function engineApi(socket: string) {
  const ask = (method: string, path: string, body?: string | Body) => call(socket, { method, path, body })
  return {
    ask,
    /** Loads the images of an archive. */
    load: (file: string) => ask('POST', '/images/load', { file }),
    async start(
      { name, labels = {}, image = 'localhost/busybox:1', argv, memory = 0 }: TestEngineContainer,
      cgroupParent: string,
    ): Promise<void> {
      const order = {
        Image: image,
        Labels: labels,
        Cmd: argv ?? ['/bin/sleep', '2147483647'],
        HostConfig: { NetworkMode: 'host', CgroupParent: cgroupParent, Memory: memory },
      }
      await ask('POST', `/containers/create?name=${name}`, JSON.stringify(order))
      await ask('POST', `/containers/${name}/start`)
    },
  }
}

interface Body {
  file: string
}

async function call(
  socketPath: string,
  { method, path, body }: { method: string; path: string; body: string | Body | undefined },
): Promise<string> {
  const type = typeof body === 'object' ? 'application/x-tar' : 'application/json'
  const asked = request(`${API}${path}`, { socketPath, method, headers: { 'Content-Type': type } })
  const answered = new Promise<{ status: number; text: string }>((resolve, reject) => {
    asked.once('error', reject)
    asked.once('response', response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', piece => void (text += piece))
      response.once('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
  })
  if (typeof body === 'object') await pipeline(createReadStream(body.file), asked)
  else asked.end(body)
  const { status, text } = await answered
  if (status >= 400) throw new Error(`${method} ${path}: ${text}`)
  return text
}

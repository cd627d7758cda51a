import { existsSync, statSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLog } from '../../platform/log.ts'
import { socketPath } from '../../platform/unix-socket.ts'
import { serveApi } from './server.ts'

let dir: string
let umask: number

beforeEach(async () => {
  umask = process.umask(0)
  dir = await mkdtemp(join(tmpdir(), 'shellcron-api-'))
})
afterEach(async () => {
  process.umask(umask)
  await rm(dir, { recursive: true, force: true })
})

const OTHERS = 0o077
const isOpenToOthers = (path: string) => existsSync(path) && (statSync(path).mode & OTHERS) !== 0

test('no other user can open the socket at any moment, whatever the umask', async () => {
  const path = join(dir, 'operator.sock')
  let wasOpen: boolean | undefined
  const api = await serveApi(
    path,
    [
      server =>
        void server.addHook('onListen', async () => {
          // It accepts connections from now on.
          wasOpen = isOpenToOthers(path)
        }),
    ],
    silentLog,
  )
  expect(wasOpen).toBe(false)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(await readdir(dir)).toEqual(['operator.sock'])
  await api.close()
  expect(await readdir(dir)).toEqual([])
})

test('it removes what an operator left that was killed while it made the socket', async () => {
  await mkdir(join(dir, '.operator.sock'))
  await writeFile(join(dir, '.operator.sock', 's'), '')
  const api = await serveApi(join(dir, 'operator.sock'), [], silentLog)
  expect(await readdir(dir)).toEqual(['operator.sock'])
  await api.close()
})

test('it serves on a path that is longer than that of a socket, in place of a socket that was left', async () => {
  const deep = await mkdtemp(join(dir, `${'d'.repeat(120)}-`))
  const path = join(deep, 'operator.sock')
  const serve = () => serveApi(path, [server => void server.get('/', async () => 'served')], silentLog)
  const left = await serve()
  const api = await serve()
  const short = socketPath(path)
  expect(await get(short.path)).toBe('served')
  short.done()
  await Promise.all([left.close(), api.close()])
})

function get(socket: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath: socket, path: '/' }, response => {
      response.setEncoding('utf8').on('data', resolve)
    })
    sent.on('error', reject)
    sent.end()
  })
}

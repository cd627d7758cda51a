import { expect, test } from 'vitest'
import { listenAddress, urlOf } from './listen.ts'

test.each([
  ['10.0.0.5', 'https://10.0.0.5:9443'],
  ['10.0.0.5:8443', 'https://10.0.0.5:8443'],
  ['[fd00::5]:8443', 'https://[fd00::5]:8443'],
  ['fd00::5', 'https://[fd00::5]:9443'],
  ['localhost:1', 'https://localhost:1'],
])('other servers reach --listen %s at %s', async (text, url) => {
  const listen = await listenAddress(text)
  expect(urlOf(listen, listen.port)).toBe(url)
})

test.each(['', ':9443', '10.0.0.5:0', '10.0.0.5:99999', '0.0.0.0', '[::]:9443'])(
  '--listen %j is refused',
  async text => {
    await expect(listenAddress(text)).rejects.toMatchObject({ field: '--listen' })
  },
)

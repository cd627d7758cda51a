import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

/** What the README tells people to type is typed here. `make up` and `make test` have tests of their own: this is one of the latter. */
const root = fileURLToPath(new URL('../../', import.meta.url))
const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
const commands = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)]
  .flatMap(([, block = '']) => block.trim().split('\n'))
  .filter(line => !line.startsWith('make '))

test('there are commands to be typed', () => {
  expect(commands.length).toBeGreaterThanOrEqual(3)
})

test.each(commands)('%s', command => {
  const { status, stdout, stderr } = spawnSync('/bin/sh', ['-c', command], { cwd: root, encoding: 'utf8' })
  expect({ status, stderr: stderr.replace(/^\d+ objects?, 0 problems\n$/, '') }).toEqual({
    status: 0,
    stderr: '',
  })
  if (!command.includes('validate')) expect(stdout.trim()).not.toBe('')
})

test('every file that the README links to is there', () => {
  const links = [...readme.matchAll(/\]\(([^)#]+)\)/g)]
    .map(([, link = '']) => link)
    .filter(link => !link.startsWith('http'))
  for (const link of links) expect(existsSync(new URL(`../../${link}`, import.meta.url)), link).toBe(true)
})

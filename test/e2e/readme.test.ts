import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

/** Runs the commands of the README. `make up` has its own tests, and `make test` runs this one. */
const root = fileURLToPath(new URL('../../', import.meta.url))
const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
const commands = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)]
  .flatMap(([, block = '']) => block.trim().split('\n'))
  .filter(line => !line.startsWith('make '))

test('the README has commands to type', () => {
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

test('every file that the README links to exists', () => {
  const links = [...readme.matchAll(/\]\(([^)#]+)\)/g)]
    .map(([, link = '']) => link)
    .filter(link => !link.startsWith('http'))
  for (const link of links) expect(existsSync(new URL(`../../${link}`, import.meta.url)), link).toBe(true)
})

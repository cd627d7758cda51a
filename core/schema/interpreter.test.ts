import { expect, test } from 'vitest'
import { interpreterOf, scriptProblem } from './interpreter.ts'

test.each([
  ['#!/bin/bash -e\nfalse', ['/bin/bash', '-e']],
  ['#!/usr/bin/env python3\n', ['/usr/bin/env', 'python3']],
  // As the kernel does, the rest of the line is one argument: `env -S` splits it.
  ['#! /usr/bin/env -S python3 -u \t\nprint()', ['/usr/bin/env', '-S python3 -u']],
  ['#!/bin/sh', ['/bin/sh']],
  ['#!\n/bin/sh', undefined],
  ['#!  \necho', undefined],
  ['echo\n#!/bin/sh', undefined],
  [' #!/bin/sh', undefined],
  ['# /bin/sh', undefined],
])('the interpreter of %j is %j', (script, interpreter) => {
  expect(interpreterOf(script)).toEqual(interpreter)
})

test.each([
  ['#!/bin/sh\necho a\r\necho b\r\n', 'line 2 ends with CR'],
  ['#!/bin/bash\r\n', 'line 1 ends with CR'],
  ['echo a\r', 'convert the line ends to LF'],
  ['#!bash\n', 'must be an absolute path; write #!/bin/bash'],
  ['#!/usr/bin/env node\n', 'write #!/usr/bin/env -S node --preserve-symlinks-main in line 1'],
  ['#!/usr/local/bin/node', 'set shell to [node, -e]'],
  ['#!/usr/bin/env -S node --preserve-symlinks-main\n', undefined],
  ['#!/opt/node/bin/tool', undefined],
  ["printf 'a\rb\\r\\n'", undefined],
  ['echo', undefined],
])('the problem of %j: %s', (script, problem) => {
  if (problem === undefined) expect(scriptProblem(script, false)).toBeUndefined()
  else expect(scriptProblem(script, false)).toContain(problem)
})

test('a script with a shell of its own may begin with anything', () => {
  expect(scriptProblem('#!bash', true)).toBeUndefined()
})

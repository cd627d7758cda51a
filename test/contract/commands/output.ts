import { createHash } from 'node:crypto'
import { type CommandRow, fails, says } from './row.ts'

/** Every byte, in its stream, up to the limit. */

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const allBytes = Buffer.from(Array.from({ length: 256 }, (_, n) => n))
const zeros = (count: number, as: string) => `head -c ${count} /dev/zero | tr '\\000' '${as}'`

const cut = (name: string, script: string, outputLimit: number, counts: { bytes: number; cut: number }) =>
  ({ name, script, outputLimit, expect: { outcome: 'Succeeded', counts } }) satisfies CommandRow

/** Takes the longest, and little memory. */
export const gigabyte: CommandRow = cut(
  '1 GB is cut, and counted',
  'head -c 1000000000 /dev/zero',
  1_000_000,
  {
    bytes: 1_000_000,
    cut: 999_000_000,
  },
)

export const output: readonly CommandRow[] = [
  says('the streams are kept apart', 'for n in 1 2 3; do echo o$n; echo e$n >&2; done', 'o1\no2\no3\n', {
    expect: { stderr: 'e1\ne2\ne3\n', onTty: 'o1\ne1\no2\ne2\no3\ne3\n' },
  }),
  says('the tail has them as they came', 'echo a; sleep 0.3; echo b >&2; sleep 0.3; echo c', 'a\nc\n', {
    expect: { stderr: 'b\n', onTty: 'a\nb\nc\n', tail: 'a\nb\nc\n' },
  }),
  says('stderr alone', 'echo e >&2', '', { expect: { stderr: 'e\n' } }),
  says('stderr joined to stdout', 'exec 2>&1; echo a; echo b >&2', 'a\nb\n', { expect: { stderr: '' } }),
  says('no newline at the end', 'printf end', 'end'),
  says('only newlines', 'echo; echo; echo', '\n\n\n'),
  says('nothing', ':', '', { expect: { stderr: '', counts: { bytes: 0, cut: 0 }, tail: '' } }),
  says(
    'every byte there is',
    `i=0; while [ $i -lt 256 ]; do printf "\\\\$(printf %03o $i)"; i=$((i+1)); done`,
    /./,
    {
      pipesOnly: true,
      expect: { sha256: sha256(allBytes), counts: { bytes: 256, cut: 0 } },
    },
  ),
  says('NUL bytes', `printf 'a\\000b\\000'`, 'a\0b\0'),
  says('3 MB of 0xFF', zeros(3_000_000, '\\377'), /./, {
    expect: { sha256: sha256(Buffer.alloc(3_000_000, 255)), counts: { bytes: 3_000_000, cut: 0 } },
  }),
  says('what is no UTF-8', `printf '\\303\\050\\377'`, /\(/, { expect: { tail: '\ufffd(\ufffd' } }),
  says('colours', `printf '\\033[31mred\\033[0m\\n'`, '\u001b[31mred\u001b[0m\n'),
  says('a line of 10 MB', zeros(10_000_000, 'x'), /^x+$/, {
    outputLimit: 11_000_000,
    expect: { sha256: sha256(Buffer.alloc(10_000_000, 'x')), counts: { bytes: 10_000_000, cut: 0 } },
  }),
  says('100,000 lines', 'seq 100000', /^1\n2\n(.*\n)+100000\n$/),
  gigabyte,
  cut('the limit is for both streams', 'printf %600s a; sleep 0.2; printf %600s b >&2', 1_000, {
    bytes: 1_000,
    cut: 200,
  }),
  cut('just the limit is not over it', 'printf %1000s a', 1_000, { bytes: 1_000, cut: 0 }),
  cut('one byte over it', 'printf %1001s a', 1_000, { bytes: 1_000, cut: 1 }),
  cut('no byte is kept', 'printf %1000s a', 0, { bytes: 0, cut: 1_000 }),
  says('the tail is of what was cut, too', 'printf %5000s a; printf "the end"', /^ {100}$/, {
    outputLimit: 100,
    expect: { tail: `${' '.repeat(504)}athe end` },
  }),
  says('streams by their names', 'echo o > /dev/stdout; echo e > /dev/stderr', 'o\n', {
    hostOnly: true,
    expect: { stderr: 'e\n', onTty: 'o\ne\n' },
  }),
  fails('a closed stdout', 'exec >&-; echo lost 2> /dev/null; exit 5', 5, { expect: { stdout: '' } }),
  says('both closed', 'exec >&- 2>&-; sleep 0.2', ''),
  says('stdin is at its end for every reader', 'cat; read x || echo nothing', 'nothing\n', {
    pipesOnly: true,
  }),
  says('stdin has no bytes', 'wc -c', '0\n'),
  says('who reads from a child that was told nothing', 'sh -c "cat; echo over"', 'over\n'),
  says('a pipe through three', `seq 1000 | sort -n | tail -n 1`, '1000\n'),
  says('a writer without a reader ends', '{ yes; echo "$?" >&2; } | head -n 1', 'y\n', {
    expect: { stderr: '141\n', onTty: /y\n/ },
  }),
  says('a file in between', `f=/tmp/shellcron.$$; seq 5 > $f; wc -l < $f; rm $f`, '5\n'),
]

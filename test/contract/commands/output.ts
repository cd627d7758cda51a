import { createHash } from 'node:crypto'
import { type CommandRow, fails, prints } from './row.ts'

/** Output is kept byte for byte, per stream, up to the limit. */

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const allBytes = Buffer.from(Array.from({ length: 256 }, (_, n) => n))
const zeros = (count: number, as: string) => `head -c ${count} /dev/zero | tr '\\000' '${as}'`

const cut = (name: string, script: string, outputLimit: number, counts: { bytes: number; cut: number }) =>
  ({ name, script, outputLimit, expect: { outcome: 'Succeeded', counts } }) satisfies CommandRow

/** The slowest row. host.test.ts also checks the launcher's memory with it. */
export const gigabyte: CommandRow = cut(
  'of 1 GB the first MB is kept and the rest is counted',
  'head -c 1000000000 /dev/zero',
  1_000_000,
  {
    bytes: 1_000_000,
    cut: 999_000_000,
  },
)

export const output: readonly CommandRow[] = [
  prints('the streams are separate', 'for n in 1 2 3; do echo o$n; echo e$n >&2; done', 'o1\no2\no3\n', {
    expect: { stderr: 'e1\ne2\ne3\n', onTty: 'o1\ne1\no2\ne2\no3\ne3\n' },
  }),
  prints(
    'the tail has both streams in order of arrival',
    'echo a; sleep 0.3; echo b >&2; sleep 0.3; echo c',
    'a\nc\n',
    {
      expect: { stderr: 'b\n', onTty: 'a\nb\nc\n', tail: 'a\nb\nc\n' },
    },
  ),
  prints('stderr only', 'echo e >&2', '', { expect: { stderr: 'e\n' } }),
  prints('stderr redirected to stdout', 'exec 2>&1; echo a; echo b >&2', 'a\nb\n', {
    expect: { stderr: '' },
  }),
  prints('no newline at the end', 'printf end', 'end'),
  prints('only newlines', 'echo; echo; echo', '\n\n\n'),
  prints('no output', ':', '', { expect: { stderr: '', counts: { bytes: 0, cut: 0 }, tail: '' } }),
  prints(
    'all 256 byte values',
    `i=0; while [ $i -lt 256 ]; do printf "\\\\$(printf %03o $i)"; i=$((i+1)); done`,
    /./,
    {
      pipesOnly: true,
      expect: { sha256: sha256(allBytes), counts: { bytes: 256, cut: 0 } },
    },
  ),
  prints('NUL bytes', `printf 'a\\000b\\000'`, 'a\0b\0'),
  prints('3 MB of 0xFF', zeros(3_000_000, '\\377'), /./, {
    expect: { sha256: sha256(Buffer.alloc(3_000_000, 255)), counts: { bytes: 3_000_000, cut: 0 } },
  }),
  prints('invalid UTF-8', `printf '\\303\\050\\377'`, /\(/, { expect: { tail: '\ufffd(\ufffd' } }),
  prints('colours', `printf '\\033[31mred\\033[0m\\n'`, '\u001b[31mred\u001b[0m\n'),
  prints('a line of 10 MB', zeros(10_000_000, 'x'), /^x+$/, {
    outputLimit: 11_000_000,
    expect: { sha256: sha256(Buffer.alloc(10_000_000, 'x')), counts: { bytes: 10_000_000, cut: 0 } },
  }),
  prints('100,000 lines', 'seq 100000', /^1\n2\n(.*\n)+100000\n$/),
  gigabyte,
  cut('the limit applies to both streams together', 'printf %600s a; sleep 0.2; printf %600s b >&2', 1_000, {
    bytes: 1_000,
    cut: 200,
  }),
  cut('output of exactly the limit is not cut', 'printf %1000s a', 1_000, { bytes: 1_000, cut: 0 }),
  cut('one byte above the limit is cut', 'printf %1001s a', 1_000, { bytes: 1_000, cut: 1 }),
  cut('a limit of 0 keeps no byte', 'printf %1000s a', 0, { bytes: 0, cut: 1_000 }),
  prints('the tail includes output that was cut', 'printf %5000s a; printf "the end"', /^ {100}$/, {
    outputLimit: 100,
    expect: { tail: `${' '.repeat(504)}athe end` },
  }),
  prints('/dev/stdout and /dev/stderr', 'echo o > /dev/stdout; echo e > /dev/stderr', 'o\n', {
    hostOnly: true,
    expect: { stderr: 'e\n', onTty: 'o\ne\n' },
  }),
  fails('a closed stdout', 'exec >&-; echo lost 2> /dev/null; exit 5', 5, { expect: { stdout: '' } }),
  prints('closed stdout and stderr', 'exec >&- 2>&-; sleep 0.2', ''),
  prints('every reader of stdin reads end-of-file', 'cat; read x || echo nothing', 'nothing\n', {
    pipesOnly: true,
  }),
  prints('stdin is empty', 'wc -c', '0\n'),
  prints('a child reads end-of-file from stdin', 'sh -c "cat; echo over"', 'over\n'),
  prints('a pipeline of three commands', `seq 1000 | sort -n | tail -n 1`, '1000\n'),
  prints('a writer without a reader gets SIGPIPE', '{ yes; echo "$?" >&2; } | head -n 1', 'y\n', {
    expect: { stderr: '141\n', onTty: /y\n/ },
  }),
  prints('output through a temporary file', `f=/tmp/shellcron.$$; seq 5 > $f; wc -l < $f; rm $f`, '5\n'),
]

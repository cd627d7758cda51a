import { type CommandRow, prints } from './row.ts'

/** The text of a script, its variables and its parameters reach the command unchanged. */

const hostile = `'; rm -rf /tmp/x "$(reboot)" \`id\` \${IFS} & | > < * ? \\ %s\n-n é`

export const text: readonly CommandRow[] = [
  prints('single quotes keep every character', `echo 'a  "b" $c \`d\` \\ *'`, 'a  "b" $c `d` \\ *\n'),
  prints('double quotes expand variables', `x=1; echo "a  '$x' \\$x \\" *"`, `a  '1' $x " *\n`),
  prints(
    'backslashes in and outside quotes',
    `printf '%s\\n' 'a\\\\b' "a\\\\b" a\\\\b`,
    'a\\\\b\na\\b\na\\b\n',
  ),
  prints('adjacent quotes join to one word', `printf '[%s]' a'b c'"d e"\\ f`, '[ab cd e f]'),
  prints('only unquoted variables are split into words', `x='a  b'; printf '[%s]' $x "$x"`, '[a][b][a  b]'),
  prints('a quoted pattern is not expanded', `cd /; printf '%s\\n' '/b*' "/b?n"`, '/b*\n/b?n\n'),
  prints('an unquoted pattern expands to files', `printf '%s\\n' /dev/nul?`, '/dev/null\n'),
  prints('a percent sign and a newline in a word', `printf '%s|' '100%d' 'two\nlines'`, '100%d|two\nlines|'),
  prints('unicode in the script', `echo 'grüße, 漢字 🚀 é'; x=ж; echo "$x"`, 'grüße, 漢字 🚀 é\nж\n'),
  prints('unicode in a variable', `printf %s "$X" | wc -c`, '11\n', { env: { X: 'ä漢🚀ab' } }),
  prints('a carriage return in the script', 'printf "a\rb"', 'a\rb', { pipesOnly: true }),
  prints(
    'comments, blank lines and a missing last newline',
    '\n\n  # a comment\n\n\techo a # b\n\n#c',
    'a\n',
  ),
  prints('an empty script', '', ''),
  prints('a script of white space', ' \n\t \n', ''),
  prints('lines continued with a backslash', 'echo a \\\n  b \\\n  c', 'a b c\n'),
  prints('a script of 100,000 bytes', `${'# padding\n'.repeat(10_000)}echo end`, 'end\n'),
  prints(
    'a here-document with variables',
    'x=1\ncat <<END\na $x \\$x $(echo "b  c") "\nEND',
    'a 1 $x b  c "\n',
  ),
  prints('a quoted here-document without expansion', `cat <<'END'\n$x \`id\` \\$\nEND`, '$x `id` \\$\n'),
  prints('a here-document of 90,000 bytes', `wc -c <<'END'\n${'123456789\n'.repeat(9_000)}END`, '90000\n'),
  prints('a shell in a shell in a shell', `sh -c "sh -c 'echo \\"\\$0 \\$1\\"' a 'b  c'"`, 'a b  c\n'),
  prints('eval parses its text again', `x='echo "a  b" | cat'; eval "$x"`, 'a  b\n'),
  prints(
    'parameter and arithmetic expansions',
    `x=/a/b.c; echo \${x##*/} \${x%.*} \${#x} \${y:-d} \${x:+s} $((7 * 6))`,
    'b.c /a/b 6 d s 42\n',
  ),
  prints(
    'functions, loops and cases',
    `f() { case $1 in a*) echo "<$1>";; esac; }; for i in ab b ac; do f $i; done`,
    '<ab>\n<ac>\n',
  ),
  prints('a parameter is a variable and is never part of the script', `printf %s "$PARAM_DB"`, hostile, {
    parameters: { DB: hostile },
  }),
  prints('a variable with shell syntax in its value', `printf %s "$V"`, hostile, { env: { V: hostile } }),
  prints('an empty variable is set', `echo "[\${E-unset}] [\${N-unset}]"`, '[] [unset]\n', {
    env: { E: '' },
  }),
  prints('a variable of 100,000 bytes', `printf %s "$LONG" | wc -c`, '100000\n', {
    env: { LONG: 'x'.repeat(100_000) },
  }),
  prints('300 variables', `env | grep -c '^MANY_[0-9]*=value'`, '300\n', {
    env: Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`MANY_${n}`, `value ${n}`])),
  }),
]

import { type CommandRow, says } from './row.ts'

/** What is written reaches the command as it is. */

const hostile = `'; rm -rf /tmp/x "$(reboot)" \`id\` \${IFS} & | > < * ? \\ %s\n-n é`

export const text: readonly CommandRow[] = [
  says('single quotes keep all', `echo 'a  "b" $c \`d\` \\ *'`, 'a  "b" $c `d` \\ *\n'),
  says('double quotes let variables in', `x=1; echo "a  '$x' \\$x \\" *"`, `a  '1' $x " *\n`),
  says('backslashes are counted', `printf '%s\\n' 'a\\\\b' "a\\\\b" a\\\\b`, 'a\\\\b\na\\b\na\\b\n'),
  says('quotes join to one word', `printf '[%s]' a'b c'"d e"\\ f`, '[ab cd e f]'),
  says('words are split unquoted only', `x='a  b'; printf '[%s]' $x "$x"`, '[a][b][a  b]'),
  says('a quoted pattern is text', `cd /; printf '%s\\n' '/b*' "/b?n"`, '/b*\n/b?n\n'),
  says('a pattern finds files', `printf '%s\\n' /dev/nul?`, '/dev/null\n'),
  says('a percent sign and a newline in a word', `printf '%s|' '100%d' 'two\nlines'`, '100%d|two\nlines|'),
  says('unicode in the script', `echo 'grüße, 漢字 🚀 é'; x=ж; echo "$x"`, 'grüße, 漢字 🚀 é\nж\n'),
  says('unicode in a variable', `printf %s "$X" | wc -c`, '11\n', { env: { X: 'ä漢🚀ab' } }),
  says('a carriage return in the script', 'printf "a\rb"', 'a\rb', { pipesOnly: true }),
  says('comments, blank lines and a missing last newline', '\n\n  # a comment\n\n\techo a # b\n\n#c', 'a\n'),
  says('an empty script', '', ''),
  says('a script of white space', ' \n\t \n', ''),
  says('lines continued by a backslash', 'echo a \\\n  b \\\n  c', 'a b c\n'),
  says('a script of 100,000 bytes', `${'# padding\n'.repeat(10_000)}echo end`, 'end\n'),
  says(
    'a here-document with variables',
    'x=1\ncat <<END\na $x \\$x $(echo "b  c") "\nEND',
    'a 1 $x b  c "\n',
  ),
  says('a quoted here-document without', `cat <<'END'\n$x \`id\` \\$\nEND`, '$x `id` \\$\n'),
  says('a here-document of 90,000 bytes', `wc -c <<'END'\n${'123456789\n'.repeat(9_000)}END`, '90000\n'),
  says('a shell in a shell in a shell', `sh -c "sh -c 'echo \\"\\$0 \\$1\\"' a 'b  c'"`, 'a b  c\n'),
  says('eval reads its text again', `x='echo "a  b" | cat'; eval "$x"`, 'a  b\n'),
  says(
    'expansions',
    `x=/a/b.c; echo \${x##*/} \${x%.*} \${#x} \${y:-d} \${x:+s} $((7 * 6))`,
    'b.c /a/b 6 d s 42\n',
  ),
  says(
    'functions, loops and cases',
    `f() { case $1 in a*) echo "<$1>";; esac; }; for i in ab b ac; do f $i; done`,
    '<ab>\n<ac>\n',
  ),
  says('a parameter is a variable and never text', `printf %s "$PARAM_DB"`, hostile, {
    parameters: { DB: hostile },
  }),
  says('a hostile value of a variable', `printf %s "$V"`, hostile, { env: { V: hostile } }),
  says('an empty variable is set', `echo "[\${E-unset}] [\${N-unset}]"`, '[] [unset]\n', { env: { E: '' } }),
  says('a variable of 100,000 bytes', `printf %s "$LONG" | wc -c`, '100000\n', {
    env: { LONG: 'x'.repeat(100_000) },
  }),
  says('300 variables', `env | grep -c '^MANY_[0-9]*=value'`, '300\n', {
    env: Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`MANY_${n}`, `value ${n}`])),
  }),
]

import { InvalidInput } from '../../../core/errors.ts'
import type { HistoryQuery } from '../port.ts'
import { searchFor } from '../text.ts'
import { cursorAt, type Page, positionIn } from './history.ts'
import type { Outputs } from './output.ts'
import { number, type Row, text } from './rows.ts'

/**
 * Text is looked for where it lies, as an index of all output would cost more than the output: row by row in the order of the page, until
 * the page is full or enough has been looked at. So a page takes as long whatever there is, and a rare word takes many pages.
 */
const ROWS_A_PAGE = 1_000
const BYTES_A_PAGE = 4 * 1_024 * 1_024
/** Rows that are fetched at once. */
const AT_ONCE = 100
/** Of one attempt's output: what failed says so at its end. */
const LAST_BYTES = 16 * 1_024 * 1_024
const LONGEST = 1_000

export function pageWith(
  wanted: string,
  query: HistoryQuery,
  { pageIn, outputs }: { pageIn(query: HistoryQuery): Page; outputs: Pick<Outputs, 'has'> },
): Page {
  if (wanted.length === 0 || wanted.length > LONGEST)
    throw new InvalidInput('text', `must have 1 to ${LONGEST} characters, not ${wanted.length}`)
  const look = lookFor(wanted, outputs)
  const found: Row[] = []
  const spent = { rows: 0, bytes: 0 }
  let after = query.cursor
  for (;;) {
    const page = pageIn({ ...query, limit: AT_ONCE, ...(after === undefined ? {} : { cursor: after }) })
    for (const row of page.rows) {
      const { isThere, read } = look(row)
      spent.rows++
      spent.bytes += read
      if (isThere) found.push(row)
      const isEnough = spent.rows >= ROWS_A_PAGE || spent.bytes >= BYTES_A_PAGE
      if (isEnough || found.length >= query.limit) return { rows: found, last: row }
    }
    if (!page.last) return { rows: found, last: undefined }
    after = cursorAt(positionIn(page.last))
  }
}

/** `read`: how many bytes of output were looked at for it. */
function lookFor(wanted: string, outputs: Pick<Outputs, 'has'>) {
  const search = searchFor(wanted)
  return (row: Row): { isThere: boolean; read: number } => {
    const isSaid = [row.reason, row.message, row.tail].some(said => search.isIn(text(said) ?? ''))
    if (isSaid) return { isThere: true, read: 0 }
    const { found, read } = outputs.has(attemptIn(row), LAST_BYTES, search.begin())
    return { isThere: found, read }
  }
}

function attemptIn(row: Row) {
  return { uid: text(row.uid) ?? '', run: text(row.run) ?? '', attempt: number(row.attempt) ?? 0 }
}

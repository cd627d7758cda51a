import { InvalidInput } from '../../core/errors.ts'
import { checkLimit, cursorAt, type Page, positionIn } from './page-cursor.ts'
import type { AttemptRef, HistoryQuery } from './port.ts'
import { attemptIn, type Row, text } from './result-rows.ts'
import { createTextSearch } from './text-match.ts'

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

type MaybePromise<T> = T | Promise<T>

/** Does the attempt's output answer yes to this, in its last so many bytes? `read`: how many were looked at. */
export type OutputContains = (
  of: AttemptRef,
  last: number,
  search: (chunks: Uint8Array) => boolean,
) => MaybePromise<{ found: boolean; read: number }>

/** `outputsOf`: is told which rows will be asked about next. */
interface Store {
  pageIn(query: HistoryQuery): MaybePromise<Page>
  outputsOf(rows: readonly Row[]): MaybePromise<OutputContains>
}

export async function pageWith(
  wanted: string,
  query: HistoryQuery,
  { pageIn, outputsOf }: Store,
): Promise<Page> {
  if (wanted.length === 0 || wanted.length > LONGEST)
    throw new InvalidInput('text', `must have 1 to ${LONGEST} characters, not ${wanted.length}`)
  checkLimit(query)
  const search = createTextSearch(wanted)
  const found: Row[] = []
  const spent = { rows: 0, bytes: 0 }
  let after = query.cursor
  for (;;) {
    const page = await pageIn({ ...query, limit: AT_ONCE, ...(after === undefined ? {} : { cursor: after }) })
    const has = await outputsOf(page.rows)
    for (const row of page.rows) {
      const isSaid = [row.reason, row.message, row.tail].some(said => search.isIn(text(said) ?? ''))
      const { found: isThere, read } = isSaid
        ? { found: true, read: 0 }
        : await has(attemptIn(row), LAST_BYTES, search.begin())
      spent.rows++
      spent.bytes += read
      if (isThere) found.push(row)
      const isEnough = spent.rows >= ROWS_A_PAGE || spent.bytes >= BYTES_A_PAGE
      if (isEnough || found.length >= query.limit) return { rows: found, last: row }
    }
    // A page that is not full has looked far enough by itself.
    if (!page.last || page.rows.length < AT_ONCE) return { rows: found, last: page.last }
    after = cursorAt(positionIn(page.last))
  }
}

import { InvalidInput } from '../../core/errors.ts'
import { checkLimit, cursorAt, type Page, positionIn } from './page-cursor.ts'
import type { AttemptRef, HistoryQuery } from './port.ts'
import { attemptIn, type Row, text } from './result-rows.ts'
import { createTextSearch } from './text-match.ts'

/**
 * Searches rows one by one in the order of the page, until the page is full or these limits are reached. There is no index, because it
 * would need more space than the output. So the time of a page is limited, and a rare word takes many pages.
 */
const ROWS_PER_PAGE = 1_000
const BYTES_PER_PAGE = 4 * 1_024 * 1_024
/** How many rows are fetched at once. */
const AT_ONCE = 100
/** How much of an attempt's output is searched. Errors are usually near the end. */
const LAST_BYTES = 16 * 1_024 * 1_024
const LONGEST = 1_000

type MaybePromise<T> = T | Promise<T>

/** Whether `search` finds its text in the last `last` bytes of an attempt's output. `read`: how many bytes it was given. */
export type OutputContains = (
  of: AttemptRef,
  last: number,
  search: (chunks: Uint8Array) => boolean,
) => MaybePromise<{ found: boolean; read: number }>

/** `outputsOf` is called with the rows that are searched next, so that a store can fetch their output together. */
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
      const isInRow = [row.reason, row.message, row.tail].some(said => search.isIn(text(said) ?? ''))
      const { found: isThere, read } = isInRow
        ? { found: true, read: 0 }
        : await has(attemptIn(row), LAST_BYTES, search.begin())
      spent.rows++
      spent.bytes += read
      if (isThere) found.push(row)
      const isEnough = spent.rows >= ROWS_PER_PAGE || spent.bytes >= BYTES_PER_PAGE
      if (isEnough || found.length >= query.limit) return { rows: found, last: row }
    }
    // A page that is not full has examined enough rows itself.
    if (!page.last || page.rows.length < AT_ONCE) return { rows: found, last: page.last }
    after = cursorAt(positionIn(page.last))
  }
}

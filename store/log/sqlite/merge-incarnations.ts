import { type Position, positionIn } from '../page-cursor.ts'
import type { Row } from '../result-rows.ts'

/** A incarnation of an object, of several that had one name. */
export interface Incarnation {
  uid: string
  /** The time of its newest row that is asked for. */
  newest: number
}

interface Head {
  row: Row
  at: Position
  rest: Generator<Row>
}

/**
 * The rows of all incarnations, in the order of a page. A incarnation is read from when its newest row is the next, and no further than it is taken: one
 * seldom begins before the other ended, so that few are read at once, however many there were. `incarnations`: the newest first.
 */
export function* newestFirst(
  incarnations: readonly Incarnation[],
  rowsOf: (uid: string) => Generator<Row>,
): Generator<Row> {
  const heads: Head[] = []
  const advance = (rest: Generator<Row>) => {
    const { value, done } = rest.next()
    if (!done) heads.push({ row: value, at: positionIn(value), rest })
  }
  let begun = 0
  try {
    for (;;) {
      const head = newestOf(heads)
      const incarnation = incarnations[begun]
      if (incarnation && (!head || incarnation.newest >= head.at.time)) {
        begun++
        advance(rowsOf(incarnation.uid))
      } else if (head) {
        yield head.row
        heads.splice(heads.indexOf(head), 1)
        advance(head.rest)
      } else return
    }
  } finally {
    // A statement that is not read to its end would keep its view of the file.
    for (const { rest } of heads) rest.return(undefined)
  }
}

function newestOf(heads: readonly Head[]): Head | undefined {
  let newest: Head | undefined
  for (const head of heads) if (!newest || isNewer(head.at, newest.at)) newest = head
  return newest
}

function isNewer(one: Position, other: Position): boolean {
  return one.time > other.time || (one.time === other.time && one.id > other.id)
}

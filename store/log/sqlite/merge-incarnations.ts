import { type Position, positionIn } from '../page-cursor.ts'
import type { Row } from '../result-rows.ts'

/** One of the objects that had the same name, one after another. Kubernetes tells them apart by uid. */
export interface Incarnation {
  uid: string
  /** The time of its newest row that the query wants. */
  newest: number
}

interface Head {
  row: Row
  at: Position
  rest: Generator<Row>
}

/**
 * Merges the rows of all incarnations into the order of a page. `incarnations`: the newest first. An incarnation is opened when its newest
 * row is the next one, and read only as far as needed. Incarnations seldom overlap, so few are open at once, however many there were.
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
    // A statement that is not read to its end would keep its snapshot of the file.
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

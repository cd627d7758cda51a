import { InvalidInput } from '../../core/errors.ts'

/** The fault of a log store that a newer version created. This version does not know its tables, and leaves them alone. */
export function newerSchema(of: { place: string; found: number; known: number }): InvalidInput {
  const { place, found, known } = of
  return new InvalidInput(
    'log store',
    `${place} has schema ${found}, created by a newer version; this version supports schemas up to ${known}: upgrade shellcron, or set another --log-store`,
  )
}

import { InvalidInput } from '../../core/errors.ts'

/** What a newer version made is not touched: nobody here knows what its tables mean. */
export function newerSchema(of: { place: string; found: number; known: number }): InvalidInput {
  const { place, found, known } = of
  return new InvalidInput(
    'log store',
    `${place} has schema ${found}, which a newer version made, and this version knows up to ${known}: use a newer shellcron, or another --log-store`,
  )
}

/** The user's input is wrong, so it is never retried. `field`: the path or flag as the user wrote it. `message`: the value and the remedy. */
export class InvalidInput extends Error {
  override readonly name = 'InvalidInput'
  readonly field: string

  constructor(field: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.field = field
  }
}

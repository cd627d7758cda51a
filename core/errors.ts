/** The user's input is wrong: never retried. `field` is the path as the user wrote it, `message` says the value and the remedy. */
export class InvalidInput extends Error {
  override readonly name = 'InvalidInput'
  readonly field: string

  constructor(field: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.field = field
  }
}

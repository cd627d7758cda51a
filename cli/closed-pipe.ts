/** `shellcron history | head` is no error: the command ends quietly when the reader closes the pipe. */
export function endQuietlyOnClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', error => {
      if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(0)
      throw error
    })
}

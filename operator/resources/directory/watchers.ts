import { type FSWatcher, watch } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * File systems of Linux that report every change to a watch, by the type that statfs returns. A network file system is none of them: another
 * machine may change it.
 */
const REPORTING_TYPES: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0xf2f52010, // F2FS
  0x2fc12fc1, // ZFS
  0x01021994, // tmpfs
  0x794c7630, // overlay
])

interface Watched {
  watcher: FSWatcher
  /** Of the folder that was watched. Another folder may have taken its name. */
  identity: string
  isReporting: boolean
}

export interface WatcherEvents {
  /** Something in a folder has changed. */
  onChange(): void
  /** A watch has failed. From now on changes may be missed. */
  onLost(): void
}

/** Watches folders, and says whether that is enough to hear of every change in them. */
export class Watchers {
  readonly #root: string
  readonly #events: WatcherEvents
  readonly #watched = new Map<string, Watched>()

  constructor(root: string, events: WatcherEvents) {
    this.#root = root
    this.#events = events
  }

  /**
   * Watches exactly these folders, which are given with their identity. True if all of them were watched before this call, on file systems
   * that report every change: then no change was missed since.
   */
  async follow(folders: ReadonlyMap<string, string>): Promise<boolean> {
    for (const [folder, { identity }] of this.#watched)
      if (folders.get(folder) !== identity) this.#drop(folder)
    let isComplete = true
    for (const [folder, identity] of folders) {
      if (!this.#watched.get(folder)?.isReporting) isComplete = false
      if (!this.#watched.has(folder)) await this.#add(folder, identity)
    }
    return isComplete
  }

  close(): void {
    for (const folder of this.#watched.keys()) this.#drop(folder)
  }

  /** A folder that cannot be watched (there is a limit) is scanned instead. */
  async #add(folder: string, identity: string): Promise<void> {
    const path = join(this.#root, folder)
    try {
      const watcher = watch(path, () => this.#events.onChange())
      watcher.on('error', () => {
        if (this.#watched.get(folder)?.watcher === watcher) this.#drop(folder)
        this.#events.onLost()
      })
      const watched = { watcher, identity, isReporting: false }
      this.#watched.set(folder, watched)
      watched.isReporting = REPORTING_TYPES.has((await statfs(path)).type)
    } catch {
      // It is not watched, or not relied upon.
    }
  }

  #drop(folder: string): void {
    this.#watched.get(folder)?.watcher.close()
    this.#watched.delete(folder)
  }
}

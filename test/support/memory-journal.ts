import type { Durability, Journal, JournalEntry, JournalPage } from '#ports/responder.ts';

/** A journal in memory that outlives the engine of a test, as a file outlives a process. */
export class MemoryJournal implements Journal {
  readonly entries: JournalEntry[] = [];
  readonly durabilities: Durability[] = [];
  /** Set: what the next append rejects with. */
  broken: Error | null = null;

  append(entries: readonly JournalEntry[], durability: Durability): Promise<void> {
    if (this.broken !== null) return Promise.reject(this.broken);
    // Text, as in a file: what is changed later in place must not change what was written.
    this.entries.push(...(JSON.parse(JSON.stringify(entries)) as JournalEntry[]));
    this.durabilities.push(durability);
    return Promise.resolve();
  }

  read(after: number): Promise<JournalPage> {
    const newest = new Map<string, JournalEntry>();
    for (const entry of this.entries.slice(after)) {
      newest.delete(`${entry.family} ${entry.device}`);
      newest.set(`${entry.family} ${entry.device}`, entry);
    }
    return Promise.resolve({ entries: [...newest.values()], position: this.entries.length });
  }
}

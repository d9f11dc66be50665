/** Enough to keep the disk's queue and the thread pool busy; more gains nothing. */
const WORKERS = 16;

/** Runs the work for each member, some at a time; rejects with the first error, after which no further work is begun. */
export async function inParallel<T>(members: Iterable<T>, work: (member: T) => Promise<void>): Promise<void> {
  const queue = members[Symbol.iterator]();
  let failed = false;
  const worker = async (): Promise<void> => {
    for (let next = queue.next(); next.done !== true && !failed; next = queue.next()) {
      try {
        await work(next.value);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const answers = await Promise.allSettled(Array.from({ length: WORKERS }, worker));
  for (const answer of answers) if (answer.status === 'rejected') throw answer.reason;
}

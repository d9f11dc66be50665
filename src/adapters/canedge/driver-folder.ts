import type { ObjectFacts, ObjectStore } from '#ports/object-store.ts';

/** What lies in a device's folder beside its logs, by key, from a listing. */
export interface Folder {
  /** Null when there is no such object. */
  facts(key: string): Promise<ObjectFacts | null>;
}

/** Pages of 1,000: more objects beside the logs no device and no vendor tool makes. */
const MAX_PAGES = 3;
/** The first character after the digits: session folders are numbers, and everything else in a folder begins with a letter (§2). */
const AFTER_SESSIONS = ':';

/**
 * One listing of `ID/` with a delimiter that begins behind the session folders: a folder may hold a hundred thousand logs
 * (docs/protocols/canedge-s3.md §2). In a folder that somebody has filled with other things each object is asked for.
 */
export async function openFolder(store: ObjectStore, folder: string, signal: AbortSignal): Promise<Folder> {
  const found = new Map<string, ObjectFacts>();
  const request = { prefix: `${folder}/`, delimiter: '/', startAfter: `${folder}/${AFTER_SESSIONS}` };
  let next: string | null = null;
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const answer = await store.list({ ...request, ...(next === null ? {} : { next }) }, signal);
    for (const object of answer.objects) found.set(object.key, object);
    next = answer.next;
    if (next === null) break;
  }
  const complete = next === null;
  return {
    async facts(key) {
      const known = found.get(key);
      if (known !== undefined || complete) return known ?? null;
      const facts = await store.head(key, signal);
      return facts === 'missing' ? null : facts;
    },
  };
}

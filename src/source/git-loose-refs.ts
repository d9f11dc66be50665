import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, rmdirSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { MoveAnswer, RefMove } from '#ports/git-branch.ts';
import { WireError } from '#ports/wire-error.ts';

/** Another git program holds a ref for a few milliseconds; longer means that something is stuck. */
const LOCK_PATIENCE_MS = 3000;
const LOCK_PAUSE_MS = 4;

/** The refs of these names as git finds them: loose before packed. Throws WireError for a file that is no ref. */
export function readRefs(gitdir: string, names: readonly string[]): ReadonlyMap<string, string> {
  const loose = new Map(names.map((name) => [name, looseRef(gitdir, name)]));
  // Read after the loose ones: whoever packs a ref removes its file only when it stands in here.
  const packed = [...loose.values()].includes(null) ? packedRefs(gitdir) : new Map<string, string>();
  const found = new Map<string, string>();
  for (const [name, oid] of loose) {
    const value = oid ?? packed.get(name);
    if (value !== undefined) found.set(name, value);
  }
  return found;
}

/**
 * Moves refs as git does: takes `REF.lock` of each, compares, writes into the lock, renames it. Real git programs and this
 * one can race for them.
 */
export async function moveRefs(gitdir: string, moves: readonly RefMove[]): Promise<MoveAnswer> {
  const deadline = performance.now() + LOCK_PATIENCE_MS;
  for (;;) {
    const answer = tryMove(gitdir, moves);
    if (typeof answer !== 'string') return answer;
    if (performance.now() > deadline) {
      throw new WireError('GIT_LOCKED', 'later', `${answer} is there: when no git program is at work, remove it`);
    }
    await delay(LOCK_PAUSE_MS * (1 + Math.random()));
  }
}

/** The answer, or the path of a lock that another holds. Synchronous, so that a lock is held as short as can be. */
function tryMove(gitdir: string, moves: readonly RefMove[]): MoveAnswer | string {
  const held = new Map<string, number>();
  try {
    for (const { name } of moves.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const lock = `${join(gitdir, name)}.lock`;
      const file = openLock(lock);
      if (file === 'held') return lock;
      if (file === 'in the way') return { kind: 'refused', message: `a branch with the name of a part of ${name} is in the way` };
      held.set(name, file);
    }
    const found = readRefs(
      gitdir,
      moves.map(({ name }) => name),
    );
    if (moves.some(({ name, from }) => (found.get(name) ?? null) !== from)) return { kind: 'moved' };
    for (const { name, to } of moves) {
      const file = held.get(name);
      if (file === undefined) continue;
      writeSync(file, `${to}\n`);
      fsyncSync(file);
    }
    for (const { name } of moves) {
      replace(join(gitdir, name));
      closeSync(held.get(name) ?? -1);
      held.delete(name);
    }
    return { kind: 'done' };
  } finally {
    for (const [name, file] of held) {
      closeSync(file);
      rmSync(`${join(gitdir, name)}.lock`, { force: true });
    }
  }
}

function openLock(lock: string): number | 'held' | 'in the way' {
  try {
    mkdirSync(dirname(lock), { recursive: true });
    return openSync(lock, 'wx');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'ENOTDIR' || (code === 'EEXIST' && 'syscall' in (error as object) && (error as { syscall: unknown }).syscall === 'mkdir'))
      return 'in the way';
    // A folder that git has just removed because it was empty: tried again like a lock.
    if (code === 'EEXIST' || code === 'ENOENT') return 'held';
    throw new WireError(code === '' ? 'GIT_DISK' : code, 'never', `${lock} cannot be written (${code})`, error);
  }
}

function replace(path: string): void {
  try {
    renameSync(`${path}.lock`, path);
  } catch {
    // An empty folder that a branch of a longer name has left behind.
    rmdirSync(path);
    renameSync(`${path}.lock`, path);
  }
}

function looseRef(gitdir: string, name: string): string | null {
  const text = textOf(join(gitdir, name));
  if (text === null) return null;
  const [, oid] = /^([0-9a-f]{40})\s*$/.exec(text) ?? [];
  if (oid === undefined) throw new WireError('GIT_DAMAGED', 'never', `${name} in ${gitdir} names no commit`);
  return oid;
}

function packedRefs(gitdir: string): ReadonlyMap<string, string> {
  const refs = new Map<string, string>();
  for (const line of (textOf(join(gitdir, 'packed-refs')) ?? '').split('\n')) {
    const [, oid, name] = /^([0-9a-f]{40}) (\S+)$/.exec(line) ?? [];
    if (oid !== undefined && name !== undefined) refs.set(name, oid);
  }
  return refs;
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') return null;
    throw new WireError(code, 'never', `${path} cannot be read (${code})`, error);
  }
}

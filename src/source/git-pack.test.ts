import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { WireError } from '#ports/wire-error.ts';
import { scratch } from '#test/support/git-repository.ts';
import { type GitObject, oidOf } from './git-format.ts';
import { readPack, writePack } from './git-pack.ts';

const temporary = scratch();
afterAll(() => temporary.clean());

const LIMITS = { objects: 1000, objectBytes: 1_000_000, totalBytes: 10_000_000 };
const nothing = (): undefined => undefined;

function blob(text: string): GitObject {
  return { type: 'blob', bytes: Buffer.from(text) };
}

function codeOf(work: () => unknown): string {
  try {
    work();
    return 'read';
  } catch (error) {
    if (error instanceof WireError) return error.code;
    throw error;
  }
}

/** The pack that real git makes of a repository with similar files, so with deltas. */
function realPack(...args: readonly string[]): { readonly pack: Buffer; readonly objects: ReadonlyMap<string, string> } {
  const repository = temporary.repository();
  const lines = Array.from({ length: 400 }, (_, index) => `line ${index} of a long text that hardly changes`);
  for (let version = 0; version < 6; version += 1) {
    lines[version * 50] = `changed in ${version} ${'x'.repeat(version * 40)}`;
    repository.write('a/long.txt', lines.join('\n'));
    repository.write(`b/${version}.txt`, `${version}`);
    repository.commit(`version ${version}`);
  }
  repository.git('tag', '-a', '-m', 'a tag', 'v1');
  repository.git('repack', '-adfq', ...args);
  const folder = join(repository.dir, '.git/objects/pack');
  const name = readdirSync(folder).find((file) => file.endsWith('.pack')) ?? '';
  const listed = repository.git('cat-file', '--batch-all-objects', '--batch-check=%(objectname) %(objecttype)').split('\n');
  return { pack: readFileSync(join(folder, name)), objects: new Map(listed.map((line) => line.split(' ') as [string, string])) };
}

describe('a pack', () => {
  it('of real git is read whole, deltas by offset and by name', () => {
    for (const args of [[], ['--depth=0']]) {
      const { pack, objects } = realPack(...args);
      const read = readPack(pack, LIMITS, nothing);
      expect(new Map([...read].map(([oid, { type }]) => [oid, type]))).toEqual(objects);
      for (const [oid, object] of read) expect(oidOf(object)).toBe(oid);
    }
  });

  it('of ours is taken by real git, whatever the sizes', () => {
    const sizes = [0, 1, 15, 16, 17, 2047, 2048, 2049, 300_000];
    const objects = sizes.map((size) => blob('x'.repeat(size)));
    const { dir } = temporary.repository();
    const file = join(temporary.folder(), 'ours.pack');
    const pack = writePack(objects);
    writeFileSync(file, pack);
    execFileSync('git', ['index-pack', '--strict', '--stdin'], { cwd: dir, input: pack, stdio: ['pipe', 'ignore', 'ignore'] });
    for (const object of objects) {
      const size = execFileSync('git', ['cat-file', '-s', oidOf(object)], { cwd: dir }).toString();
      expect(Number(size)).toBe(object.bytes.length);
    }
    expect([...readPack(pack, LIMITS, nothing).keys()].toSorted()).toEqual(objects.map(oidOf).toSorted());
    expect(readPack(writePack([]), LIMITS, nothing).size).toBe(0);
  });

  it('that is cut short, changed or no pack is refused', () => {
    const { pack } = realPack();
    for (let length = 0; length < pack.length; length += 37) {
      expect(codeOf(() => readPack(pack.subarray(0, length), LIMITS, nothing))).toBe('GIT_DAMAGED');
    }
    for (let at = 0; at < pack.length; at += 29) {
      const changed = Buffer.from(pack);
      changed.writeUInt8(changed.readUInt8(at) ^ 0x15, at);
      expect(codeOf(() => readPack(changed, LIMITS, nothing))).toBe('GIT_DAMAGED');
    }
  });

  it('over the limits is refused before it is unpacked', () => {
    const pack = writePack([blob('x'.repeat(5_000_000)), blob('y')]);
    expect(codeOf(() => readPack(pack, { ...LIMITS, objects: 1 }, nothing))).toBe('GIT_TOO_LARGE');
    expect(codeOf(() => readPack(pack, LIMITS, nothing))).toBe('GIT_TOO_LARGE');
    expect(codeOf(() => readPack(pack, { ...LIMITS, objectBytes: 9_000_000, totalBytes: 4_000_000 }, nothing))).toBe('GIT_TOO_LARGE');
  });
});

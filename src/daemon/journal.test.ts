import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deviceId } from '#model/ids.ts';
import type { JournalEntry } from '#ports/responder.ts';
import { openJournal, type JournalOptions, type OpenedJournal } from './journal.ts';

let dir: string;
const open: OpenedJournal[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'headgate-journal-'));
});

afterEach(async () => {
  for (const journal of open.splice(0)) await journal.close();
  rmSync(dir, { recursive: true, force: true });
});

function opened(role: JournalOptions['role'], more: Partial<JournalOptions> = {}): OpenedJournal {
  const answer = openJournal({ dir, role, ...more });
  if (!answer.ok) throw new Error(answer.error.code);
  open.push(answer.value);
  return answer.value;
}

async function closed(journal: OpenedJournal): Promise<void> {
  open.splice(open.indexOf(journal), 1);
  await journal.close();
}

function said(device: string, offset: number): JournalEntry {
  return { family: 'drogue', device: deviceId(device), at: 1000 + offset, state: { offset } };
}

const ALL = [said('a', 1), said('b', 1), said('c', 1)];

const file = (): string => join(dir, 'journal.ndjson');

describe('a journal', () => {
  it('gives the newest entry of each device in order of writing, and after a position only what came later', async () => {
    const journal = opened('writer');
    await journal.append([said('a', 1), said('b', 1)], 'process');
    const { position } = await journal.read(0);
    await journal.append([said('a', 2)], 'disk');
    expect((await journal.read(0)).entries).toEqual([said('b', 1), said('a', 2)]);
    expect((await journal.read(position)).entries).toEqual([said('a', 2)]);
    expect((await journal.read((await journal.read(0)).position)).entries).toEqual([]);
  });

  it('keeps the positions of an older process valid', async () => {
    const first = opened('writer');
    await first.append([said('a', 1), said('b', 1)], 'process');
    const { position } = await first.read(0);
    await closed(first);
    const second = opened('writer');
    expect((await second.read(position)).entries).toEqual([]);
    await second.append([said('b', 2)], 'process');
    expect((await second.read(position)).entries).toEqual([said('b', 2)]);
    expect((await second.read(0)).entries).toEqual([said('a', 1), said('b', 2)]);
  });

  it.each([
    ['in the middle of a line', (path: string) => truncateSync(path, statSync(path).size - 5), [said('a', 1), said('c', 1)]],
    ['with a line that was begun', (path: string) => appendFileSync(path, '{"n":99,"family":"dro'), ALL],
    ['with garbage in it', (path: string) => appendFileSync(path, '\u0000\u0000\nnull\n[]\n{"n":"x"}\n'), ALL],
  ])('that ends %s loses that and nothing else', async (_name, damage, expected) => {
    const first = opened('writer');
    await first.append([said('a', 1)], 'process');
    await first.append([said('b', 1)], 'process');
    await closed(first);
    damage(file());
    const second = opened('writer');
    await second.append([said('c', 1)], 'process');
    expect((await second.read(0)).entries).toEqual(expected);
    await closed(second);
    expect((await opened('writer').read(0)).entries).toEqual(expected);
  });

  it('is rewritten when it grows long, and whoever follows it misses nothing', async () => {
    const journal = opened('writer', { longestBytes: 2000 });
    const reader = opened('reader');
    const seen: JournalEntry[] = [];
    let position = 0;
    for (let offset = 0; offset < 200; offset += 1) {
      await journal.append([said(`d${offset % 3}`, offset)], 'process');
      const page = await reader.read(position);
      position = page.position;
      seen.push(...page.entries);
    }
    expect(seen.map(({ at }) => at)).toEqual(Array.from({ length: 200 }, (_, offset) => 1000 + offset));
    expect(readFileSync(file(), 'utf8').length).toBeLessThan(2500);
    await closed(journal);
    expect((await opened('writer').read(0)).entries.map(({ at }) => at)).toEqual([1197, 1198, 1199]);
  });

  it('has one writer at a time, and readers that write nothing', async () => {
    const reader = opened('reader');
    expect((await reader.read(0)).entries).toEqual([]);
    const journal = opened('writer');
    expect(openJournal({ dir, role: 'writer' })).toMatchObject({ ok: false, error: { code: 'IN_USE' } });
    await journal.append([said('a', 1)], 'process');
    expect((await reader.read(0)).entries).toEqual([said('a', 1)]);
    await expect(reader.append([said('a', 2)], 'process')).rejects.toThrow('another process');
  });

  it('says where it cannot be kept', () => {
    writeFileSync(join(dir, 'taken'), '');
    expect(openJournal({ dir: join(dir, 'taken'), role: 'writer' })).toMatchObject({ ok: false, error: { code: 'UNUSABLE' } });
  });
});

import { appendFile, mkdtemp, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Presence } from '#ports/presence.ts';
import { connectionLine, openLogPresence } from './presence-log.ts';

const STAMP = 1_795_420_800;
const AT = STAMP * 1000;

function line(clientId: string, user: string, second = 0): string {
  return `${STAMP + second}: New client connected from 10.0.0.7:49152 as ${clientId} (p2, c0, k60, u'${user}').\n`;
}

describe('a line of mosquitto', () => {
  it.each([
    ['with a subject', line('CR1000X_1', 'CN=moor'), { clientId: 'CR1000X_1', subject: 'CN=moor', fingerprint: null, at: AT }],
    ['without a user', line('a', 'x').replace(", u'x'", ''), { clientId: 'a', subject: null }],
    ['with an empty user', line('a', ''), { clientId: 'a', subject: null }],
    ['with quotes in the subject', line('a', "CN=O'Neil's"), { subject: "CN=O'Neil's" }],
    [
      'with another time format',
      line('a', 'CN=b').replace(`${STAMP}`, '2026-11-23T08:00:00+0000'),
      { at: Date.parse('2026-11-23T08:00:00Z') },
    ],
    // A client chooses its id: what it writes there may look like the end of a line.
    [
      'of a client id that lies',
      line("a (p2, c0, k60, u'CN=moor').", 'CN=liar'),
      { clientId: "a (p2, c0, k60, u'CN=moor').", subject: 'CN=liar' },
    ],
  ])('%s', (_, text, expected) => expect(connectionLine(text.trimEnd())).toMatchObject(expected));

  it.each([
    '',
    `${STAMP}: Client CR1000X_1 disconnected.`,
    `${STAMP}: New connection from 10.0.0.7:49152 on port 8883.`,
    line('a', 'CN=b').replace(`${STAMP}`, 'yesterday').trimEnd(),
    line('a', 'CN=b').replace(`${STAMP}`, '2026-23-23T08:00:00Z').trimEnd(),
    line('a', 'CN=b').trimEnd().slice(0, -1),
  ])('%s says nothing of a connection', (text) => expect(connectionLine(text)).toBeNull());
});

describe('the log', () => {
  let folder: string;
  let path: string;
  let presence: Presence;
  const signal = new AbortController().signal;
  const newest = async (id: string) => (await presence.newest([id], signal)).get(id);

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'headgate-log-'));
    path = join(folder, 'mosquitto.log');
    presence = openLogPresence(path);
  });
  afterEach(async () => {
    await presence.close();
    await rm(folder, { recursive: true });
  });

  it('tells the newest connection of each client, in the order of its lines whatever their stamps say', async () => {
    await writeFile(path, line('a', 'CN=1', 10) + line('b', 'CN=b', 11) + line('a', 'CN=2', 5));
    expect([await newest('a'), await newest('b'), await newest('c')]).toMatchObject([{ subject: 'CN=2' }, { subject: 'CN=b' }, undefined]);
    expect((await presence.newest(['a', 'b', 'c'], signal)).size).toBe(2);
  });

  it('is read on as it grows, half a line included', async () => {
    const next = line('a', 'CN=2', 1);
    await writeFile(path, line('a', 'CN=1') + next.slice(0, 30));
    expect(await newest('a')).toMatchObject({ subject: 'CN=1' });
    await appendFile(path, next.slice(30));
    expect(await newest('a')).toMatchObject({ subject: 'CN=2' });
  });

  it('is remembered when it was rotated away or cut', async () => {
    await writeFile(path, line('a', 'CN=1') + line('b', 'CN=b'));
    await newest('a');
    await rename(path, `${path}.1`);
    await writeFile(path, line('a', 'CN=2', 1));
    expect([await newest('a'), await newest('b')]).toMatchObject([{ subject: 'CN=2' }, { subject: 'CN=b' }]);
    await truncate(path, 0);
    await appendFile(path, line('b', 'CN=c', 2));
    expect([await newest('a'), await newest('b')]).toMatchObject([{ subject: 'CN=2' }, { subject: 'CN=c' }]);
  });

  it('with lines beyond all measure is passed over there, and read on behind them', async () => {
    await writeFile(path, `${line('a', 'CN=1')}${'x'.repeat(600_000)}${line('a', 'CN=trap').trimEnd()}\n${line('b', 'CN=b')}`);
    expect([await newest('a'), await newest('b')]).toMatchObject([{ subject: 'CN=1' }, { subject: 'CN=b' }]);
  });

  it('that is not there is a broken wire, not an absence', async () => {
    await expect(presence.newest(['a'], signal)).rejects.toMatchObject({ name: 'WireError', code: 'ENOENT' });
    const ended = new AbortController();
    ended.abort();
    await writeFile(path, line('a', 'CN=1'));
    await expect(presence.newest(['a'], ended.signal)).rejects.toMatchObject({ code: 'ABORTED' });
    expect(await newest('a')).toMatchObject({ subject: 'CN=1' });
  });
});

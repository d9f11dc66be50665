import { afterEach, describe, expect, test } from 'vitest';
import { makeArtifactFiles, startArtifactServer, type ArtifactMisbehaviour, type ArtifactServer } from './artifact-server.ts';
import { VirtualClock } from './clock.ts';
import { inProcessGet } from './in-process-get.ts';

const PROGRAM = Buffer.from("Public PTemp\r\nBeginProg\r\nEndProg\r\n'MOOR_HOUSE_v14\r\n");

let server: ArtifactServer | null = null;

afterEach(async () => {
  await server?.close();
  server = null;
});

/** Over TCP and within the process: both must tell the same. */
async function both(path: string, how: ArtifactMisbehaviour | null, errorPages: boolean): Promise<readonly string[]> {
  const clock = new VirtualClock(0);
  server = await startArtifactServer({ files: { 'a b.CR1X': PROGRAM }, errorPages, clock });
  server.misbehave('a b.CR1X', how);
  const url = `${server.url}/${path}`;
  const tcp = fetch(url).then(
    async (answer) => `${answer.status} ${await answer.text()}`,
    () => 'broken',
  );
  const over = await tcp.catch(() => 'broken');
  const within = await inProcessGet([server])(url).then(
    (answer) => `${answer.status} ${Buffer.from(answer.bytes).toString()}`,
    () => 'broken',
  );
  return [over, within];
}

describe('the artifact server of the simulated world', () => {
  test.for([
    ['the file', 'a%20b.CR1X', null, false, /^200 Public PTemp/],
    ['an unknown file: cut', 'none', null, false, /^broken$/],
    ['an unknown file: the 404 page', 'none', null, true, /^404 <!DOCTYPE html>/],
    ['a 404 page in the place of the file', 'a%20b.CR1X', { kind: 'not-found' }, false, /^404 <!DOCTYPE html>/],
    ['a login page', 'a%20b.CR1X', { kind: 'login-page' }, false, /^200 <!DOCTYPE html>.*sign in/],
    ['a server error', 'a%20b.CR1X', { kind: 'server-error' }, false, /^500 /],
    ['half of it', 'a%20b.CR1X', { kind: 'truncated' }, false, /^broken$/],
    ['a cut', 'a%20b.CR1X', { kind: 'close' }, false, /^broken$/],
  ] as const)('%s', async ([, path, how, errorPages, expected]) => {
    const [over, within] = await both(path, how, errorPages);
    expect(over).toMatch(expected);
    expect(within).toBe(over);
  });

  test('wrong bytes have the right length', async () => {
    const files = makeArtifactFiles({ url: 'http://files.sim', clock: new VirtualClock(0) });
    const url = files.put('p.CR1X', PROGRAM);
    files.misbehave('*', { kind: 'wrong-bytes' });
    const answer = await inProcessGet([files])(url);
    expect(answer.bytes.length).toBe(PROGRAM.length);
    expect(Buffer.from(answer.bytes).equals(PROGRAM)).toBe(false);
    files.misbehave('*', null);
    expect(Buffer.from((await inProcessGet([files])(url)).bytes).equals(PROGRAM)).toBe(true);
  });

  test('slow takes its time on the clock; a server that hangs is a TIMEOUT, one that is not there ECONNREFUSED', async () => {
    const clock = new VirtualClock(0);
    const files = makeArtifactFiles({ url: 'http://files.sim', clock });
    const get = inProcessGet([files]);
    const url = files.put('p', PROGRAM);
    files.misbehave('p', { kind: 'slow', ms: 90_000 });
    expect(await clock.run(get(url))).toMatchObject({ status: 200 });
    expect(clock.now()).toBe(90_000);
    files.misbehave('p', { kind: 'hang' });
    await expect(get(url)).rejects.toMatchObject({ code: 'TIMEOUT' });
    await expect(get('http://files.simulated/p')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await expect(get('nonsense')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('requests are kept, with who asked', async () => {
    const files = makeArtifactFiles({ url: 'http://files.sim', clock: new VirtualClock(0) });
    await inProcessGet([files])(files.put('os/x y.obj', PROGRAM), { 'campbell-product-uid': 'QU8Q-9JTY-HVP8' });
    expect(files.requests).toEqual([{ path: 'os/x y.obj', uid: 'QU8Q-9JTY-HVP8' }]);
  });
});

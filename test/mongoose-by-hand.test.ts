import { describe, expect, it } from 'vitest';
import { runCli } from '#cli/run.ts';
import { fakeProcess } from '#test/support/fake-process.ts';

const FIXTURES = 'src/adapters/mongoose/fixtures';

async function bundle(...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const process = fakeProcess({ cwd: '.', env: {} });
  const code = await runCli(['mongoose', 'bundle', ...args], process);
  return { code, out: process.out(), err: process.err() };
}

describe('headgate mongoose bundle', () => {
  it('says what a bundle is', async () => {
    const { code, out } = await bundle(`${FIXTURES}/bundle-zip-stored.zip`);
    expect([code, out]).toEqual([
      0,
      `firmware 2.0.1 for esp32 (logger), build 20261101-120000/main@abc1234
  size       1102 bytes
  sha256     ${/[0-9a-f]{64}/.exec(out)?.[0]}
  built      2026-11-01T12:00:00Z
  reportsAs  "2.0.1 20261101-120000/main@abc1234"
  part app   app, app.bin, 15 bytes
    sha1     f638b3ee508b880dc8ae69ff09fac0e2699ed9c2
    sha256   835ef4dad59ec0d658d77f39acbd58088620119cbc4d42775f4a9485e9ca9f2a
  part fs   fs, fs.img, 9 bytes
    sha1     d1965db552f82e6aa88e121aaaa69ef3a468e97d
    sha256   7176f22ad053376a47f46ea02a546ae3d5a12b8246385f25a81170b473896624
  unsigned
`,
    ]);
  });

  it('says who signed it', async () => {
    const keys = ['--key', `0=${FIXTURES}/bundle-key0.pem`];
    const { code, out } = await bundle(`${FIXTURES}/bundle-python-signed.zip`, ...keys);
    expect([code, out.split('\n').slice(-3)]).toEqual([0, ['  sig0       verified', '  sig2       no key given', '']]);
    const wrong = await bundle(`${FIXTURES}/bundle-python-signed.zip`, ...keys, '--key', `2=${FIXTURES}/bundle-key0.pem`, '--json');
    expect([wrong.code, JSON.parse(wrong.out)]).toMatchObject([
      1,
      {
        signatures: [
          { slot: 0, verdict: 'VERIFIED' },
          { slot: 2, verdict: 'WRONG' },
        ],
      },
    ]);
  });

  it('refuses one that is not signed for a key that the board has', async () => {
    const { code, out } = await bundle(`${FIXTURES}/bundle-zip-stored.zip`, '--key', `3=${FIXTURES}/bundle-key0.pem`);
    expect([code, out.split('\n').slice(-2)]).toEqual([1, ['  sig3       not signed for the key given', '']]);
  });

  it('says why no board takes it, in the words of the board', async () => {
    const { code, out } = await bundle(`${FIXTURES}/bundle-python-deflated.zip`);
    expect(code).toBe(1);
    expect(out).toContain('no board takes it: COMPRESSED');
    expect(out).toContain('it says    Cannot handle compressed .zip');
    const other = await bundle(`${FIXTURES}/bundle-zip-stored.zip`, '--platform', 'stm32');
    expect([other.code, other.out]).toEqual([
      1,
      expect.stringContaining('WRONG_PLATFORM the bundle is for platform esp32, and not for stm32'),
    ]);
  });

  it('says what it cannot read', async () => {
    expect(await bundle('nowhere.zip')).toMatchObject({ code: 1, err: expect.stringContaining('cannot read nowhere.zip') });
    const { code, err } = await bundle(`${FIXTURES}/bundle-zip-stored.zip`, '--key', 'fleet.pem');
    expect([code, err]).toEqual([1, expect.stringContaining('write SLOT=FILE, the slot from 0 to 7')]);
  });
});

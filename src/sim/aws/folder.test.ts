import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fakeProcess } from '#test/support/fake-process.ts';
import { runCli } from '#cli/run.ts';
import { VirtualClock } from '#sim/clock.ts';
import { makeAwsIot, shownAs } from './aws-iot.ts';
import { awsFolder, enrolFolder } from './folder.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'headgate-aws-folder-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe('the folder of certificates', () => {
  it('is made once, with keys for the owner alone, and taken up again', async () => {
    const folder = join(dir, 'kept');
    const files = await awsFolder(folder);
    const first = makeAwsIot({ clock: new VirtualClock(0), ca: files });
    await enrolFolder(first, folder, ['logger-7']);
    expect((await readdir(folder)).toSorted((a, b) => a.localeCompare(b))).toEqual(
      ['ca', 'claim', 'logger-7'].flatMap((name) => [`${name}.key`, `${name}.pem`]),
    );
    for (const name of ['ca', 'claim', 'logger-7']) expect((await stat(join(folder, `${name}.key`))).mode & 0o077).toBe(0);
    const pem = await readFile(join(folder, 'logger-7.pem'), 'utf8');
    expect(await awsFolder(folder)).toEqual(files);
    const again = makeAwsIot({ clock: new VirtualClock(0), ca: files });
    await enrolFolder(again, folder, ['logger-7', 'logger-8']);
    expect(await readFile(join(folder, 'logger-7.pem'), 'utf8')).toBe(pem);
    const { fingerprint } = shownAs(pem);
    for (const aws of [first, again]) {
      expect(aws.registry.certificate(fingerprint)).toMatchObject({ status: 'ACTIVE', things: ['logger-7'], policies: ['open'] });
      await aws.close();
    }
  });

  it.each([
    ['a switch that there is not', ['--switch', 'sometimes=1'], 'BAD_AWS: "sometimes" is no switch'],
    ['a value that it may not have', ['--switch', 'limits=perhaps'], 'BAD_AWS: limits is true or false, not "perhaps"'],
    ['a name that leads out of the folder', ['../x'], 'BAD_AWS: a thing cannot be called "../x" here'],
    ['the name of the CA', ['ca'], 'BAD_AWS: a thing cannot be called "ca" here'],
  ])('is not served with %s', async (_, args, said) => {
    const process = fakeProcess({ cwd: dir });
    const code = await runCli(['sim', 'aws', '--mqtt-port', '0', '--https-port', '0', '--ca', 'refused', ...args], process);
    expect([code, process.err()]).toEqual([1, expect.stringContaining(said)]);
  });

  it('is not served with half a CA, nor with one that is none', async () => {
    await awsFolder(join(dir, 'half'));
    await rm(join(dir, 'half', 'ca.key'));
    await awsFolder(join(dir, 'bad'));
    await writeFile(join(dir, 'bad', 'ca.pem'), 'x');
    for (const [name, said] of Object.entries({ half: 'has only one of ca.pem and ca.key', bad: 'the CA is no certificate' })) {
      const process = fakeProcess({ cwd: dir });
      const code = await runCli(['sim', 'aws', '--mqtt-port', '0', '--https-port', '0', '--ca', name], process);
      expect([code, process.err()]).toEqual([1, expect.stringContaining(said)]);
    }
  });
});

import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock } from '#sim/clock.ts';
import { caCertificate } from '#test/support/ca-certificates.ts';
import { readCrl, serialOf, withRevoked } from './crl.ts';
import { openCrlRevocation, type CrlRevocationOptions } from './revocation-crl.ts';

const NOW = Date.parse('2026-11-23T08:00:00Z');
const CA = caCertificate('devices');
const STRANGERS = caCertificate('strangers');
const [ONE, TWO] = ['moor-1', 'moor-2'].map((name) => caCertificate(name, { issuer: CA }).der);
const FOREIGN = caCertificate('moor-1', { issuer: STRANGERS }).der;
const first = ONE ?? new Uint8Array();
const second = TWO ?? new Uint8Array();

let folder: string;
let hangups = 0;
const onHangup = (): void => void (hangups += 1);
const clock = new VirtualClock(NOW);
const signal = new AbortController().signal;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headgate-crl-'));
  hangups = 0;
  process.on('SIGHUP', onHangup);
  await writeFile(join(folder, 'ca.pem'), CA.pem);
  await writeFile(join(folder, 'ca.key'), CA.key.export({ type: 'pkcs8', format: 'pem' }));
  await writeFile(join(folder, 'pid'), `${process.pid}\n`);
});
afterEach(async () => {
  process.off('SIGHUP', onHangup);
  await rm(folder, { recursive: true });
});

function file(name: string): string {
  return join(folder, name);
}

function open(change: Partial<CrlRevocationOptions> = {}) {
  const [caFile, keyFile, pidFile] = [file('ca.pem'), file('ca.key'), file('pid')];
  return openCrlRevocation({ connection: 'field', path: file('crl.pem'), caFile, keyFile, pidFile, clock, ...change });
}

/** Signals arrive in their own turn. */
async function heard(count: number): Promise<void> {
  for (let turn = 0; turn < 1000; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(hangups).toBe(count);
}

describe('withdrawal by a list', () => {
  it('puts the certificate on it, tells the broker, and leaves all others', async () => {
    const revocation = open();
    expect(await revocation.state(first, signal)).toBe('unknown');
    await clock.run(revocation.withdraw(first, signal));
    await heard(1);
    expect([await revocation.state(first, signal), await revocation.state(second, signal)]).toEqual(['withdrawn', 'accepted']);
    await clock.run(revocation.withdraw(second, signal));
    expect((await readCrl(await readFile(file('crl.pem')))).serials).toEqual(
      new Set([first, second].map((der) => serialOf(new X509Certificate(der)))),
    );
    expect(await open().state(first, signal)).toBe('withdrawn');
  });

  it('done twice changes nothing, and tells the broker again: the first word may never have reached it', async () => {
    await clock.run(open().withdraw(first, signal));
    const before = await stat(file('crl.pem'), { bigint: true });
    await clock.run(open().withdraw(first, signal));
    expect((await stat(file('crl.pem'), { bigint: true })).mtimeNs).toBe(before.mtimeNs);
    await heard(2);
  });

  it('of two at a time loses none', async () => {
    const revocation = open();
    await clock.run(Promise.all([revocation.withdraw(first, signal), revocation.withdraw(second, signal)]));
    expect((await readCrl(await readFile(file('crl.pem')))).serials.size).toBe(2);
  });

  it('of a certificate of another CA is refused: serial numbers mean nothing there', async () => {
    const revocation = open();
    await clock.run(revocation.withdraw(first, signal));
    expect(await revocation.state(FOREIGN, signal)).toBe('unknown');
    await expect(clock.run(revocation.withdraw(FOREIGN, signal))).rejects.toMatchObject({ code: 'CRL_OTHER_CA' });
    const key = STRANGERS.key.export({ type: 'pkcs8', format: 'pem' });
    const ca = { certificate: Buffer.from(STRANGERS.pem), key: Buffer.from(key) };
    const list = await readFile(file('crl.pem'));
    await expect(withRevoked(list, { certificate: FOREIGN, ca, at: NOW })).rejects.toMatchObject({ code: 'CRL_OTHER_CA' });
  });

  it.each([
    ['caFile', 'MISSING_ENV'],
    ['keyFile', 'MISSING_ENV'],
    ['pidFile', 'MISSING_ENV'],
  ] as const)('without %s is an error before anything is written', async (name, code) => {
    await expect(clock.run(open({ [name]: null }).withdraw(first, signal))).rejects.toMatchObject({ code });
    await expect(stat(file('crl.pem'))).rejects.toThrow('ENOENT');
  });

  it('at a broker that is gone is an error; it reads the list when it starts', async () => {
    const { pid } = spawnSync(process.execPath, ['--version']);
    await writeFile(file('pid'), `${pid}`);
    await expect(clock.run(open().withdraw(first, signal))).rejects.toMatchObject({ code: 'BROKER_GONE' });
    expect(await open().state(first, signal)).toBe('withdrawn');
  });

  it('leaves a file alone that is no list, and says nothing of the key', async () => {
    await writeFile(file('crl.pem'), 'certainly none');
    await expect(clock.run(open().withdraw(first, signal))).rejects.toMatchObject({ code: 'BAD_CRL' });
    expect(await readFile(file('crl.pem'), 'utf8')).toBe('certainly none');
    await rm(file('crl.pem'));
    await writeFile(file('ca.key'), 'SECRET-BUT-NO-KEY');
    const failed: unknown = await clock.run(open().withdraw(first, signal)).catch((error: unknown) => error);
    expect(String(failed)).not.toContain('SECRET');
    expect(failed).toBeInstanceOf(Error);
  });
});

describe('the list', () => {
  it('is in force a day before, for brokers whose clock is behind, and as long as its CA', async () => {
    const ca = { certificate: Buffer.from(CA.pem), key: Buffer.from(CA.key.export({ type: 'pkcs8', format: 'pem' })) };
    const text = await withRevoked(null, { certificate: first, ca, at: NOW });
    const { CertificateRevocationList } = await import('pkijs');
    const der = Buffer.from((text ?? '').replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
    const list = CertificateRevocationList.fromBER(new Uint8Array(der).slice().buffer);
    expect(list.thisUpdate.value.getTime()).toBe(NOW - 24 * 3_600_000);
    expect(list.nextUpdate?.value.getTime()).toBe(new X509Certificate(CA.pem).validToDate.getTime());
  });
});

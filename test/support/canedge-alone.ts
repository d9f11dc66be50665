import { expect } from 'vitest';
import { buildSimFirmware } from '#adapters/canedge/sim-image.ts';
import { buildSimConfig } from '#adapters/canedge/sim-schema.ts';
import { runCli } from '#cli/run.ts';
import { crc32Hex } from '#kit/digest.ts';
import { SECOND_MS } from '#kit/duration.ts';
import type { SigningCredentials } from '#kit/sigv4.ts';
import type { ObjectStore } from '#ports/object-store.ts';

/** Of each step. A second is enough, where nobody else wants the processors. */
const LIMIT_MS = 60 * SECOND_MS;
/** 600 s between two polls are one second. */
const SCALE = '600';
const IDS = ['5EED0001', '5EED0002', '5EED0003'] as const;

/**
 * `headgate sim canedge` on a bucket that a foreign program looks into: it is filled, a config and a firmware put there are
 * taken, and the reports say so. `store` is the foreign program's own way to the bucket.
 */
export async function assertServesAlone(bucket: {
  readonly url: string;
  readonly name: string;
  readonly credentials: SigningCredentials;
  readonly store: ObjectStore;
}): Promise<void> {
  const { url, name, credentials, store } = bucket;
  const stop = new AbortController();
  const out: string[] = [];
  const keys = ['--access-key', credentials.accessKeyId, '--secret-key', credentials.secretAccessKey];
  const stream = { write: (text: string) => out.push(text) };
  const running = runCli(['sim', 'canedge', '--s3', url, '--bucket', name, ...keys, '--scale', SCALE, '--logs', '10m'], {
    stdout: stream,
    stderr: stream,
    env: {},
    cwd: '.',
    signal: stop.signal,
    exit: (code) => {
      throw new Error(`exit ${code}`);
    },
  });
  try {
    await until('all have reported', async () => (await Promise.all(IDS.map((id) => report(store, id)))).every((file) => file !== null));
    const [id] = IDS;
    expect(await report(store, id)).toMatchObject({ id, type: '0000001F', fw_ver: '01.08.05', cfg_name: 'config-01.08.json' });
    const config = new TextEncoder().encode(JSON.stringify(buildSimConfig('01.08', 'CANedge2', { meta: 'Truck1', logfiles: 1 })));
    await store.put(`${id}/config-01.08.json`, config);
    await until('the config is taken', async () => (await report(store, id))?.['cfg_crc32'] === crc32Hex(config));
    await store.put(`${id}/firmware.bin`, buildSimFirmware({ model: 'CANedge2', version: '01.08.06' }));
    await until('the firmware is taken', async () => (await report(store, id))?.['fw_ver'] === '01.08.06');
    await until('a log is there', async () => (await store.list({ prefix: `${id}/0` })).objects.some(({ key }) => key.endsWith('.MF4')));
    expect((await report(store, IDS[1]))?.['fw_ver']).toBe('01.08.05');
  } finally {
    stop.abort();
    await running;
  }
  expect(out.join('')).toContain(`${IDS[0]}  flash 01.08.05 → 01.08.06`);
}

async function report(store: ObjectStore, id: string): Promise<Readonly<Record<string, unknown>> | null> {
  const found = await store.get(`${id}/device.json`);
  return typeof found === 'string' ? null : (JSON.parse(new TextDecoder().decode(found.bytes)) as Record<string, unknown>);
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`it did not come to that: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

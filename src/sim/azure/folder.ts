import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AzureServer } from './server.ts';

/** A certificate of each device, `ID.pem` and `ID.key` in the folder; made where they are not there. */
export async function certifyFolder(server: Pick<AzureServer, 'certify'>, dir: string, devices: readonly string[]): Promise<void> {
  for (const device of devices) {
    const path = join(dir, `${device}.pem`);
    if (await exists(path)) continue;
    const { certificate, key } = await server.certify(device);
    await writeFile(join(dir, `${device}.key`), key, { mode: 0o600 });
    await writeFile(path, certificate);
  }
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

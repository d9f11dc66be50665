import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildOsImage } from '#adapters/campbell/sim-image.ts';
import { buildFirmwareImage } from '#adapters/canedge/image.ts';
import { buildRuleSchema } from '#adapters/canedge/sim-schema.ts';
import { buildNodeImage } from '#adapters/drogue/sim-image.ts';

interface ImageSpec {
  readonly file: string;
  readonly family: 'campbell' | 'canedge' | 'drogue';
  readonly model: string;
  readonly version: string;
  readonly bootsBack?: boolean;
  readonly bricks?: boolean;
  /** Bytes of an image for nodes. */
  readonly size?: number;
}

/** Makes the firmware files that a fleet's images.json lists, and removes the list: no vendor's image is in this repo. */
export async function writeImages(dir: string): Promise<void> {
  const list = join(dir, 'images.json');
  if (!existsSync(list)) return;
  for (const spec of JSON.parse(await readFile(list, 'utf8')) as readonly ImageSpec[]) {
    const path = join(dir, spec.file);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, imageOf(spec));
  }
  await rm(list);
}

function imageOf(spec: ImageSpec): Uint8Array {
  const { model, version } = spec;
  if (spec.family === 'campbell') {
    return buildOsImage({ model, version, extra: { bootsBack: spec.bootsBack === true, bricks: spec.bricks === true } });
  }
  if (spec.family === 'drogue') return buildNodeImage({ version, size: spec.size ?? 4096 });
  const schema = buildRuleSchema(version.slice(0, 5));
  return buildFirmwareImage({ model, version, schema, config: {} });
}

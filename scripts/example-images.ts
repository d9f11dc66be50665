import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { buildOsImage } from '#adapters/campbell/sim-image.ts';
import { buildFirmwareImage } from '#adapters/canedge/image.ts';
import { buildRuleSchema } from '#adapters/canedge/sim-schema.ts';

import { exampleSealed } from './example-sealed.ts';

const FOLDER = 'fleet-example/files/firmware';
const IMAGE_BYTES = 6 * 1024;

/**
 * The firmware files of the example network: small made-up images for the simulated devices, because the vendors' own may
 * not be handed on. In the demo some loggers do not boot CR1000X 8.6.0. Answers bytes by path.
 */
export function exampleImages(): ReadonlyMap<string, Uint8Array> {
  const images = new Map<string, Uint8Array>();
  const os = (name: string, version: string): void => {
    const model = name.slice(0, name.indexOf('.'));
    images.set(`${FOLDER}/${name}.obj`, buildOsImage({ model, version, extra: { size: IMAGE_BYTES } }));
  };
  os('CR1000X.Std.08.02.01', '8.2.1');
  os('CR1000X.Std.08.05.01', '8.5.1');
  os('CR1000X.Std.08.06.00', '8.6.0');
  os('CR6.Std.14.02.00', '14.2.0');
  os('CR6.Std.14.05.01', '14.5.1');
  os('CR300.Std.11.00', '11.0.0');
  os('CR300.Std.11.03', '11.3.0');
  for (const model of ['CANedge2', 'CANedge3 GNSS']) {
    for (const version of ['01.08.05', '01.09.03']) {
      images.set(`${FOLDER}/${model.replace(' ', '-')}-${version}.bin`, canedgeImage(model, version));
    }
  }
  return images;
}

/** Carries the Rule Schema of its series and the default config, as the vendor's images do (docs/protocols/canedge-s3.md §6.1). */
function canedgeImage(model: string, version: string): Uint8Array {
  const series = version.slice(0, 5);
  const config = readFileSync(`fleet-example/files/can/base-${series}.json`);
  const filler = new Uint8Array(IMAGE_BYTES).map((_, index) => (index * 31 + version.charCodeAt(7)) & 0xff);
  return buildFirmwareImage({ model, version, schema: buildRuleSchema(series, model), config, filler });
}

function main(): void {
  for (const [path, bytes] of [...exampleImages(), ...exampleSealed()]) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
    console.log(`${path}  ${bytes.length} bytes`);
  }
}

if (import.meta.main) main();

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseOsImage } from '#adapters/campbell/sim-image.ts';
import { parseFirmwareImage } from '#adapters/canedge/image.ts';
import { runCli } from '#cli/run.ts';
import { exampleImages } from '#scripts/example-images.ts';
import { exampleSealed, unseal } from '#scripts/example-sealed.ts';
import { fakeProcess } from '#test/support/fake-process.ts';

describe('the example network', () => {
  it('validates without a word of blame', async () => {
    const process = fakeProcess();
    const code = await runCli(['validate', '--repo', 'fleet-example', '--at', '2026-11-23T09:00Z', '--json'], process);
    expect(JSON.parse(process.out())).toEqual({ valid: true, diagnostics: [] });
    expect(code).toBe(0);
  });

  it('has ten loggers of three models and eight vehicles of two', async () => {
    const process = fakeProcess();
    await runCli(['devices', '--repo', 'fleet-example', '--json'], process);
    const devices = JSON.parse(process.out()) as readonly { readonly family: string; readonly model: string; readonly group: string }[];
    expect(new Set(devices.filter(({ family }) => family === 'campbell').map(({ model }) => model))).toEqual(
      new Set(['CR1000X', 'CR6', 'CR300']),
    );
    expect(devices.filter(({ family }) => family === 'campbell')).toHaveLength(10);
    expect(devices.filter(({ group }) => group === 'vehicles')).toHaveLength(8);
  });

  it.each([...exampleImages(), ...exampleSealed()])('holds what the scripts make of %s', (path, bytes) => {
    expect(Buffer.from(bytes).equals(readFileSync(path))).toBe(true);
  });

  it('has images that devices of their model take and keep', () => {
    const images = [...exampleImages().values()];
    const os = images.flatMap((bytes) => parseOsImage(bytes) ?? []);
    const firmware = images.flatMap((bytes) => {
      const parsed = parseFirmwareImage(bytes);
      return parsed.ok ? [parsed.value] : [];
    });
    expect(os.length + firmware.length).toBe(images.length);
    expect(os.filter(({ bootsBack, bricks }) => bootsBack || bricks)).toEqual([]);
    expect(new Set(firmware.map(({ series }) => series))).toEqual(new Set(['01.08', '01.09']));
  });

  it('carries secrets only as ciphertext, and each differs from the others', () => {
    const stored = [...exampleSealed().values()].map((bytes) => {
      const layer = JSON.parse(new TextDecoder().decode(bytes)) as {
        connect: { s3: { server: { keyformat: number; secretkey: string } } };
      };
      expect(layer.connect.s3.server.keyformat).toBe(1);
      return layer.connect.s3.server.secretkey;
    });
    expect(new Set(stored).size).toBe(8);
    expect(new Set(stored.map(unseal)).size).toBe(1);
  });

  it('keeps the line ends of each program as they were written', () => {
    expect(readFileSync('fleet-example/files/programs/MOOR_HOUSE_v14.CR1X', 'latin1')).toContain('\r\n');
    expect(readFileSync('fleet-example/files/programs/MAIZE_BECK_v4.CR6', 'latin1')).not.toContain('\r');
    expect(readFileSync('fleet-example/.gitattributes', 'utf8')).toMatch(/^files\/programs\/\* -text$/m);
  });
});

import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { readBundle } from '#adapters/mongoose/bundle.ts';
import { buildSimBundle } from '#adapters/mongoose/sim-image.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import { mongooseVectors } from '#test/support/mongoose-vectors.ts';
import { BUILD, mongooseFiles, PLATFORM } from '#test/support/mongoose-fleet.ts';
import type { Files } from '#test/support/memory-fleet.ts';
import { classicShadow } from './classic-shadow.ts';
import { DEVICE, type FamilyPages, type FamilyTrial } from './family.ts';

const THING = `esp32_${DEVICE}`;
const FIXTURES = 'src/adapters/mongoose/fixtures';

function files(written: { readonly firmware?: string; readonly host?: string } = {}): Files {
  const {
    'fleet.yaml': _fleet,
    'rollouts/careful.yaml': _rollout,
    ...rest
  } = mongooseFiles({
    host: '1.0.0',
    options: '{ ota: shadow, commit: self, host: { reported: /host } }',
    boards: [DEVICE],
    ...written,
  });
  return rest;
}

const trial = {
  ...classicShadow(THING),
  family: 'mongoose',
  files: files(),
  doneMs: 2 * MINUTE_MS,
  stranger: { fault: 'wrongIdentity', value: '5ECFFFFFFFF0', shownMs: MINUTE_MS },
  isOld: (_item: string, value: string) => value.startsWith(`1.0.0 ${BUILD}`),
} as const;

/** Calls leave nothing to listen to, and are told by the tests of the driver. */
export const MONGOOSE_TRIALS: readonly FamilyTrial[] = [
  { ...trial, next: files({ firmware: '2.0.0' }), item: 'firmware', effect: 'flash' },
  { ...trial, next: files({ host: '2.0.0' }), item: 'firmware.host', effect: 'host' },
];

/** What becomes of each archive; bundle.test.ts has why. */
const BUNDLES: Readonly<Record<string, boolean>> = {
  'bundle-python-deflated.zip': false,
  'bundle-python-signed.zip': true,
  'bundle-python-stored.zip': true,
  'bundle-python-twice.zip': false,
  'bundle-zip-folder.zip': false,
  'bundle-zip-stored.zip': true,
};

function bundleReads(file: string, reads: boolean): void {
  expect(readBundle(readFileSync(`${FIXTURES}/${file}`)).ok).toBe(reads);
}

function isPublicKey(file: string): void {
  expect(readFileSync(`${FIXTURES}/${file}`, 'utf8')).toMatch(/^-----BEGIN PUBLIC KEY-----/);
}

export const MONGOOSE_PAGES: FamilyPages = {
  family: 'mongoose',
  fixtures: [
    ...mongooseVectors(),
    ...Object.entries(BUNDLES).map(([file, reads]) => ({
      file,
      name: reads ? 'is read' : 'is refused',
      check: () => bundleReads(file, reads),
    })),
    ...['bundle-key0.pem', 'bundle-key2.pem'].map((file) => ({
      file,
      name: 'is a public key',
      check: () => isPublicKey(file),
    })),
  ],
  readme: {
    'files/firmware/logger-2.0.0.zip': buildSimBundle({ platform: PLATFORM, version: '2.0.0', buildId: BUILD }),
    'files/firmware/logger-2.0.1.zip': buildSimBundle({ platform: PLATFORM, version: '2.0.1', buildId: BUILD }),
    'files/firmware/host-1.4.0.zip': buildSimBundle({ platform: 'ccm_host', version: '1.4.0', buildId: BUILD, type: 'STM32' }),
  },
};

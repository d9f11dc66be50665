import { err, ok } from '#kit/result.ts';
import type { Json } from '#kit/canonical.ts';
import { crc32Hex, sha256 } from '#kit/digest.ts';
import { canonicalJson } from '#kit/canonical.ts';
import { digest } from '#model/ids.ts';
import type { DeviceFacts, ExpectedItem, Family, PinnedItem } from '#ports/family.ts';
import type { Result } from '#kit/result.ts';
import type { FamilyProblem } from '#ports/family.ts';

const OPTIONS: Json = {
  type: 'object',
  additionalProperties: false,
  properties: {
    dialect: { type: 'string', enum: ['old', 'new'] },
    retries: { type: 'integer', minimum: 0 },
    fast: { type: 'boolean' },
  },
};

const SETTINGS: Json = {
  type: 'object',
  additionalProperties: false,
  properties: {
    interval: { type: 'integer' },
    name: { type: 'string' },
    constants: { type: 'object', additionalProperties: { type: 'number' } },
  },
};

/**
 * A family that carries every item declare can render, with two models, series XX.YY out of versions XX.YY.ZZ, typed
 * options and settings. Only its declarative half does anything: it has no device to talk to.
 */
const testFamily: Family = {
  name: 'test',
  items: ['config', 'firmware', 'program', 'settings', 'trust'],
  measures: { battery: 'V', errors: 'count' },
  optionsSchema: OPTIONS,
  settingsSchema: SETTINGS,
  models: ['T1', 'T2'],
  lint: (device) => (device.address === 'bad' ? [{ code: 'TEST_ADDRESS', summary: 'this address is bad' }] : []),
  series: (firmware) => /^(\d\d\.\d\d)\.\d\d$/.exec(firmware)?.[1] ?? null,
  compareVersions,
  expectation,
  agrees: () => false,
  operations: () => ({ drafts: [], impossible: [] }),
  confirm: () => ({ kind: 'open', phase: 'IN_FLIGHT', takenAt: null, oldValueSeenAt: null, evidence: '' }),
  withdrawal: () => [],
  lostAfterMs: () => 0,
  attention: null,
  reasons: {},
};

export const TEST_FAMILIES: ReadonlyMap<string, Family> = new Map([[testFamily.name, testFamily]]);

function compareVersions(a: string, b: string): number | null {
  const [left, right] = [a.split('.').map(Number), b.split('.').map(Number)];
  if ([...left, ...right].some((part) => !Number.isInteger(part))) return null;
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const order = (left[index] ?? 0) - (right[index] ?? 0);
    if (order !== 0) return order;
  }
  return 0;
}

function expectation(device: DeviceFacts, pin: PinnedItem): Result<ExpectedItem, FamilyProblem> {
  if (pin.item === 'config' || pin.item === 'settings') {
    const bytes = new TextEncoder().encode(canonicalJson(pin.document));
    const content = { kind: 'bytes', name: `${pin.item}.json`, digest: digest(sha256(bytes)), size: bytes.length, bytes } as const;
    return ok({ value: crc32Hex(bytes), version: pin.item, facts: { document: pin.document, firmware: pin.firmware }, content });
  }
  if (pin.item === 'trust') {
    const value = pin.certificates.map(sha256).toSorted().join(' ');
    return ok({ value, version: pin.artifact?.version ?? '', facts: {}, content: null });
  }
  if (pin.content === null) return err({ code: 'TEST_NO_CONTENT', summary: `${device.id} needs bytes` });
  if (pin.content.name.endsWith('.bad')) return err({ code: 'TEST_BAD_FILE', summary: `${pin.content.name} is bad for ${device.id}` });
  const version = pin.artifact?.version ?? pin.content.name;
  return ok({ value: pin.artifact?.reportsAs ?? version, version, facts: { firmware: pin.firmware }, content: pin.content });
}

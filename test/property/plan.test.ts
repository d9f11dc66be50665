import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '#kit/canonical.ts';
import { deviceId, operationId } from '#model/ids.ts';
import type { OpenOperation } from '#model/operation.ts';
import type { LedgerView } from '#model/records.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import { reportedFor } from '#observe/reported.ts';
import { identify } from '#plan/identity.ts';
import { makePlan } from '#plan/plan.ts';
import { decide } from '#rollout/decide.ts';
import { syntheticDeclared, syntheticFamily, syntheticReport, syntheticView } from '#test/support/synthetic.ts';

const DEVICES = 12;
const declared = syntheticDeclared({ devices: DEVICES, groups: 3 });
const present = syntheticDeclared({ devices: DEVICES, groups: 3, version: '1.0.0' });
const families = new Map([['synthetic', syntheticFamily]]);
const NOW = 1_790_000_600_000;

/** What a device may say, the odd included. */
interface Said {
  readonly version: '1.0.0' | '2.0.0' | '9.9.9';
  readonly odd: 'none' | 'silent' | 'unknown' | 'ageless' | 'stranger' | 'torn' | 'gone';
  readonly open: boolean;
  readonly occasion: number;
}

const said: fc.Arbitrary<Said> = fc.record({
  version: fc.constantFrom('1.0.0', '2.0.0', '9.9.9'),
  odd: fc.constantFrom('none', 'none', 'none', 'silent', 'unknown', 'ageless', 'stranger', 'torn', 'gone'),
  open: fc.boolean(),
  occasion: fc.integer({ min: 0, max: 3 }),
});

function reportOf(row: number, { version, odd }: Said): ReportedDevice | null {
  const good = syntheticReport(declared, row, { share: 1, version });
  const { firmware } = good.items;
  const withFirmware = (item: ReportedItem): ReportedDevice => ({ ...good, items: { ...good.items, firmware: item } });
  switch (odd) {
    case 'silent':
      return null;
    case 'unknown':
      return withFirmware({ kind: 'unknown', why: 'REPORT_UNREADABLE', detail: 'torn', source: 'test' });
    case 'ageless':
      return firmware?.kind === 'value' ? withFirmware({ ...firmware, madeNotBefore: null }) : good;
    case 'stranger':
      return { ...good, serial: 'another' };
    case 'torn':
      return { ...good, problem: { reason: 'REPORT_UNREADABLE', detail: 'cut short' } };
    case 'gone':
      return { ...good, online: false };
    default:
      return good;
  }
}

function openOn(row: number): OpenOperation {
  const device = declared.deviceAt(row);
  const [item] = device.items;
  const group = device.group;
  const release = group === null ? undefined : declared.groups.get(group)?.release.id;
  if (item === undefined || group === null || release === undefined) throw new Error('nothing is declared');
  const drafts = syntheticFamily.operations({
    device,
    items: device.items,
    reported: syntheticReport(declared, row, { share: 1, version: '1.0.0' }),
    drifted: [item.item],
  }).drafts;
  const [draft] = drafts;
  if (draft === undefined) throw new Error('nothing drifts');
  const operation = identify(draft, { fleet: 'synthetic', device, group, release, history: undefined, cause: 'rollout' });
  const at = { intendedAt: 1_789_999_000_000, reference: 1_789_999_000_000, takenAt: null, retryAt: null };
  return { operation: { ...operation, content: null }, attempt: 1, ...at, undo: null, lastTrouble: null };
}

function viewOf(fleet: readonly Said[]): LedgerView {
  const view = syntheticView(declared, present);
  const devices = new Map(view.devices);
  const open = new Map(view.open);
  for (const [row, one] of fleet.entries()) {
    const { id } = declared.deviceAt(row);
    const history = devices.get(id);
    if (history === undefined) continue;
    const failed =
      one.occasion === 3 && history.group !== null
        ? new Map([
            [
              operationId(`f${row}`),
              { code: 'BOOTED_BACK', evidence: 'x', release: declared.groups.get(history.group)?.release.id ?? '', at: 1 },
            ],
          ])
        : history.failed;
    devices.set(id, { ...history, failed, lastClosed: { firmware: one.occasion, config: 3 - one.occasion } });
    if (one.open) open.set(id, [openOn(row)]);
  }
  const [someone] = devices.values();
  if (someone !== undefined) for (const id of ['left-b', 'left-c', 'left-a']) devices.set(deviceId(id), someone);
  return { ...view, devices, open };
}

/** The same map or object, made in another order. */
function turned<K, V>(map: ReadonlyMap<K, V>): ReadonlyMap<K, V> {
  return new Map([...map].toReversed());
}

function reversedKeys<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const entries = Object.entries(value).toReversed();
  return Object.fromEntries(entries.map(([key, member]) => [key, reversedKeys(member as unknown)])) as T;
}

function bytesOf(reports: readonly ReportedDevice[], view: LedgerView): { readonly plan: string; readonly decision: string } {
  const reported = reportedFor(declared, reports);
  const plan = makePlan({ declared, reported, view, families, older: new Map() });
  const decision = decide({ plan, declared, reported, view, families, now: NOW, nextPassMs: null, genesis: false });
  const { groups: _groups, ...decided } = decision;
  return { plan: canonicalJson(plan), decision: canonicalJson(decided) };
}

const fleets = fc.tuple(
  fc.array(said, { minLength: DEVICES, maxLength: DEVICES }),
  fc.shuffledSubarray(
    Array.from({ length: DEVICES }, (_, row) => row),
    { minLength: DEVICES, maxLength: DEVICES },
  ),
);

const RUNS = { numRuns: 1000 };

describe('the plan is canonical', () => {
  it('the order in which reports and records came leaves no trace in a byte', () => {
    const property = fc.property(fleets, ([fleet, order]) => {
      const reports = fleet.flatMap((one, row) => reportOf(row, one) ?? []);
      const shuffled = order.flatMap((row) => (fleet[row] === undefined ? [] : (reportOf(row, fleet[row]) ?? [])));
      const view = viewOf(fleet);
      const turnedView = { ...view, devices: turned(view.devices), open: turned(view.open), groups: turned(view.groups) };
      expect(bytesOf(shuffled.map(reversedKeys), turnedView)).toEqual(bytesOf(reports, view));
    });
    fc.assert(property, RUNS);
  });

  it('a report of nobody, or one of a device twice with the last to count, changes nothing', () => {
    const property = fc.property(fleets, fc.nat(DEVICES - 1), ([fleet], row) => {
      const reports = fleet.flatMap((one, at) => reportOf(at, one) ?? []);
      const view = viewOf(fleet);
      const earlier = syntheticReport(declared, row, { share: 1, version: '9.9.9' });
      const known = reports.some((report) => report.device === earlier.device);
      const more = [{ ...earlier, device: deviceId('nobody') }, ...(known ? [earlier] : []), ...reports];
      expect(bytesOf(more, view)).toEqual(bytesOf(reports, view));
    });
    fc.assert(property, RUNS);
  });

  it('equal plans have equal digests, and others have others', () => {
    const property = fc.property(fleets, ([fleet]) => {
      const reports = fleet.flatMap((one, row) => reportOf(row, one) ?? []);
      const view = viewOf(fleet);
      const plan = (from: readonly ReportedDevice[]): ReturnType<typeof makePlan> =>
        makePlan({ declared, reported: reportedFor(declared, from), view, families, older: new Map() });
      const first = plan(reports);
      expect(plan(structuredClone(reports)).digest).toBe(first.digest);
      const changed = plan(reports.map((report) => ({ ...report, serial: 'moved', problem: null })));
      expect(changed.digest === first.digest).toBe(canonicalJson(changed) === canonicalJson(first));
    });
    fc.assert(property, RUNS);
  });
});

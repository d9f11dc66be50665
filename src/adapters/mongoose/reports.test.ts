import { describe, expect, it } from 'vitest';
import { SECOND_MS } from '#kit/duration.ts';
import type { Json } from '#kit/canonical.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import { deviceId } from '#model/ids.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { readShadowDocument, type JsonObject } from '#model/shadow.ts';
import type { ShadowSeen } from '#ports/shadows.ts';
import { answeredReport } from './answers.ts';
import { firmwareSeen, reportOf } from './reports.ts';
import { readInfo, readStatus } from './wire.ts';

const T = 1_800_000_000;
const device = {
  id: deviceId('b0'),
  address: null,
  serial: null,
  options: {},
  items: [{ item: 'firmware', value: '2.0.0 b2' }],
} as unknown as DeclaredDevice;

/** Members of `reported.ota`, each with the second that it was last named. */
type Members = Readonly<Record<string, readonly [Json, number]>>;

/** A look at a shadow that says so much, over what was known. */
function seen(members: Members, version: number, last?: ReportedDevice): ReportedDevice {
  const of = (part: (member: readonly [Json, number]) => Json): JsonObject =>
    Object.fromEntries(Object.entries(members).map(([name, member]) => [name, part(member)]));
  const document = readShadowDocument({
    state: { reported: { ota: of(([value]) => value) } },
    metadata: { reported: { ota: of(([, at]) => ({ timestamp: T + at })) } },
    version,
  });
  if (document === null) throw new Error('this is no document');
  const sight: ShadowSeen = { thing: 'b0', document, connected: true, connectedSince: null, source: 'get' };
  const report = reportOf(device, last, { sight, open: true, now: (T + 600) * SECOND_MS });
  if (report === undefined) throw new Error('nothing new');
  return report;
}

function trial(at: number, id: string): Members {
  return { fw_version: ['2.0.0', at], fw_id: [id, at], is_committed: [false, at] };
}

describe('a board that says its old fw_version again, and not its fw_id', () => {
  const back = (version: string): Members => ({ fw_version: [version, 90], fw_id: ['b2', 10], is_committed: [true, 90] });

  it('is what it was before, where the versions differ', () => {
    const before = seen({ fw_version: ['1.0.0', 1], fw_id: ['b1', 1], is_committed: [true, 1] }, 1);
    const after = seen(back('1.0.0'), 3, seen(trial(10, 'b2'), 2, before));
    expect(after.items.firmware).toMatchObject({ kind: 'value', value: '1.0.0 b1' });
  });

  it('is neither of two builds of one version', () => {
    const before = seen({ fw_version: ['2.0.0', 1], fw_id: ['b1', 1], is_committed: [true, 1] }, 1);
    const after = seen(back('2.0.0'), 3, seen(trial(10, 'b2'), 2, before));
    expect(after.items.firmware).toMatchObject({ kind: 'unknown', why: 'NEVER_REPORTED' });
  });

  it('does not keep what it tried, where nobody knows what it had', () => {
    const after = seen(back('2.0.0'), 3, seen(trial(10, 'b2'), 2));
    expect(after.items.firmware).toMatchObject({ kind: 'unknown', why: 'NEVER_REPORTED' });
  });
});

it('is read though its URL is that of a session token', () => {
  const url = `https://depot.s3.amazonaws.com/board.zip?X-Amz-Security-Token=${'a'.repeat(3000)}`;
  const read = seen({ fw_version: ['2.0.0', 1], fw_id: ['b2', 1], is_committed: [false, 1], url: [url, 1] }, 1);
  expect(read.items.firmware).toMatchObject({ kind: 'value', value: '2.0.0 b2 (on trial)' });
});

it('carries nothing of another board under the same name, by its shadow or by its answers', () => {
  const own = { fw_id: ['b1', 1], is_committed: [true, 1] } as const;
  const before = seen({ fw_version: ['1.0.0', 1], mac: ['5ECF7F060040', 1], ...own }, 1);
  const tries = seen({ ...trial(10, 'b2'), mac: ['5ECF7F060040', 10] }, 2, before);
  expect(firmwareSeen(tries.items.firmware)).toMatchObject({ tried: { value: '2.0.0 b2' }, before: '1.0.0 b1' });
  const spare = { fw_version: ['1.0.0', 90], fw_id: ['b1', 90], is_committed: [true, 90] } as const;
  const same = seen({ ...spare, mac: ['5E:CF:7F:06:00:40', 90] }, 3, tries);
  expect(firmwareSeen(same.items.firmware)).toMatchObject({ tried: { value: '2.0.0 b2' }, before: '1.0.0 b1' });
  const other = seen({ ...spare, mac: ['5ECF7F0600FF', 90] }, 3, tries);
  expect(firmwareSeen(other.items.firmware)).toMatchObject({ tried: null, before: null });
  const answers = {
    info: readInfo({ fw_version: '1.0.0', fw_id: 'b1', mac: '5ECF7F0600FF' }),
    status: readStatus({ state: 0, is_committed: true }),
    host: null,
  };
  const answered = answeredReport(device, tries, { answers, now: (T + 90) * SECOND_MS, alone: true });
  expect(firmwareSeen(answered.items.firmware)).toMatchObject({ tried: null, before: null });
});

import type { Json } from '#kit/canonical.ts';
import { shortDigest } from '#model/ids.ts';
import type { DeviceId, Instant } from '#model/ids.ts';
import type { LedgerRecord, RecordBody } from '#model/records.ts';
import { recordText } from './events.ts';
import { alignRows } from './table.ts';
import { dayTimeZone, isoInstant } from './time.ts';

export interface HistoryLine {
  readonly seq: number;
  /** The instant of the record, or of the pass before it. */
  readonly at: Instant | null;
  readonly commit: string | null;
  readonly text: string;
}

/** The ledger in words, oldest first; with a device only what concerns it. Each line is tied to the commit in force. */
export function historyLines(records: readonly LedgerRecord[], device: DeviceId | null, zone: string): readonly HistoryLine[] {
  const owners = new Map<string, DeviceId>();
  const lines: HistoryLine[] = [];
  let commit: string | null = null;
  let at: Instant | null = null;
  for (const { seq, body } of records) {
    if (body.type === 'pass') commit = body.commit;
    if (body.type === 'intent') owners.set(body.operation.id, body.operation.device);
    at = instantOf(body) ?? at;
    const text = device === null || concerns(body, device, owners) ? recordText(body, zone) : null;
    if (text !== null) lines.push({ seq, at, commit, text });
  }
  return lines;
}

function instantOf(body: RecordBody): Instant | null {
  return 'at' in body ? body.at : null;
}

function concerns(body: RecordBody, device: DeviceId, owners: ReadonlyMap<string, DeviceId>): boolean {
  switch (body.type) {
    case 'intent':
      return body.operation.device === device;
    case 'outcome':
    case 'taken':
      return owners.get(body.operation) === device;
    case 'closed':
      return body.device === device;
    case 'pinned':
      return body.entries.some((entry) => entry.device === device);
    case 'inventory':
      return body.left.includes(device) || body.set.some((entry) => entry.device === device);
    case 'event':
      return (
        ('device' in body.event && body.event.device === device) ||
        (body.event.kind === 'wave-opened' && body.event.members.includes(device)) ||
        (body.event.kind === 'rollout-began' && body.event.rollout.changed.includes(device))
      );
    case 'genesis':
    case 'pass':
    case 'converged':
      return false;
  }
}

export function historyText(lines: readonly HistoryLine[], zone: string): string {
  if (lines.length === 0) return 'nothing recorded';
  return alignRows(
    lines.map(({ seq, at, commit, text }) => [
      String(seq),
      at === null ? '' : dayTimeZone(at, zone),
      commit === null ? '' : shortDigest(commit),
      text,
    ]),
    [0],
  ).join('\n');
}

export function historyJson(lines: readonly HistoryLine[]): Json {
  return lines.map(({ seq, at, commit, text }) => ({ seq, at: isoInstant(at), commit, text }));
}

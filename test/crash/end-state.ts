import { sha256 } from '#kit/digest.ts';
import { foldRecords } from '#ledger/fold.ts';
import type { LedgerRecord } from '#model/records.ts';
import type { ObjectStore } from '#ports/object-store.ts';
import type { SimDevice } from '#ports/sim.ts';
import { applyRolloutEvent } from '#rollout/state.ts';

/** What a device is and what was done to it, in order: `flash 8.1.0 → 8.2.1`, `reboot session 3`. */
export interface DeviceEnd {
  readonly truth: Readonly<Record<string, string>>;
  readonly effects: readonly string[];
}

/** What must be the same however often the engine was killed. */
export interface WorldEnd {
  readonly devices: Readonly<Record<string, DeviceEnd>>;
  /** Digest of each config and firmware object in the devices' bucket. */
  readonly offers: Readonly<Record<string, string>>;
}

export async function worldEnd(devices: ReadonlyMap<string, SimDevice>, bucket: ObjectStore): Promise<WorldEnd> {
  const offers: Record<string, string> = {};
  const { objects } = await bucket.list({ prefix: '' });
  for (const { key } of objects) {
    if (!/\/(config-.*\.json|firmware\.bin)$/.test(key)) continue;
    const found = await bucket.get(key);
    if (typeof found !== 'string') offers[key] = sha256(found.bytes);
  }
  const ends = [...devices].map(([id, device]): [string, DeviceEnd] => [
    id,
    { truth: device.truth(), effects: device.effects.map(({ kind, detail }) => `${kind} ${detail}`) },
  ]);
  return { devices: Object.fromEntries(ends), offers };
}

/** What was done to each device, counted: `1 flash, 1 program`. */
export function doneTo({ devices }: WorldEnd): Readonly<Record<string, string>> {
  const counted = Object.entries(devices).map(([id, { effects }]) => {
    const counts = ['flash', 'program', 'config'].map(
      (kind) => [effects.filter((one) => one.startsWith(`${kind} `)).length, kind] as const,
    );
    return [id, counts.flatMap(([count, kind]) => (count === 0 ? [] : [`${count} ${kind}`])).join(', ')];
  });
  return Object.fromEntries(counted);
}

/** The rollouts of a ledger as people remember them. */
export interface LedgerEnd {
  readonly open: number;
  readonly groups: Readonly<
    Record<string, { readonly lineage: readonly string[]; readonly blocked: number; readonly past: readonly string[] }>
  >;
}

export function ledgerEnd(records: readonly LedgerRecord[]): LedgerEnd {
  const view = foldRecords(records, { event: applyRolloutEvent });
  const groups = [...view.groups].map(([name, { lineage, blocked, past, rollout }]): [string, LedgerEnd['groups'][string]] => [
    name,
    {
      lineage: lineage.map((entry) => entry.release),
      blocked: blocked.length,
      past: [...past, ...(rollout === null ? [] : [{ ...rollout, end: rollout.phase }])].map(
        ({ direction, to, end, waves }) =>
          `${direction} ${to} ${end}: ${waves.map((wave) => `${wave.name} ${wave.members?.join(' ') ?? 'closed'}`).join(', ')}`,
      ),
    },
  ]);
  return { open: view.open.size, groups: Object.fromEntries(groups.toSorted(([a], [b]) => (a < b ? -1 : 1))) };
}

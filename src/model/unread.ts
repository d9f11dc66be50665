import { compareText } from '#kit/diagnostics.ts';
import type { Declared } from './declared.ts';
import type { DeviceId } from './ids.ts';
import type { Reported, ReportedDevice } from './reported.ts';

/** A connection that could not be read while observing. */
export interface UnseenConnection {
  readonly connection: string;
  readonly code: string;
  readonly message: string;
}

/** A connection that broke, and the devices reached over it of which not even an earlier report exists. */
export interface UnreadDevices {
  readonly connection: string;
  /** Why, once each, sorted. */
  readonly codes: readonly string[];
  readonly devices: readonly DeviceId[];
}

/**
 * The devices of which a plan can say nothing, by connection in order of name: it broke, and they have no last report. Those
 * whose connection works and who never reported are not among them, nor those without a group: nothing is planned for them.
 */
export function unreadDevices(declared: Declared, reported: Reported, troubles: readonly UnseenConnection[]): readonly UnreadDevices[] {
  if (troubles.length === 0) return [];
  const { connections } = declared.fleet;
  const codes = Map.groupBy(troubles, ({ connection }) => connection);
  const unread = new Map<string, DeviceId[]>();
  for (let row = 0; row < declared.size; row += 1) {
    if (!isBlank(reported.deviceAt(row))) continue;
    const { id, group, via, family } = declared.deviceAt(row);
    // A driver that broke as a whole is in trouble under the name of its family.
    const broken = codes.has(via.connection) ? via.connection : connections.has(family) || !codes.has(family) ? null : family;
    if (group === null || broken === null) continue;
    const devices = unread.get(broken);
    if (devices === undefined) unread.set(broken, [id]);
    else devices.push(id);
  }
  return [...unread]
    .toSorted(([a], [b]) => compareText(a, b))
    .map(([connection, devices]) => {
      const why = (codes.get(connection) ?? []).map(({ code }) => code);
      return { connection, codes: [...new Set(why)].toSorted(compareText), devices };
    });
}

/** No report, or one in which a driver only noted which items it has still to ask for: nobody said anything, nobody looked. */
function isBlank(report: ReportedDevice | undefined): boolean {
  if (report === undefined) return true;
  const { heardAt, online, problem, items, measures, signs, memo } = report;
  if (heardAt !== null || online !== null || problem !== null || signs.length > 0) return false;
  if (Object.keys(measures).length > 0 || Object.keys(memo).some((name) => name !== 'hardware')) return false;
  return Object.values(items).every((item) => item?.kind === 'unknown');
}

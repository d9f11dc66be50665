import type { UnreadDevices } from '#model/unread.ts';
import type { PlanSummary } from './plan-summary.ts';
import { counted, effectOf } from './words.ts';

/**
 * What changes, as the first words of a plan: never that nothing does where nothing is known. The parts, for the caller to join:
 * `10 of 12 devices change`; `nothing is known of 3 of 12 devices: cloud UNREACHABLE`, `nothing changes on the other 9`.
 */
export function changeParts({ changing, devices, unread, unheard }: PlanSummary): readonly string[] {
  const all = counted(devices, 'device');
  const dark = darkCount(unread);
  const never = unheard.reduce((sum, one) => sum + one.devices, 0) - dark;
  if (changing > 0) {
    const rest = dark === 0 ? [] : [`nothing is known of ${dark}: ${whyUnread(unread)}`];
    return [`${changing} of ${all} ${effectOf(changing, 'changes')}`, ...rest];
  }
  const silent = never > 0 ? [`${never} NEVER_REPORTED`] : [];
  if (dark === 0) return [`nothing changes, ${[all, ...silent].join(', ')}`];
  const known = devices - dark;
  return [
    unreadText({ devices, unread }) ?? '',
    ...(known === 0 ? [] : [`nothing changes on the other ${[String(known), ...silent].join(', ')}`]),
  ];
}

/** `nothing is known of 3 of 12 devices: cloud UNREACHABLE`; null where each device that could not be read was read before. */
export function unreadText({ devices, unread }: Pick<PlanSummary, 'devices' | 'unread'>): string | null {
  const dark = darkCount(unread);
  return dark === 0 ? null : `nothing is known of ${dark} of ${counted(devices, 'device')}: ${whyUnread(unread)}`;
}

function darkCount(unread: readonly UnreadDevices[]): number {
  return unread.reduce((sum, { devices }) => sum + devices.length, 0);
}

const MOST_CONNECTIONS = 3;

/** `cloud UNREACHABLE`, `cloud NOT_AUTHORISED, field UNREACHABLE`: names are the fleet repo's identifiers, codes our own. */
function whyUnread(unread: readonly UnreadDevices[]): string {
  const shown = unread.slice(0, MOST_CONNECTIONS).map(({ connection, codes }) => `${connection} ${codes.join(' ')}`);
  const rest = unread.length - shown.length;
  return [...shown, ...(rest > 0 ? [counted(rest, 'more connection')] : [])].join(', ');
}

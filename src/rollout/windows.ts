import type { WindowDeclaration } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import { stretchAt } from '#model/window.ts';

export interface WindowState {
  /** Whether a change may begin now. */
  readonly open: boolean;
  /** While open: the last instant at which one may begin; null when it does not end within a week. */
  readonly closesAt: Instant | null;
  /** While closed: when the next one opens; null when none does within some two years. */
  readonly opensAt: Instant | null;
  /** The window that decides, in words, with the reason of a denied day. */
  readonly why: string;
}

const ALWAYS: WindowState = { open: true, closesAt: null, opensAt: null, why: 'any time' };

/**
 * Whether a change may begin in one of the windows at a device of that zone. No windows mean any time. A window that
 * names its own zone is judged there, one with `device` in the zone that is handed in; a bad zone is never open.
 */
export function windowState(windows: readonly WindowDeclaration[], zone: string, now: Instant): WindowState {
  if (windows.length === 0) return ALWAYS;
  return windows.map((window) => stateOf(window, window.zone === 'device' ? zone : window.zone, now)).reduce(better);
}

function better(a: WindowState, b: WindowState): WindowState {
  if (a.open !== b.open) return a.open ? a : b;
  if (a.open) return (a.closesAt ?? Infinity) >= (b.closesAt ?? Infinity) ? a : b;
  return (a.opensAt ?? Infinity) <= (b.opensAt ?? Infinity) ? a : b;
}

function stateOf(window: WindowDeclaration, zone: string, now: Instant): WindowState {
  let stretch;
  try {
    stretch = stretchAt(window, zone, now);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { open: false, closesAt: null, opensAt: null, why: `${window.name}: ${error.message}` };
  }
  if (stretch === null) return { open: false, closesAt: null, opensAt: null, why: `${window.name} does not open in the next two years` };
  if (stretch.from <= now) return { open: true, closesAt: stretch.to, opensAt: null, why: `${window.name} is open (${zone})` };
  return { open: false, closesAt: null, opensAt: stretch.from, why: `${window.name} is closed (${zone})${denialAt(window, zone, now)}` };
}

function denialAt(window: WindowDeclaration, zone: string, now: Instant): string {
  const day = new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short' }).format(now);
  const denied = window.deny.find(({ first, last }) => first <= day && day <= last);
  return denied === undefined ? '' : `: ${denied.why}`;
}

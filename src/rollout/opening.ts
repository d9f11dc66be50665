import type { Draft } from './draft.ts';
import { windowState } from './windows.ts';
import type { WindowState } from './windows.ts';

/** The state of named windows in a zone, worked out once per pass: a fleet has thousands of devices and few zones. */
export function windowsAt(draft: Draft, names: readonly string[], zone: string): WindowState {
  const key = `${zone}\n${names.join('\n')}`;
  const known = draft.windows.get(key);
  if (known !== undefined) return known;
  const windows = names.flatMap((name) => draft.input.declared.windows.get(name) ?? []);
  const state: WindowState =
    windows.length < names.length && windows.length === 0
      ? { open: false, closesAt: null, opensAt: null, why: `no window ${names.join(', ')} is declared` }
      : windowState(windows, zone, draft.now);
  draft.windows.set(key, state);
  return state;
}

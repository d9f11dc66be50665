import type { Json } from '#kit/canonical.ts';
import { compareText } from '#kit/diagnostics.ts';
import { HOUR_MS, SECOND_MS } from '#kit/duration.ts';
import type { Clock } from '#ports/clock.ts';
import {
  difference,
  EMPTY_BRANCH,
  fromEntries,
  merge,
  metadataOf,
  stamped,
  stateOf,
  type Branch,
  type JsonObject,
  type MergeRules,
} from './shadow-document.ts';
import { readPlain, readUpdate, TOO_LARGE, type ShadowErrorCode, type ShadowProblem, type UpdateRequest } from './shadow-request.ts';
import { SHADOW_SWITCHES, type ShadowSwitches } from './switches.ts';

export interface ShadowAddress {
  readonly thing: string;
  /** null for the classic shadow. */
  readonly shadow: string | null;
}

/** A request that was carried out. Documents are JSON texts, as they go over the wire. */
export interface ShadowAccepted {
  readonly ok: true;
  readonly version: number;
  /** What goes to `…/accepted`, and into the body of an answer over HTTP. */
  readonly document: string;
}

export interface ShadowUpdated extends ShadowAccepted {
  /** What goes to `update/delta`; null when nothing differs. */
  readonly delta: string | null;
  /** What goes to `update/documents`. */
  readonly documents: string;
}

export interface ShadowRefused {
  readonly ok: false;
  readonly code: ShadowErrorCode;
  readonly message: string;
  /** What goes to `…/rejected`. */
  readonly document: string;
}

/** What is stored now, for an index and for tests. */
export interface ShadowContent {
  readonly version: number;
  readonly state: JsonObject;
  readonly metadata: JsonObject;
  /** The open differences; null when there are none. */
  readonly delta: JsonObject | null;
}

export interface ShadowStoreOptions {
  readonly clock: Pick<Clock, 'now'>;
  readonly switches?: Partial<ShadowSwitches>;
}

interface Shadow {
  readonly version: number;
  readonly desired: Branch;
  readonly reported: Branch;
}

/** What is left of a deleted shadow: its version counts on for 48 h (aws-iot.md §5.6). */
interface Tombstone {
  readonly version: number;
  readonly deletedAt: number;
}

interface Cell {
  shadow: Shadow | null;
  tombstone: Tombstone | null;
}

const TOMBSTONE_MS = 48 * HOUR_MS;
const DEFAULT_PAGE = 25;
const NONE: Shadow = { version: 0, desired: EMPTY_BRANCH, reported: EMPTY_BRANCH };
const NO_BYTES = new Uint8Array();

/**
 * The shadows of all things, without any wire: merge, delta, metadata, versions and refusals of docs/protocols/aws-iot.md
 * §5, in the order of checks of §18.2. A refused request changes nothing. Things need not be registered.
 */
export class ShadowStore {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #things = new Map<string, Map<string | null, Cell>>();
  readonly #listeners = new Set<(address: ShadowAddress) => void>();
  switches: ShadowSwitches;

  constructor({ clock, switches = {} }: ShadowStoreOptions) {
    this.#clock = clock;
    this.switches = { ...SHADOW_SWITCHES, ...switches };
  }

  /** Called after each update and delete that was accepted. */
  onChange(listener: (address: ShadowAddress) => void): void {
    this.#listeners.add(listener);
  }

  update(address: ShadowAddress, request: Uint8Array): ShadowUpdated | ShadowRefused {
    const read = readUpdate(request, this.switches);
    if (!read.ok) return this.#refused(read.error);
    const update = read.value;
    const cell = this.#cell(address) ?? { shadow: null, tombstone: null };
    const conflict = this.#lockProblem(cell.shadow, update);
    if (conflict !== null) return this.#refused({ ...conflict, clientToken: update.clientToken });
    const before = cell.shadow ?? NONE;
    const after = updated(before, update, {
      rules: { ...this.switches, at: this.#seconds() },
      version: cell.shadow === null ? this.#firstVersion(cell.tombstone) : before.version + 1,
    });
    if (sizeOf(after) > this.switches.documentBytes) {
      return this.#refused({ code: 413, message: TOO_LARGE, clientToken: update.clientToken });
    }
    this.#keep(address, { shadow: after, tombstone: null });
    return this.#announce(cell.shadow, after, update);
  }

  get(address: ShadowAddress, request: Uint8Array = NO_BYTES): ShadowAccepted | ShadowRefused {
    const read = readPlain(request);
    if (!read.ok) return this.#refused(read.error);
    const shadow = this.#cell(address)?.shadow ?? null;
    if (shadow === null) return this.#refused(this.#notFound(address, read.value.clientToken));
    const open = difference(shadow.desired, shadow.reported);
    const withDelta = this.switches.metadataDeltaInGet && open !== null;
    const document = {
      state: { ...stateSections(shadow), ...(open === null ? {} : { delta: stateOf(open) }) },
      metadata: { ...metadataSections(shadow), ...(withDelta ? { delta: metadataOf(open) } : {}) },
      version: shadow.version,
      timestamp: this.#seconds(),
      ...tokenField(read.value.clientToken),
    };
    return { ok: true, version: shadow.version, document: JSON.stringify(document) };
  }

  delete(address: ShadowAddress, request: Uint8Array = NO_BYTES): ShadowAccepted | ShadowRefused {
    const read = readPlain(request);
    if (!read.ok) return this.#refused(read.error);
    const version = this.#cell(address)?.shadow?.version;
    if (version === undefined) return this.#refused(this.#notFound(address, read.value.clientToken));
    this.#keep(address, { shadow: null, tombstone: { version, deletedAt: this.#clock.now() } });
    const document = { version, timestamp: this.#seconds(), ...tokenField(read.value.clientToken) };
    return { ok: true, version, document: JSON.stringify(document) };
  }

  /** Names of the named shadows of a thing, sorted, a page at a time; an unknown thing has none. Page sizes are 1–100. */
  listNamed(thing: string, page: { readonly size?: number; readonly after?: string } = {}): string {
    const names = this.shadowsOf(thing).flatMap((name) => (name === null || name <= (page.after ?? '') ? [] : [name]));
    const results = names.slice(0, page.size ?? DEFAULT_PAGE);
    const next = results.length < names.length ? { nextToken: results.at(-1) } : {};
    return JSON.stringify({ results, ...next, timestamp: this.#seconds() });
  }

  /** Things that have a shadow, sorted. */
  get things(): readonly string[] {
    return [...this.#things.keys()].filter((thing) => this.shadowsOf(thing).length > 0).toSorted(compareText);
  }

  /** Names of the shadows of a thing, sorted, with null for the classic one. */
  shadowsOf(thing: string): readonly (string | null)[] {
    const cells = [...(this.#things.get(thing) ?? [])];
    return cells.flatMap(([name, { shadow }]) => (shadow === null ? [] : [name])).toSorted((a, b) => compareText(a ?? '', b ?? ''));
  }

  contentOf(address: ShadowAddress): ShadowContent | null {
    const shadow = this.#cell(address)?.shadow ?? null;
    if (shadow === null) return null;
    const open = difference(shadow.desired, shadow.reported);
    return {
      version: shadow.version,
      state: stateSections(shadow),
      metadata: metadataSections(shadow),
      delta: open === null ? null : fromEntries(Object.entries(stateOf(open) ?? {})),
    };
  }

  #cell({ thing, shadow }: ShadowAddress): Cell | undefined {
    return this.#things.get(thing)?.get(shadow);
  }

  #keep(address: ShadowAddress, cell: Cell): void {
    const cells = this.#things.get(address.thing) ?? new Map<string | null, Cell>();
    this.#things.set(address.thing, cells.set(address.shadow, cell));
    for (const listener of this.#listeners) listener(address);
  }

  #seconds(): number {
    return Math.floor(this.#clock.now() / SECOND_MS);
  }

  #firstVersion(tombstone: Tombstone | null): number {
    if (tombstone === null || this.#clock.now() - tombstone.deletedAt > TOMBSTONE_MS) return 1;
    return tombstone.version + this.switches.recreateVersion;
  }

  #lockProblem(shadow: Shadow | null, { version }: UpdateRequest): Pick<ShadowProblem, 'code' | 'message'> | null {
    if (version === null) return null;
    const conflict = { code: 409, message: 'Version conflict' } as const;
    if (shadow !== null) return version === shadow.version ? null : conflict;
    const rule = this.switches.versionOnMissingShadow;
    if (rule === 'conflict') return conflict;
    return rule === 'ignore' || version === 1 ? null : { code: 400, message: 'Invalid version' };
  }

  #announce(before: Shadow | null, after: Shadow, update: UpdateRequest): ShadowUpdated {
    const { version } = after;
    const timestamp = this.#seconds();
    const tail = { timestamp, ...tokenField(update.clientToken) };
    const open = difference(after.desired, after.reported);
    const quiet = !this.switches.deltaOnReportedOnly && update.state !== null && update.state.desired === undefined;
    const metadata = update.state === null ? { timestamp } : stampedSections(update.state, timestamp);
    return {
      ok: true,
      version,
      document: JSON.stringify({ state: update.state, metadata, version, ...tail }),
      delta:
        open === null || quiet
          ? null
          : JSON.stringify({ version, timestamp, state: stateOf(open), metadata: metadataOf(open), ...tokenField(update.clientToken) }),
      documents: JSON.stringify({ ...this.#previous(before), current: full(after), ...tail }),
    };
  }

  #previous(before: Shadow | null): { readonly previous?: Json } {
    if (before !== null) return { previous: full(before) };
    const rule = this.switches.documentsPreviousOnCreate;
    return rule === 'omit' ? {} : { previous: rule === 'null' ? null : full(NONE) };
  }

  #notFound({ thing, shadow }: ShadowAddress, clientToken: string | null): ShadowProblem {
    const named = this.switches.namedNotFoundText === 'shadow' ? (shadow ?? '') : `${thing}~${shadow ?? ''}`;
    return { code: 404, message: `No shadow exists with name: '${shadow === null ? thing : named}'`, clientToken };
  }

  #refused(problem: ShadowProblem): ShadowRefused {
    return refusal(problem, problem.code === 404 && !this.switches.timestampInNotFound ? null : this.#seconds());
  }
}

/** A refusal as it goes to `…/rejected`; `at` in seconds, null to leave it out. */
export function refusal({ code, message, clientToken }: ShadowProblem, at: number | null): ShadowRefused {
  const document = { code, message, ...(at === null ? {} : { timestamp: at }), ...tokenField(clientToken) };
  return { ok: false, code, message, document: JSON.stringify(document) };
}

function updated(before: Shadow, { state }: UpdateRequest, to: { readonly rules: MergeRules; readonly version: number }): Shadow {
  const section = (name: 'desired' | 'reported'): Branch => {
    const patch = state === null ? null : state[name];
    if (patch === undefined) return before[name];
    return patch === null ? EMPTY_BRANCH : merge(before[name], patch, to.rules);
  };
  return { version: to.version, desired: section('desired'), reported: section('reported') };
}

/** Bytes of both sections as compact JSON; one that is not there counts nothing (aws-iot.md §5.8). */
function sizeOf(shadow: Shadow): number {
  const sections = [shadow.desired, shadow.reported].filter(({ members }) => members.size > 0);
  return sections.reduce((bytes, section) => bytes + Buffer.byteLength(JSON.stringify(stateOf(section))), 0);
}

function full(shadow: Shadow): JsonObject {
  return { state: stateSections(shadow), metadata: metadataSections(shadow), version: shadow.version };
}

/** A section without keys is left out, never `{}` (aws-iot.md §5.2, M8, M11). */
function stateSections({ desired, reported }: Shadow): JsonObject {
  return {
    ...(desired.members.size === 0 ? {} : { desired: stateOf(desired) }),
    ...(reported.members.size === 0 ? {} : { reported: stateOf(reported) }),
  };
}

function metadataSections({ desired, reported }: Shadow): JsonObject {
  return {
    ...(desired.members.size === 0 ? {} : { desired: metadataOf(desired) }),
    ...(reported.members.size === 0 ? {} : { reported: metadataOf(reported) }),
  };
}

function stampedSections(state: NonNullable<UpdateRequest['state']>, at: number): JsonObject {
  const { desired, reported } = state;
  return {
    ...(desired === undefined ? {} : { desired: stamped(desired, at) }),
    ...(reported === undefined ? {} : { reported: stamped(reported, at) }),
  };
}

function tokenField(clientToken: string | null): { readonly clientToken?: string } {
  return clientToken === null ? {} : { clientToken };
}

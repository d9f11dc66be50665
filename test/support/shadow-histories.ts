import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { HOUR_MS } from '#kit/duration.ts';
import { ShadowStore, type ShadowAddress, type ShadowUpdated } from '#sim/aws/shadow-store.ts';
import type { ShadowSwitches } from '#sim/aws/switches.ts';

/** A plain reading of docs/protocols/aws-iot.md §5, written without a look at how the service does it. */
type Plain = null | boolean | number | string | Plain[] | { [key: string]: Plain };
type PlainObject = { [key: string]: Plain };

interface Model {
  version: number;
  desired: PlainObject;
  reported: PlainObject;
}

/** A shadow as documents have it. */
interface Stored {
  readonly state: Plain;
  readonly metadata: Plain;
  readonly version: number;
}

type Step =
  | { readonly kind: 'update'; readonly state: Plain; readonly lock: 'none' | 'right' | 'wrong'; readonly again: boolean }
  | { readonly kind: 'bad'; readonly body: string }
  | { readonly kind: 'delete' }
  | { readonly kind: 'wait'; readonly ms: number };

const ADDRESS: ShadowAddress = { thing: 'logger-7', shadow: 'fleet' };
const START = 1_767_225_600_000;

const scalar = fc.constantFrom<Plain>(0, 1, 1.5, -2, '', 'a', '1', 'é', true, false);
const value = fc.letrec<{ value: Plain; object: PlainObject; item: Plain }>((tie) => ({
  item: fc.oneof(
    scalar,
    fc.array(scalar, { maxLength: 3 }) as fc.Arbitrary<Plain>,
    fc.dictionary(fc.constantFrom('a', 'k'), scalar, { maxKeys: 2, noNullPrototype: true }),
  ),
  object: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'timestamp', '1'), tie('value'), { maxKeys: 4, noNullPrototype: true }),
  value: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    { arbitrary: scalar, weight: 5 },
    { arbitrary: fc.constant(null), weight: 2 },
    { arbitrary: fc.array(tie('item'), { maxLength: 3 }), weight: 1 },
    { arbitrary: tie('object'), weight: 4 },
  ),
})).object;
const section = fc.oneof({ arbitrary: value, weight: 9 }, { arbitrary: fc.constant(null), weight: 1 });
const state = fc.oneof(
  {
    arbitrary: fc.record({ desired: section, reported: section }, { requiredKeys: [], noNullPrototype: true }),
    weight: 20,
  },
  { arbitrary: fc.constant(null), weight: 1 },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    arbitrary: fc.record({
      kind: fc.constant('update' as const),
      state,
      lock: fc.constantFrom('none', 'none', 'right', 'wrong' as const),
      again: fc.boolean(),
    }),
    weight: 12,
  },
  {
    arbitrary: fc.record({
      kind: fc.constant('bad' as const),
      body: fc.constantFrom('', '{', '[]', '{"state":1}', '{"state":{"x":{}}}', '{"state":{"desired":{"a":[null]}}}'),
    }),
    weight: 1,
  },
  { arbitrary: fc.constant({ kind: 'delete' as const }), weight: 1 },
  { arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1000, HOUR_MS, 49 * HOUR_MS) }), weight: 2 },
);

export const SHADOW_HISTORY_RUNS = 20_000;

/**
 * Histories of updates, refusals, deletes and waits against the store. Throws what fast-check found. Holds each accepted
 * update to the oracles of aws-iot.md §6 and to a plain model, and follows it by readers of its messages.
 */
export function assertHistories({ runs, seed }: { readonly runs: number; readonly seed: number }): void {
  const nullOnlySubtree = fc.constantFrom('drop', 'keepEmpty' as const);
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), nullOnlySubtree, (steps, rule) => {
      runHistory(steps, { nullOnlySubtree: rule });
    }),
    { numRuns: runs, seed },
  );
}

/** Updates whose sections have no key in common come to the same in either order. */
export function assertOrderOfStrangers({ runs, seed }: { readonly runs: number; readonly seed: number }): void {
  fc.assert(
    fc.property(value, value, value, (before, first, second) => {
      const renamed = Object.fromEntries(Object.entries(second).map(([key, member]) => [`other-${key}`, member]));
      const [one, other] = [
        [first, renamed],
        [renamed, first],
      ].map((patches) => {
        const { store, update } = stage({});
        for (const desired of [before, ...patches]) update({ desired });
        return store.contentOf(ADDRESS)?.state;
      });
      need(isDeepStrictEqual(plain(one), plain(other)), 'patches without common keys depend on their order');
    }),
    { numRuns: runs, seed },
  );
}

function stage(switches: Partial<ShadowSwitches>) {
  const clock = { at: START, now: () => clock.at };
  const store = new ShadowStore({ clock, switches });
  const update = (wanted: Plain, version: number | null = null) =>
    store.update(ADDRESS, Buffer.from(JSON.stringify({ state: wanted, ...(version === null ? {} : { version }) })));
  return { clock, store, update };
}

function runHistory(steps: readonly Step[], switches: Pick<ShadowSwitches, 'nullOnlySubtree'>): void {
  const { clock, store, update } = stage(switches);
  const readers = new Readers(switches);
  let model: Model | null = null;
  let tombstone: { readonly version: number; readonly at: number } | null = null;
  for (const one of steps) {
    const before: Model | null = model;
    if (one.kind === 'wait') clock.at += one.ms;
    else if (one.kind === 'bad') need(!store.update(ADDRESS, Buffer.from(one.body)).ok, `took ${one.body}`);
    else if (one.kind === 'delete') {
      const answer = store.delete(ADDRESS);
      need(answer.ok === (model !== null), 'delete of what is there, and only that');
      if (model !== null) tombstone = { version: model.version, at: clock.at };
      model = null;
      readers.gone();
    } else {
      for (const _ of one.again ? [1, 2] : [1]) {
        const lock = model === null || one.lock === 'none' ? null : one.lock === 'right' ? model.version : model.version + 1;
        const answer = update(one.state, lock);
        if (one.lock === 'wrong' && model !== null) {
          need(!answer.ok && answer.code === 409, 'a wrong version is a conflict');
          continue;
        }
        if (!answer.ok) throw new Error(`refused: ${answer.message}`);
        const counted: number = model === null ? firstVersion(tombstone, clock.at) : model.version + 1;
        const next: Model = { ...applied(model, one.state, switches), version: counted };
        model = next;
        need(answer.version === counted, `version ${answer.version} is not ${counted}`);
        judge(answer, next);
        readers.take(answer, one.state);
      }
      if (one.again && one.lock !== 'wrong') need(sameState(store, model), 'two equal updates come to the same');
    }
    if (one.kind === 'bad') need(model === before, 'a refusal changes nothing');
    need(sameState(store, model), 'the store has what the model has');
  }
  readers.judge(model, JSON.parse(store.get(ADDRESS).document));
}

function firstVersion(tombstone: { readonly version: number; readonly at: number } | null, now: number): number {
  return tombstone === null || now - tombstone.at > 48 * HOUR_MS ? 1 : tombstone.version + 2;
}

function sameState(store: ShadowStore, model: Model | null): boolean {
  const content = store.contentOf(ADDRESS);
  if (content === null || model === null) return content === model;
  const { desired = {}, reported = {} } = plain(content.state) as { desired?: Plain; reported?: Plain };
  return (
    content.version === model.version && isDeepStrictEqual({ desired, reported }, { desired: model.desired, reported: model.reported })
  );
}

function applied(model: Model | null, wanted: Plain, switches: Pick<ShadowSwitches, 'nullOnlySubtree'>): Omit<Model, 'version'> {
  const { desired, reported } = model ?? { desired: {}, reported: {} };
  if (!isPlainObject(wanted)) return { desired: {}, reported: {} };
  const of = (old: PlainObject, patch: Plain | undefined): PlainObject => {
    if (patch === undefined) return old;
    return isPlainObject(patch) ? merged(old, patch, switches) : {};
  };
  return { desired: of(desired, wanted['desired']), reported: of(reported, wanted['reported']) };
}

function merged(old: PlainObject, patch: PlainObject, switches: Pick<ShadowSwitches, 'nullOnlySubtree'>): PlainObject {
  const next = { ...old };
  for (const [key, member] of Object.entries(patch)) {
    delete next[key];
    if (member === null) continue;
    const there = old[key];
    if (!isPlainObject(member)) next[key] = member;
    else if (isPlainObject(there)) next[key] = merged(there, member, switches);
    else {
      const made = merged({}, member, switches);
      const onlyNulls = Object.keys(made).length === 0 && Object.keys(member).length > 0;
      if (!onlyNulls || switches.nullOnlySubtree === 'keepEmpty') next[key] = made;
    }
  }
  return next;
}

/** What one accepted update said, against the state that it must have led to. */
function judge(answer: ShadowUpdated, model: Model): void {
  const delta = answer.delta === null ? null : (JSON.parse(answer.delta) as { state: PlainObject; metadata: Plain; version: number });
  need(delta === null || delta.version === model.version, 'the delta is of this version');
  const open = delta?.state ?? {};
  need(satisfied(model.desired, merged(model.reported, open, { nullOnlySubtree: 'keepEmpty' })), 'the delta closes every difference');
  need((delta === null) === satisfied(model.desired, model.reported), 'there is a delta exactly when something differs');
  need(onlyDifferences(open, model), 'the delta lists nothing but differences');
  const { current } = JSON.parse(answer.documents) as { current: { state: PlainObject; metadata: PlainObject; version: number } };
  need(current.version === model.version && !JSON.stringify(current.state).includes('null'), 'no null is ever stored');
  need(sameKeys(current.state, current.metadata), 'metadata has the keys of the state');
  if (delta !== null) need(sameKeys(delta.state, delta.metadata), 'metadata of the delta has the keys of the delta');
}

/** Every key of what is wanted is there, deeply; further ones do not matter. */
function satisfied(wanted: Plain, found: Plain | undefined): boolean {
  if (!isPlainObject(wanted)) return isDeepStrictEqual(wanted, found);
  return isPlainObject(found) && Object.entries(wanted).every(([key, member]) => satisfied(member, found[key]));
}

/** Each leaf of the delta is the desired value, and not the reported one. */
function onlyDifferences(open: PlainObject, model: { readonly desired: Plain | undefined; readonly reported: Plain | undefined }): boolean {
  return Object.entries(open).every(([key, member]) => {
    const desired = isPlainObject(model.desired) ? model.desired[key] : undefined;
    const reported = isPlainObject(model.reported) ? model.reported[key] : undefined;
    if (isPlainObject(member) && isPlainObject(reported)) {
      return Object.keys(member).length > 0 && onlyDifferences(member, { desired, reported });
    }
    return isDeepStrictEqual(member, desired) && !isDeepStrictEqual(member, reported);
  });
}

function sameKeys(candidate: Plain, metadata: Plain | undefined): boolean {
  if (Array.isArray(candidate))
    return (
      Array.isArray(metadata) && candidate.length === metadata.length && candidate.every((item, index) => sameKeys(item, metadata[index]))
    );
  if (!isPlainObject(metadata)) return false;
  if (!isPlainObject(candidate)) return isDeepStrictEqual(Object.keys(metadata), ['timestamp']) && Number.isInteger(metadata['timestamp']);
  const keys = Object.keys(candidate);
  return (
    isDeepStrictEqual(keys.toSorted(), Object.keys(metadata).toSorted()) &&
    keys.every((key) => sameKeys(candidate[key] ?? null, metadata[key]))
  );
}

/** Those who follow a shadow: by its documents, by documents that come twice and late, and by what was accepted. */
class Readers {
  readonly #switches: Pick<ShadowSwitches, 'nullOnlySubtree'>;
  #current: Stored | null = null;
  #documents: string[] = [];
  #accepted: Model | null = null;

  constructor(switches: Pick<ShadowSwitches, 'nullOnlySubtree'>) {
    this.#switches = switches;
  }

  take(answer: ShadowUpdated, sent: Plain): void {
    const { previous, current } = JSON.parse(answer.documents) as { previous: Plain; current: Stored };
    const expected = this.#current ?? { state: {}, metadata: {}, version: 0 };
    need(isDeepStrictEqual(previous, expected), 'previous is what the message before had as current');
    this.#current = current;
    this.#documents.push(answer.documents);
    const accepted = JSON.parse(answer.document) as { state: Plain; version: number };
    need(isDeepStrictEqual(accepted.state, sent), 'accepted has what was sent');
    this.#accepted = { ...applied(this.#accepted, accepted.state, this.#switches), version: accepted.version };
  }

  gone(): void {
    this.#current = null;
    this.#accepted = null;
    this.#documents = [];
  }

  judge(model: Model | null, got: { readonly state?: PlainObject; readonly metadata?: Plain; readonly version?: number }): void {
    if (model === null) return;
    const { delta: _, ...stored } = got.state ?? {};
    const now = { state: stored, metadata: got.metadata, version: got.version };
    need(isDeepStrictEqual(this.#current, now), 'a reader of documents in order has what get answers');
    // Twice, and the newest first: the highest version wins.
    let late: Stored | null = null;
    for (const text of [...this.#documents, ...this.#documents].toReversed()) {
      const { current } = JSON.parse(text) as { current: Stored };
      if (late === null || current.version > late.version) late = current;
    }
    need(isDeepStrictEqual(late, now), 'a reader that keeps the highest version has it too');
    need(isDeepStrictEqual(this.#accepted, model), 'a reader of accepted updates has it too');
  }
}

function isPlainObject(candidate: unknown): candidate is PlainObject {
  return typeof candidate === 'object' && candidate !== null && !Array.isArray(candidate);
}

/** Without the prototypes that the store leaves out. */
function plain(candidate: unknown): Plain {
  return candidate === undefined ? null : (JSON.parse(JSON.stringify(candidate)) as Plain);
}

function need(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

import fc from 'fast-check';
import { expect } from 'vitest';
import { SECOND_MS } from '#kit/duration.ts';
import type { Reason } from '#model/reasons.ts';
import { firmwareOf, KIND_NAMES, namesOf, VERSIONS, type Board, type Kind } from './board-files.ts';
import { BoardFleet, EVERY_MS, triesIn, type Told } from './board-fleet.ts';

/** One thing that happens; boards are meant by their place. A pass follows most of them. */
export type Act =
  | { readonly kind: 'pass'; readonly seconds: number }
  | { readonly kind: 'commit'; readonly firmware: (typeof VERSIONS)[number] }
  | { readonly kind: 'window'; readonly open: boolean }
  | { readonly kind: 'approve' | 'restart' | 'race' }
  | { readonly kind: 'crash'; readonly at: 'appended' | 'performed' }
  | { readonly kind: 'power' | 'sick' | 'freeze'; readonly board: number; readonly on: boolean }
  | { readonly kind: 'drop'; readonly board: number }
  | { readonly kind: 'fault'; readonly board: number; readonly fault: string; readonly on: boolean | number | string };

const FAULTS: readonly (readonly [string, boolean | number | string])[] = [
  ['neverCommits', true],
  ['crash', 20],
  ['crash', 200],
  ['powerloss', 2],
  ['powerloss', 40],
  ['bootsBack', true],
  ['hang', true],
  ['downloadFails', true],
  ['stalls', 40],
  ['replyLost', true],
  ['replyLost', 'OTA.Commit'],
  ['duplicateDelivery', true],
  ['mute', true],
  ['slow', 4],
  ['slow', 30],
  ['silentToRpc', true],
  ['obeysGet', true],
  ['urlAfterSuccess', true],
  ['refusesWhileUncommitted', true],
  ['brick', true],
];

const place = fc.nat(4);
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('pass' as const), seconds: fc.constantFrom(5, 30, 60, 120, 240, 660) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('commit' as const), firmware: fc.constantFrom(...VERSIONS) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('window' as const), open: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('approve' as const, 'restart' as const, 'race' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('crash' as const), at: fc.constantFrom('appended' as const, 'performed' as const) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('power' as const, 'sick' as const, 'sick' as const, 'freeze' as const),
      board: place,
      on: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drop' as const), board: place }) },
  {
    weight: 5,
    arbitrary: fc
      .record({ board: place, fault: fc.constantFrom(...FAULTS), off: fc.boolean() })
      .map(({ board, fault: [fault, value], off }) => ({ kind: 'fault' as const, board, fault, on: off ? false : value })),
  },
);

/** Some of one group, so that they wait for each other. */
function boardsOf(kinds: readonly Kind[]): fc.Arbitrary<readonly Board[]> {
  const board = fc.record({
    kind: fc.constantFrom(...kinds),
    slow: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, fc.constant(true)),
  });
  return fc.array(board, { minLength: 2, maxLength: 5 });
}

export const story = fc.record({
  boards: fc.oneof(boardsOf(KIND_NAMES), boardsOf(['calls']), boardsOf(['shadows']), boardsOf(['calls', 'shadows'])),
  slots: fc.constantFrom(1, 2, 2),
  /** Before the first new release, and after it. */
  before: fc.array(act, { maxLength: 3 }),
  after: fc.array(act, { minLength: 4, maxLength: 18 }),
});

export type Story = typeof story extends fc.Arbitrary<infer Value> ? Value : never;

/** What came of a story: a campaign in which nobody was ever in a trial, or ever went back, would prove nothing. */
export interface Outcome {
  readonly updates: number;
  readonly commits: number;
  readonly reverts: number;
  readonly rollbacks: number;
  readonly held: number;
  readonly halts: number;
}

/** Tells a story to its end and judges every word that Headgate says to a board on the way. Throws where a rule is broken. */
export async function tell({ boards, slots, before, after }: Story): Promise<Outcome> {
  // Kept apart: what is thrown within a pass could be taken for the trouble of a wire.
  const wrong: string[] = [];
  const judge = new Judge(wrong);
  const fleet = await BoardFleet.start({ boards, slots }, (told, its) => judge.hear(its, told));
  try {
    for (const one of [...before, { kind: 'commit', firmware: '2.0.0' } as const, ...after]) {
      await happen(fleet, boards, one);
      judge.next(one);
      // Who has just got its power has no connection yet.
      await fleet.fleet.clock.advance(one.kind === 'power' ? 30 * SECOND_MS : SECOND_MS);
      await (one.kind === 'race' ? fleet.race() : fleet.pass());
      judge.after(fleet);
      expect(wrong).toEqual([]);
    }
    await settle(fleet, judge);
    expect(wrong).toEqual([]);
    expectSettled(fleet);
    await goHome(fleet, judge);
    expect(wrong).toEqual([]);
    return outcomeOf(fleet, judge);
  } finally {
    await fleet.fleet.close();
  }
}

async function happen(fleet: BoardFleet, boards: readonly Board[], doing: Act): Promise<void> {
  const names = namesOf(boards);
  const nameAt = (at: number): string => names[at % names.length] ?? '';
  switch (doing.kind) {
    case 'pass':
      await fleet.fleet.clock.advance(doing.seconds * SECOND_MS);
      return;
    case 'commit':
      fleet.commit({ firmware: doing.firmware });
      return;
    case 'window':
      fleet.commit({ window: doing.open ? 'open' : 'closed' });
      return;
    case 'approve':
      fleet.approve();
      return;
    case 'restart':
      await fleet.fleet.restart();
      return;
    case 'crash':
      fleet.crash.at = doing.at;
      return;
    case 'power':
      await fleet.power(nameAt(doing.board), doing.on);
      return;
    case 'sick':
      fleet.sicken(nameAt(doing.board), doing.on);
      return;
    case 'freeze': {
      const others = fleet.declared.frozen.filter((name) => name !== nameAt(doing.board));
      fleet.commit({ frozen: doing.on ? [...others, nameAt(doing.board)].toSorted() : others });
      return;
    }
    case 'drop':
      fleet.drop(nameAt(doing.board));
      return;
    case 'fault':
      fleet.fault(nameAt(doing.board), doing.fault, doing.on);
      return;
    default:
  }
}

/** Reasons with which a person has the next word. */
const CLOSED: ReadonlySet<Reason> = new Set<Reason>(['FAILED', 'QUARANTINED', 'HALTED', 'RELEASE_BLOCKED']);

/** Holds Headgate's words to what is true of the boards at that instant. */
class Judge {
  readonly #wrong: string[];
  /** Boards that the last pass said are closed, by the firmware that they were told. */
  readonly #closed = new Map<string, string>();
  /** Groups that were halted, or whose release was taken back, when the last pass ended. */
  #halted: ReadonlySet<string> = new Set();
  /** Told to keep a firmware though they are not well, in this pass. */
  #sick: string[] = [];
  halts = 0;
  held = 0;

  constructor(wrong: string[]) {
    this.#wrong = wrong;
  }

  hear(fleet: BoardFleet, told: Told): void {
    const { board, what, url } = told;
    const { device, dumb, stored, called, kind } = fleet.board(board);
    const tried = triesIn(device);
    const declared = firmwareOf(fleet.declared.firmware);
    const say = (why: string): void => void this.#wrong.push(`${what} to ${board}: ${why}`);
    if (fleet.declared.frozen.includes(board)) say('it is frozen');
    if (this.#closed.get(board) === declared && what !== 'revert') say(`it is closed for ${declared}`);
    if (what === 'url' || what === 'update') {
      if (!dumb && device.powered && tried !== null) say(`it tries ${tried}`);
      if (!dumb && fleet.isBusy(board)) say('it is at an update');
      if (url !== null && (stored.has(url) || called.has(url))) say('it had that URL already');
      if (this.#halted.has(kind)) say('its group is halted');
    }
    if (what === 'commit') {
      if (fleet.isSick(board)) this.#sick.push(board);
      if (tried !== null && tried !== declared) say(`${tried} is not declared any more`);
      if (this.#halted.has(kind)) say('its group is halted');
    }
    if (what === 'revert' && tried === declared) say(`${tried} is declared`);
  }

  /** What a person says lifts what was closed. */
  next({ kind }: Pick<Act, 'kind'>): void {
    if (kind !== 'approve' && kind !== 'commit') return;
    this.#closed.clear();
    this.#halted = new Set();
  }

  after(fleet: BoardFleet): void {
    this.#budget(fleet);
    const sick = this.#sick;
    this.#sick = [];
    const result = fleet.last?.result;
    if (result === null || result === undefined) return;
    // On the way back nothing asks how it is.
    const goesBack = (kind: string): boolean =>
      [...result.view.groups].some(([group, { rollout }]) => String(group) === kind && rollout?.direction === 'rollback');
    for (const name of sick) if (!goesBack(fleet.board(name).kind)) this.#wrong.push(`${name} was told to keep what it tries, and is sick`);
    const declared = firmwareOf(fleet.declared.firmware);
    for (const { device, reason } of result.decision.held) {
      if (reason === 'FAILED' || reason === 'QUARANTINED') this.#closed.set(device, declared);
      if (reason === 'CONDITIONS_NOT_MET') this.held += 1;
    }
    for (const { operation, device, closing, code } of result.decision.closed) {
      if (closing !== 'failed' || code !== 'ROLLED_BACK') continue;
      const open = result.plan.devices.find((one) => one.device === device)?.open.find((one) => one.open.operation.id === operation);
      const was = open?.open.operation.declared;
      if (was !== declared) this.#wrong.push(`${device} failed ${was}, and ${declared} is declared`);
      if (fleet.declared.frozen.includes(device)) this.#wrong.push(`${device} failed while it was frozen`);
    }
    const halted = [...result.view.groups].filter(([, { rollout }]) => rollout?.phase === 'halted').map(([group]) => String(group));
    this.halts += halted.filter((group) => !this.#halted.has(group)).length;
    this.#halted = new Set(halted);
    const listed = new Set(
      result.plan.devices
        .filter(({ converged, open }) => !converged || open.some(({ confirmation }) => confirmation.kind !== 'confirmed'))
        .map(({ device }) => String(device)),
    );
    const held = new Set(result.decision.held.map(({ device }) => String(device)));
    for (const [name, { device, dumb }] of fleet.boards) {
      const { firmware } = device.truth();
      if (!listed.has(name) && !held.has(name) && !dumb && firmware !== declared)
        this.#wrong.push(`${name} counts as converged and runs ${firmware}`);
    }
  }

  #budget(fleet: BoardFleet): void {
    // Nobody knows what a board does that cannot say it.
    const busy = [...fleet.boards].filter(([name, { dumb }]) => !dumb && fleet.isBusy(name));
    for (const [kind, those] of Map.groupBy(busy, ([, board]) => board.kind))
      if (those.length > fleet.declared.slots)
        this.#wrong.push(`${those.map(([name]) => name).join(', ')} of ${kind} are busy, and ${fleet.declared.slots} may be`);
  }
}

const HARMFUL = new Set(FAULTS.map(([name]) => name));

/** A board that is gone for good keeps its slot until a person takes it out of the fleet. */
function isStuck(fleet: BoardFleet, name: string): boolean {
  const { kind } = fleet.board(name);
  return [...fleet.boards].some(([other, board]) => board.kind === kind && isDead(fleet, other));
}

function isDead(fleet: BoardFleet, name: string): boolean {
  return !fleet.board(name).device.powered;
}

/** All troubles end, and passes go on. */
async function settle(fleet: BoardFleet, judge: Judge): Promise<void> {
  fleet.crash.at = null;
  fleet.commit({ window: 'open', frozen: [] });
  judge.next({ kind: 'commit' });
  for (const [name] of fleet.boards) {
    const isBricked = isDead(fleet, name);
    for (const fault of HARMFUL) if (fault !== 'brick' || !isBricked) fleet.fault(name, fault, false);
    fleet.sicken(name, false);
    fleet.drop(name);
    await fleet.power(name, true);
  }
  await goOn(fleet, judge, 120);
}

function isSettled(fleet: BoardFleet): boolean {
  const result = fleet.last?.result;
  if (result === null || result === undefined) return false;
  return (
    result.decision.wakeAt === null && result.decision.held.every(({ device, reason }) => CLOSED.has(reason) || isStuck(fleet, device))
  );
}

async function goOn(fleet: BoardFleet, judge: Judge, passes: number): Promise<void> {
  for (let pass = 0; pass < passes && (pass === 0 || !isSettled(fleet)); pass += 1) {
    await fleet.fleet.clock.advance(EVERY_MS);
    await fleet.pass();
    judge.after(fleet);
  }
}

function holdsOf(fleet: BoardFleet): readonly string[] {
  const { held = [] } = fleet.last?.result?.decision ?? {};
  return held.map(({ device, reason, evidence }) => `${device} ${reason} ${evidence}`);
}

function expectSettled(fleet: BoardFleet): void {
  const { held = [] } = fleet.last?.result?.decision ?? {};
  const open = held.filter(({ device, reason }) => !CLOSED.has(reason) && !isStuck(fleet, device));
  expect(open.map(({ device, reason, evidence }) => `${device} ${reason} ${evidence}`)).toEqual([]);
}

/** The first release is declared again: who is well comes home, with a person's word where one failed on the way. */
async function goHome(fleet: BoardFleet, judge: Judge): Promise<void> {
  fleet.commit({ firmware: '1.0.0' });
  judge.next({ kind: 'commit' });
  await goOn(fleet, judge, 60);
  for (let words = 0; words < 3 && !isHome(fleet); words += 1) {
    fleet.approve();
    judge.next({ kind: 'approve' });
    await goOn(fleet, judge, 60);
  }
  expect(isHome(fleet) ? [] : holdsOf(fleet)).toEqual([]);
  const away = [...fleet.boards].filter(
    ([name, { device }]) => !isStuck(fleet, name) && device.truth()['firmware'] !== firmwareOf('1.0.0'),
  );
  expect(away.map(([name, { device }]) => `${name} ${device.truth()['firmware']}`)).toEqual([]);
}

function isHome(fleet: BoardFleet): boolean {
  return [...fleet.boards].every(([name, { device }]) => isStuck(fleet, name) || device.truth()['firmware'] === firmwareOf('1.0.0'));
}

function outcomeOf(fleet: BoardFleet, { halts, held }: Judge): Outcome {
  const count = (what: Told['what']): number => fleet.told.filter((told) => told.what === what).length;
  const rollbacks = [...fleet.boards.values()].flatMap(({ device }) => device.effects.filter(({ kind }) => kind === 'rollback')).length;
  return { updates: count('url') + count('update'), commits: count('commit'), reverts: count('revert'), rollbacks, held, halts };
}

import type { Files } from './memory-fleet.ts';
import { BUILD, mongooseFiles } from './mongoose-fleet.ts';

export const VERSIONS = ['1.0.0', '2.0.0', '3.0.0'] as const;
export type Version = (typeof VERSIONS)[number];

/** How the boards of a group take a firmware, and who makes it final. */
export const KINDS = {
  calls: '{ ota: rpc, askEvery: 10m, lostAfter: 30m }',
  shadows: '{ ota: shadow, lostAfter: 30m, urlLife: 30m }',
  flats: '{ ota: shadow, shadow: { generation: flat }, askEvery: 10m, lostAfter: 30m, urlLife: 30m }',
  selves: '{ ota: shadow, commit: self, lostAfter: 30m, urlLife: 30m }',
  once: '{ ota: rpc, commit: self, askEvery: 10m, lostAfter: 30m }',
} as const;
export type Kind = keyof typeof KINDS;
export const KIND_NAMES = Object.keys(KINDS).toSorted() as Kind[];

/** One or two of each kind, named after it: `calls0`. */
export interface Board {
  readonly kind: Kind;
  readonly slow: boolean;
}

const LEAST_MEMORY = 20_000;

export interface Declaration {
  readonly firmware: Version;
  readonly window: 'open' | 'closed';
  /** Boards that nobody may touch. */
  readonly frozen: readonly string[];
  /** Boards of a group that may be at an update or in a trial at once. */
  readonly slots: number;
}

export const FIRST: Declaration = { firmware: '1.0.0', window: 'open', frozen: [], slots: 1 };

export function firmwareOf(version: Version): string {
  return `${version} ${BUILD}`;
}

/** Boards by name: that of their kind, and a number. */
export function named(boards: readonly Board[]): readonly (readonly [string, Board])[] {
  const counts = new Map<Kind, number>();
  return boards.map((board) => {
    const count = counts.get(board.kind) ?? 0;
    counts.set(board.kind, count + 1);
    return [`${board.kind}${count}`, board] as const;
  });
}

export function namesOf(boards: readonly Board[]): readonly string[] {
  return named(boards).map(([name]) => name);
}

/** The bundles do not change: they are made once. */
const BASE = mongooseFiles();

/** The fleet repo as it begins. */
export function filesOf(boards: readonly Board[], slots: number): Files {
  const rows = named(boards).map(
    ([name, { kind }], index) => `  ${name}: { address: esp32_${name}, serial: "5ECF7F0600${40 + index}", labels: { kind: ${kind} } }`,
  );
  const { 'groups/all.yaml': _all, ...base } = BASE;
  return {
    ...base,
    'devices/boards.yaml': `kind: Devices
family: mongoose
via: field
defaults: { model: esp32 }
devices:
${rows.join('\n')}
`,
    'windows/never.yaml': 'kind: Window\nname: never\nzone: UTC\nallow: [{ days: sun, from: "03:00", to: "03:01" }]\n',
    ...filesIn({ ...FIRST, slots }, [...new Set(boards.map(({ kind }) => kind))]),
  };
}

function filesIn(declaration: Declaration, kinds: readonly Kind[]): Files {
  const written = Object.entries(declaredFiles(declaration, kinds));
  return Object.fromEntries(written.filter((entry): entry is [string, string] => entry[1] !== null));
}

/** What a commit changes: null for a file that is gone. */
export function declaredFiles(
  { firmware, window, frozen, slots }: Declaration,
  kinds: readonly Kind[],
): Readonly<Record<string, string | null>> {
  const group = (kind: Kind): string => `kind: Group
name: ${kind}
select: { labels: { kind: ${kind} } }
options: ${KINDS[kind]}
pins: { firmware: board@${firmware} }
${kind === 'selves' ? '' : `health: { freeMemory: ">= ${LEAST_MEMORY}" }\n`}rollout: careful
silence: 1h
`;
  const freeze = `kind: Override\nname: tests\nselect: { ids: [${frozen.join(', ')}] }\nfreeze: true\nreason: on a bench\nreviewBy: 2027-03-01\n`;
  return {
    'overrides/tests.yaml': frozen.length === 0 ? null : freeze,
    'groups/kinds.yaml': kinds.map(group).join('---\n'),
    'rollouts/careful.yaml': `kind: Rollout
name: careful
waves: [{ name: first, count: 1, gate: { success: 100%, soak: 1m } }, { name: rest }]
gate: { quorum: 100%, patience: 2d, then: ask, minimum: 1 }
budget: [{ max: ${slots} }]
windows: ${window === 'open' ? 'any' : '[never]'}
rollback: { waves: [{ name: all }], windows: any }
`,
  };
}

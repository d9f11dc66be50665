import { expect, it } from 'vitest';
import { TEST_FAMILIES } from '#test/support/test-family.ts';
import { declare } from './declare.ts';
import { revisionOfFiles } from './revision-of.ts';

const FLEET = `kind: Fleet
format: 1
name: upland
zone: Europe/London
ledger: { store: git, id: upland }
connections:
  field: { type: mqtt, url: "mqtt://broker.example.org:1883" }
`;

/** What is said of a rollout with these waves: place and summary of each mistake. */
function said(waves: string): string[] {
  const files = { 'fleet.yaml': FLEET, 'rollouts/careful.yaml': `kind: Rollout\nname: careful\n${waves}` };
  const { diagnostics } = declare({ revision: revisionOfFiles(files), families: TEST_FAMILIES, at: 0, base: null });
  return diagnostics.map(({ place, summary }) => `${place.line}:${place.column} ${summary}`);
}

it.each([
  ['an unknown key', 'waves:\n  - { name: first, soak: 1h }\n', '4:20 `soak` is no key of the first item of `waves`'],
  ['a missing key', 'waves:\n  - { name: first }\n  - { share: 10% }\n', '5:5 the second item of `waves` has no `name`'],
  [
    'a value of the wrong kind',
    'waves:\n  - { name: first }\n  - [canary]\n',
    '5:5 the second item of `waves` is a list, and must be a wave',
  ],
  [
    'an item far down',
    `waves:\n${Array.from({ length: 11 }, (_, index) => `  - { name: w${index} }\n`).join('')}  - { name: last, soak: 1h }\n`,
    '15:19 `soak` is no key of item 12 of `waves`',
  ],
  ['a mapping in an item', 'waves:\n  - { name: first, gate: { sok: 1h } }\n', '4:28 `sok` is no key of `gate`'],
  ['a key of digits', 'waves:\n  - { name: first, select: { labels: { 0: {} } } }\n', '4:43 `0` is a mapping, which cannot stand here'],
])('names the place of %s as people write it', (_what, waves, expected) => {
  expect(said(waves)).toEqual([expected]);
});

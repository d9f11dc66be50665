import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { marked } from 'marked';
import { describe, expect, it } from 'vitest';
import type { Declared } from '#model/declared.ts';
import { REASONS } from '#model/reasons.ts';
import { declaredDifference } from '#plan/declared-difference.ts';
import { declaredOf } from '#test/support/memory-fleet.ts';
import type { Files, MemoryFleet } from '#test/support/memory-fleet.ts';
import { planComment } from '#view/comment.ts';
import { commentMarker } from '#view/comment-options.ts';
import { diagnosticsComment } from '#view/diagnostics-comment.ts';
import { differenceComment } from '#view/difference.ts';
import { jobSummary } from '#view/job-summary.ts';
import {
  adoptedExample,
  commentOf,
  edited,
  exampleFiles,
  exampleOptions,
  mistakesOf,
  planOf,
  resultOf,
  runFor,
  TANGLE,
  UPGRADE,
} from './cases.ts';
import { hostileMistakes, hostileView, largeView } from './large.ts';

const MOST_BYTES = 60_000;

/** What reviewers read: each page is compared with its file, which `npm run golden` rewrites. */
function expectGolden(name: string, text: string): void {
  const path = join(import.meta.dirname, `${name}.md`);
  if (process.env['GOLDEN'] === 'write') writeFileSync(path, text);
  expect(text).toBe(readFileSync(path, 'utf8'));
}

/** What a commit of these files declares. */
function committed(files: Files, digit: string): Declared {
  const declared = declaredOf(files);
  return { ...declared, revision: { ...declared.revision, commit: digit.repeat(40) } };
}

async function withExample(work: (fleet: MemoryFleet) => Promise<void>): Promise<void> {
  const fleet = await adoptedExample();
  try {
    await work(fleet);
  } finally {
    await fleet.close();
  }
}

describe('the comment of a pull request to the example network', { timeout: 60_000 }, () => {
  it('of an upgrade, and the summary of its step', () =>
    withExample(async (fleet) => {
      fleet.repo.commit(edited(fleet.repo.files, UPGRADE), 'Upgrade all');
      const result = await planOf(fleet, { hoursLater: 8 });
      expectGolden('upgrade', planComment(result, exampleOptions));
      expectGolden('upgrade-summary', jobSummary(result, { ...exampleOptions, mode: 'plan' }));
    }));

  it('of refused and frozen devices, of rows that leave, join, move and have new hardware', () =>
    withExample(async (fleet) => {
      fleet.repo.commit(edited(fleet.repo.files, TANGLE.changes), 'Tangle');
      fleet.repo.commit(TANGLE.files, 'Freeze trout-beck');
      expectGolden('refused-frozen-leavers', await commentOf(fleet));
    }));

  it('of a change of one station, outside of a rollout', () =>
    withExample(async (fleet) => {
      const change = { 'devices/loggers.csv': [['HIGH_FORCE_v2.CR300', 'LANGDON_BECK_v6.CR300']] } as const;
      fleet.repo.commit(edited(fleet.repo.files, change), 'Another program');
      expectGolden('personal', await commentOf(fleet));
    }));

  it('of a revert in the middle of a rollout', () =>
    withExample(async (fleet) => {
      const before = fleet.repo.files;
      fleet.repo.commit(edited(before, { 'groups/upland-met.yaml': UPGRADE['groups/upland-met.yaml'] }), 'Upgrade');
      await runFor(fleet, 4);
      fleet.repo.commit({ 'groups/upland-met.yaml': before['groups/upland-met.yaml'] ?? '' }, 'Revert');
      expectGolden('rollback', await commentOf(fleet));
    }));

  it('of a halted rollout, and the summary of the pass that halted it', () =>
    withExample(async (fleet) => {
      fleet.device('moor-house').fault('bootBack', true);
      fleet.repo.commit(edited(fleet.repo.files, UPGRADE), 'Upgrade all');
      await runFor(fleet, 4);
      expectGolden('halted', await commentOf(fleet));
      expectGolden('halted-summary', jobSummary(resultOf(await fleet.pass()), { ...exampleOptions, mode: 'apply' }));
    }));
});

describe('the comment of a run that could not plan', () => {
  const files = exampleFiles();

  it('shows the mistakes on their lines', () => {
    const broken = edited(files, {
      'groups/vehicles.yaml': [
        ['rollout: by-depot', 'rolout: by-depot'],
        ['canedge2@01.08.05', 'canedge2@01.08.50'],
      ],
      'windows/working-hours.yaml': [['mon-fri', 'mon-firday']],
    });
    expectGolden('failed-validation', diagnosticsComment(mistakesOf({ ...files, ...broken }), exampleOptions));
  });

  it('of a fork says what is declared otherwise, and what it could not see', () => {
    const changes = edited({ ...files, ...edited(files, TANGLE.changes) }, { 'fleet.yaml': [['change: 100%', 'change: 50%']] });
    const head = { ...files, ...edited(files, TANGLE.changes), ...changes, ...TANGLE.files };
    expectGolden('fork-difference', differenceComment(declaredDifference(committed(files, 'b'), committed(head, 'f')), exampleOptions));
  });
});

describe('the comment of any plan', { timeout: 60_000 }, () => {
  it('of 10,000 devices stays below 60,000 bytes', () => {
    const text = planComment(largeView(), exampleOptions);
    expect(Buffer.byteLength(text)).toBeLessThan(MOST_BYTES);
    expectGolden('ten-thousand', text);
  });

  it.each(['hostile', 'wide'] as const)('of %s names stays below it too, and leaves no reason out', (letters) => {
    const view = hostileView(letters);
    const text = planComment(view, { ...exampleOptions, diagnostics: hostileMistakes(letters), path: '../<!-- -->' });
    expect(Buffer.byteLength(text)).toBeLessThan(MOST_BYTES);
    expect(Buffer.byteLength(jobSummary({ ...view, executed: [] }, { ...exampleOptions, mode: 'plan' }))).toBeLessThan(200_000);
    expect(Buffer.byteLength(diagnosticsComment(hostileMistakes(letters), exampleOptions))).toBeLessThan(MOST_BYTES);
    for (const reason of Object.keys(REASONS)) expect(text).toMatch(new RegExp(`\\*\\*${reason}\\*\\* · \\d+ devices`));
    if (letters === 'hostile') expectGolden('hostile-names', text);
  });

  it('makes nothing of hostile names but texts: no link, no image, no mention, no HTML, no other marker', () => {
    const text = planComment(hostileView('hostile'), { ...exampleOptions, diagnostics: hostileMistakes('hostile') });
    const html = marked.parse(text, { async: false, gfm: true, breaks: true });
    const bare = html.replaceAll(/<code>[^<]*<\/code>| href="[^"]*"/g, '');
    for (const [, address = ''] of html.matchAll(/href="([^"]*)"/g)) expect(address).toMatch(/^https:\/\/github\.com\/upland\/fleet\//);
    expect(bare).not.toMatch(/<(script|img|iframe|style)\b|@everyone|GH-1|\$a\$|evil\.example\.org/);
    expect(bare.match(/<!--/g)).toHaveLength(1);
    expect(bare.match(/<details>/g)?.length).toBe(bare.match(/<\/details>/g)?.length);
    expect(bare.match(/<table>/g)?.length).toBe(bare.match(/<\/table>/g)?.length);
  });

  it('is found again by its first line, whatever it says', () => {
    const [first = ''] = planComment(largeView(), { ...exampleOptions, path: './fleets/north/' }).split('\n');
    expect(first).toBe(commentMarker('fleets/north'));
    const [other = ''] = diagnosticsComment([], { ...exampleOptions, path: 'fleets/north' }).split('\n');
    expect(other).toBe(first);
    expect(commentMarker('a--><b>')).toBe('<!-- headgate:comment path=a%2D%2D%3E%3Cb%3E -->');
  });
});

import { describe, expect, it } from 'vitest';
import type { ObjectCalls } from '#ports/world.ts';
import type { PassReport } from '#reconcile/report.ts';
import { NOW, viewFleet } from '#test/support/view-fleet.ts';
import { painter } from '#view/table.ts';
import { openWorld } from '#world.ts';
import { makeProgress } from './progress.ts';

const ERASE = '\r\u001B[K';

function report(objectCalls: readonly ObjectCalls[] = []): PassReport {
  const result = { ...viewFleet(), reports: [], troubles: [], executed: [], objectCalls, fellBack: false };
  return { mode: 'apply', at: NOW, diagnostics: [], refusal: null, result, exit: 2 };
}

function watched(options: { readonly live: boolean; readonly quiet?: boolean; readonly columns?: number }) {
  const written: string[] = [];
  const stream = { write: (text: string) => written.push(text), isTTY: options.live, columns: options.columns ?? 200 };
  const fleet = { paint: painter(false), world: openWorld({ repo: '.', env: {} }) };
  return { progress: makeProgress({ fleet, stream, live: options.live, quiet: options.quiet ?? false }), text: () => written.join('') };
}

describe('progress', () => {
  it('adds lines where nobody watches, and says where the fleet is only when that has changed', () => {
    const { progress, text } = watched({ live: false });
    progress.pass(report());
    progress.pass(report());
    progress.end();
    expect(text()).not.toContain(ERASE);
    expect(text().match(/1\/12 converged/g)).toHaveLength(1);
    expect(text()).toMatch(/Mon 23 Nov 16:30 UTC {2}group-0: rollout to [0-9a-f]{7} begins, 11 devices\n/);
  });

  it('rewrites the last line on a terminal, within its width, and leaves it there at the end', () => {
    const { progress, text } = watched({ live: true, columns: 40 });
    progress.pass(report());
    progress.line('something happened');
    progress.end();
    const [before = ''] = text().split(`${ERASE}something happened\n`);
    const shown = before.split('\n').at(-1) ?? '';
    expect(shown).toMatch(/^1\/12 converged/);
    expect(shown.length).toBeLessThan(40);
    expect(text()).toMatch(/1\/12 converged · .*held: .*\n$/);
  });

  it('says what the pass asked of buckets', () => {
    const { progress, text } = watched({ live: false });
    const none = { put: 0, delete: 0 };
    progress.pass(
      report([
        { connection: 'depot', list: 0, head: 0, get: 1, ...none },
        { connection: 'logs', list: 2, head: 3, get: 4, ...none },
      ]),
    );
    expect(text()).toMatch(/1\/12 converged · .* · 10 S3 calls\n$/);
  });

  it('says what the pass asked of shadow services', () => {
    const { progress, text } = watched({ live: false });
    const { result, ...rest } = report();
    if (result === null) throw new Error('no result');
    progress.pass({ ...rest, result: { ...result, shadowCalls: [{ connection: 'cloud', get: 3, update: 1, search: 100 }] } });
    expect(text()).toMatch(/ · 104 shadow calls\n$/);
  });

  it('says nothing at all when the answer is JSON, or when there was no pass', () => {
    const { progress, text } = watched({ live: false, quiet: true });
    progress.pass(report());
    progress.line('x');
    progress.end();
    expect(text()).toBe('');
    const other = watched({ live: false });
    other.progress.pass({ ...report(), result: null });
    expect(other.text()).toBe('');
  });
});

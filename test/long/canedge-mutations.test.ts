import { describe, expect, it } from 'vitest';
import { FILES, mutations, MutationStage, type Spoilt } from '#test/support/canedge-mutations.ts';
import { shareOf } from '#test/support/long-share.ts';

describe.each(Object.keys(FILES) as Spoilt[])('%s with one thing spoilt', (file) => {
  const cases = shareOf(
    mutations().filter((one) => one.file === file),
    `canedge mutations ${file}`,
  );

  it(`makes nothing crash, nothing converged that is not, and nothing written: ${cases.length} cases`, async () => {
    const stage = await MutationStage.start();
    const harm: string[] = [];
    for (const mutation of cases) {
      for (const what of await stage.run(mutation)) harm.push(`${mutation.kind} at ${mutation.at}: ${what}`);
    }
    expect(harm).toEqual([]);
  });
});

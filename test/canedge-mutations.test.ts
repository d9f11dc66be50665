import { describe, expect, it } from 'vitest';
import { FILES, mutations, MutationStage, type Spoilt } from '#test/support/canedge-mutations.ts';

/** One in so many here; test/long tries all of them. */
const SHARE = 31;

describe('a file with one thing spoilt', () => {
  it('is tried at each byte of each file, more than ten thousand times', () => {
    const all = mutations();
    expect(all.length).toBeGreaterThanOrEqual(10_000);
    for (const file of Object.keys(FILES) as Spoilt[]) {
      const places = new Set(all.filter((one) => one.file === file).map(({ at }) => at));
      expect([file, places.size]).toEqual([file, file === 'bundle' ? Math.ceil((2 * FILES.bundle.length) / 3) : FILES[file].length]);
    }
  });

  it('is only a trial where the planned operations write while nothing is spoilt', async () => {
    const stage = await MutationStage.start();
    expect(await stage.unspoilt()).toEqual(['5FEE0001/config-01.08.json', '5FEE0001/certs_server.p7b', '5FEE0001/firmware.bin']);
  });

  it('makes nothing crash, nothing converged that is not, and nothing written', async () => {
    const stage = await MutationStage.start();
    const harm: string[] = [];
    for (const mutation of mutations().filter((_, index) => index % SHARE === 0)) {
      for (const what of await stage.run(mutation)) harm.push(`${mutation.file} ${mutation.kind} at ${mutation.at}: ${what}`);
    }
    expect(harm).toEqual([]);
  });
});

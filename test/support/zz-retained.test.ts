import { it } from 'vitest';
import { CampbellWorld, declaredLogger } from '#test/support/campbell.ts';
import { foldMessage, emptyReport } from '#adapters/campbell/reports.ts';
import { campbellOptions } from '#adapters/campbell/options.ts';
import { readMessage } from '#adapters/campbell/wire.ts';
it('x', async () => {
  const w = new CampbellWorld();
  const l = await w.logger({}, true);
  l.fault('replayRetained', true);
  await w.clock.settled();
  const d = declaredLogger();
  let r = emptyReport(d);
  for (const s of w.said) {
    const m = readMessage('state', s.topic.endsWith('statusInfo') ? ['statusInfo'] : [], Buffer.from(s.text));
    if (m) r = foldMessage(r, m, { device: d, options: campbellOptions({}), arrival: { receivedAt: 5, fresh: false, since: Infinity } });
    console.log(m?.kind, Object.keys(r.items), r.memo);
  }
});

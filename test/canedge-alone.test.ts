import { it } from 'vitest';
import { SECOND_MS } from '#kit/duration.ts';
import { ScaledClock } from '#sim/clock.ts';
import { makeMemoryObjects } from '#sim/s3/objects.ts';
import { startS3Server } from '#sim/s3/server.ts';
import { makeS3Store, SIM_CREDENTIALS } from '#sim/s3/store.ts';
import { assertServesAlone } from '#test/support/canedge-alone.ts';

it('headgate sim canedge fills and serves a bucket of the embedded S3 server alone', { timeout: 240 * SECOND_MS }, async () => {
  const store = makeS3Store({ clock: new ScaledClock(Date.now(), 1), buckets: ['vehicle-logs'] });
  const server = await startS3Server({ store });
  try {
    const objects = makeMemoryObjects(store, 'vehicle-logs');
    await assertServesAlone({ url: server.url, name: 'vehicle-logs', credentials: SIM_CREDENTIALS, store: objects });
  } finally {
    await server.close();
  }
});

import type { Json } from '#kit/canonical.ts';
import { readShadowDocument } from '#model/shadow.ts';
import type { DriverPorts } from '#ports/driver.ts';
import type { ShadowPlace, ShadowUpdate } from '#ports/shadows.ts';
import { ShadowStore } from '#sim/aws/shadow-store.ts';

/** One shadow of a real store with the ports of a driver that writes it; time goes as it is told to. */
export function serviceOfOne(place: ShadowPlace, state: object) {
  let now = 1_767_225_600_000;
  const clock = { now: () => now };
  const store = new ShadowStore({ clock });
  const updates: ShadowUpdate[] = [];
  const write = (sections: object, version?: number) =>
    store.update(place, Buffer.from(JSON.stringify({ state: sections, ...(version === undefined ? {} : { version }) })));
  write(state);
  const shadows = {
    get: () => {
      const answer = store.get(place);
      return Promise.resolve((answer.ok ? readShadowDocument(JSON.parse(answer.document)) : null) ?? 'missing');
    },
    update: (update: ShadowUpdate) => {
      updates.push(update);
      const answer = write({ desired: update.desired }, update.version ?? undefined);
      return Promise.resolve(answer.ok ? { version: answer.version, at: Math.floor(now / 1000) * 1000 } : 'conflict');
    },
  };
  const ports = {
    clock,
    connection: () => ({}),
    shadows: () => Promise.resolve(shadows),
    artifacts: { urlFor: () => Promise.resolve({ ok: true, value: `https://files/${updates.length}` }) },
  } as unknown as DriverPorts;
  return {
    ports,
    updates,
    write,
    now: () => now,
    sleep: (seconds: number) => void (now += seconds * 1000),
    desired: (): Json | undefined => store.contentOf(place)?.state['desired'],
  };
}

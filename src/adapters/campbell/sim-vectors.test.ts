import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CampbellWorld } from '#test/support/campbell.ts';
import { EXCHANGES, FILES, isWord, type Pair } from '#test/support/campbell-vectors.ts';
import type { MessageBus } from '#ports/message-bus.ts';
import vectors from './fixtures/vectors.json' with { type: 'json' };
import { DIALECTS } from './wire-commands.ts';

const HOUR = 3_600_000;

let world: CampbellWorld;
let sender: MessageBus;

beforeEach(async () => {
  world = new CampbellWorld();
  sender = await world.run(world.connect('sender', { clean: true, marker: false }));
  for (const [name, bytes] of Object.entries(FILES)) world.files.put(name, bytes);
});

afterEach(async () => world.close());

async function saidAfter([topic, payload]: Pair): Promise<readonly Pair[]> {
  const before = world.said.length;
  const text = JSON.stringify(payload).replaceAll('https://a.example', 'http://files.example.org');
  await world.run(sender.publish(topic, Buffer.from(text), { qos: 0 }));
  await world.clock.advance(HOUR);
  const said = world.said.slice(before).filter((one) => one.clientId !== 'sender' && isWord(one.topic));
  return said.map((one) => [one.topic, JSON.parse(one.text)]);
}

describe('the exchanges of docs/protocols/campbell-mqtt.md §14', () => {
  it.each(EXCHANGES)('$name, $dialect', async ({ cc, before, logger, all, last }) => {
    const device = await world.logger({ stateIntervalMs: 0, ...logger });
    if (before !== null) await saidAfter(before);
    const said = await saidAfter(cc);
    if (all !== null) expect(said).toEqual(all);
    expect(said.findLast(([topic]) => topic.includes('/cr/')) ?? null).toEqual(last);
    expect(device.powered).toBe(true);
  });

  it('are all there, in every dialect', () => {
    expect(new Set(EXCHANGES.map(({ name }) => name))).toEqual(
      new Set([
        ...vectors.vectors.map(({ name }) => name),
        ...EXCHANGES.filter(({ name }) => name.endsWith(', legacy')).map(({ name }) => name),
      ]),
    );
    for (const dialect of DIALECTS) expect(EXCHANGES.filter((one) => one.dialect === dialect).length).toBeGreaterThan(8);
  });
});

import { expect, it } from 'vitest';
import { memoryClient } from '#test/support/shadow-wires.ts';
import { VirtualClock } from '#sim/clock.ts';
import { makeAwsIot, type AwsIot } from './aws-iot.ts';

const START = Date.UTC(2026, 10, 23);
const INDEX = { things: 'REGISTRY_AND_SHADOW', connectivity: 'STATUS', namedShadows: ['fleet'] } as const;

async function search(aws: AwsIot, body: object): Promise<{ readonly names: readonly string[]; readonly next: string | null }> {
  const request = { method: 'POST', target: '/indices/search', headers: {}, body: Buffer.from(JSON.stringify(body)), certificate: null };
  const answer = await aws.endpoint.handle(request);
  if (typeof answer === 'string' || answer.status !== 200) throw new Error(JSON.stringify(answer));
  const { things, nextToken = null } = JSON.parse(Buffer.from(answer.bytes).toString()) as {
    things: { thingName: string }[];
    nextToken?: string;
  };
  return { names: things.map(({ thingName }) => thingName), next: nextToken };
}

function report(aws: AwsIot, thing: string, os: string): void {
  aws.shadows.update({ thing, shadow: 'fleet' }, Buffer.from(JSON.stringify({ state: { reported: { os } } })));
}

it('is as late as its switch says: in what shadows say, in who is connected, in which things there are', async () => {
  const clock = new VirtualClock(START);
  const aws = makeAwsIot({ clock, switches: { indexLagMs: 30_000 } });
  aws.index.configuration = INDEX;
  const found = async (queryString: string): Promise<readonly string[]> => (await search(aws, { queryString })).names;
  aws.registry.createThing('logger-7');
  report(aws, 'logger-7', '10.06');
  expect(await found('thingName:logger-7')).toEqual([]);
  await clock.advance(30_000);
  expect(await found('shadow.name.fleet.reported.os:10.06')).toEqual(['logger-7']);
  report(aws, 'logger-7', '11.00');
  await clock.track(import('mqtt'));
  const bus = await clock.run(memoryClient(aws.broker, clock, { clientId: 'logger-7' }));
  expect(await found('shadow.name.fleet.reported.os:11.00 OR connectivity.connected:true')).toEqual([]);
  await clock.advance(29_999);
  expect(await found('shadow.name.fleet.reported.os:10.06')).toEqual(['logger-7']);
  await clock.advance(1);
  expect(await found('shadow.name.fleet.reported.os:11.00 AND connectivity.connected:true')).toEqual(['logger-7']);
  await clock.run(bus.close());
  aws.registry.deleteThing('logger-7', null);
  await clock.advance(30_000);
  expect(await found('thingName:logger-7')).toEqual([]);
  // The shadow of a thing stays, and an unregistered one is in no index (aws-iot.md §5.1, §12).
  expect(aws.shadows.things).toEqual(['logger-7']);
  await aws.close();
});

it('pages through ten thousand things once, each in one page only, in no order of names', async () => {
  const aws = makeAwsIot({ clock: new VirtualClock(START) });
  aws.index.configuration = INDEX;
  const wanted = Array.from({ length: 10_000 }, (_, count) => `logger-${count}`);
  for (const [count, name] of wanted.entries()) {
    aws.registry.createThing(name);
    report(aws, name, count % 100 === 0 ? '10.06' : '11.00');
  }
  const names: string[] = [];
  let [pages, nextToken]: [number, string | null] = [0, null];
  do {
    const page = await search(aws, { queryString: 'thingName:logger-*', ...(nextToken === null ? {} : { nextToken }) });
    names.push(...page.names);
    pages += 1;
    nextToken = page.next;
  } while (nextToken !== null);
  expect([pages, new Set(names).size, names.length]).toEqual([100, 10_000, 10_000]);
  expect(names).not.toEqual(wanted);
  const behind = await search(aws, { queryString: 'NOT shadow.name.fleet.reported.os:11.00' });
  expect([behind.names.length, behind.next]).toEqual([100, null]);
  expect(aws.endpoint.calls.get('SearchIndex')).toBe(101);
  await aws.close();
});

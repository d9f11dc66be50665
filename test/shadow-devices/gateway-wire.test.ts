import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SimDaemon } from '#adapters/chariot/sim-daemon.ts';
import { FaultSwitches } from '#adapters/chariot/sim-faults.ts';
import type { ServiceDefinition } from '#adapters/chariot/sim-file.ts';
import type { Json } from '#kit/canonical.ts';
import { HOUR_MS } from '#kit/duration.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import type { LiveBus } from '#ports/clients.ts';
import type { Heard } from '#test/support/shadow-wires.ts';
import { prefixOf } from '#test/support/shadow-wires.ts';
import { openWiredAccount, saidOf, wiredClock, type Said, type WiredAccount } from '#test/support/wired-account.ts';
import { GATEWAY_FAILURES } from './gateway-failures.ts';
import { GATEWAY_EXAMPLES, THING, type GatewayVector, type Step, type VectorService } from './gateway-vectors.ts';

/** A deleted shadow has forgotten its version after 48 h. */
const FORGOTTEN_MS = 49 * HOUR_MS;

let account: WiredAccount;
let ear: Heard;
let cloud: LiveBus;

beforeAll(async () => {
  account = await openWiredAccount({ clock: wiredClock() });
  ear = await account.ear();
  cloud = await account.client('cloud');
});

afterAll(() => account.close());

type Place = Run['place'];

/** How the reconciler writes and reads. */
interface Way {
  update(place: Place, request: JsonObject): Promise<unknown>;
  get(place: Place): Promise<{ readonly state: JsonObject; readonly version: number }>;
}

const HTTPS: Way = {
  update: (place, request) => account.update(place, request),
  get: (place) => account.get(place),
};

const MQTT: Way = {
  update: (place, request) => cloud.publish(`${prefixOf(place)}/update`, Buffer.from(JSON.stringify(request)), { qos: 1 }),
  get: async (place) => {
    ear.take(prefixOf(place));
    await cloud.publish(`${prefixOf(place)}/get`, new Uint8Array(), { qos: 1 });
    await account.run(0);
    const accepted = ear.take(prefixOf(place)).find(([topic]) => topic === 'get/accepted')?.[1];
    return accepted as Awaited<ReturnType<Way['get']>>;
  },
};

/** One vector under way: chariotd on MQTT with its certificate. */
interface Run {
  readonly way: Way;
  readonly place: { readonly thing: string; readonly shadow: null };
  readonly daemon: SimDaemon;
  readonly said: readonly Said[];
  readonly ran: Map<string, number>;
  /** How much of what it said has been looked at. */
  looked: number;
}

function definitionOf({ key, format = 'JSON', outkeys, ephemeral = false, validate }: VectorService, ran: Run['ran']): ServiceDefinition {
  return {
    key,
    format,
    ephemeral,
    outkeys: () => outkeys ?? null,
    validate: (value) => (validate === undefined || validate === 'throws' ? value : clamped(value, validate)),
    notify: () => void ran.set(key, (ran.get(key) ?? 0) + 1),
  };
}

function clamped(value: Json, limit: number): Json {
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, typeof one === 'number' ? Math.min(one, limit) : (one ?? null)]),
  );
}

async function begin(way: Way, { id, services, stored, fromStart = false }: GatewayVector): Promise<Run> {
  const thing = `logger-${id}${way === MQTT ? '-m' : ''}`;
  const place = { thing, shadow: null };
  const { ports, said } = await account.device(thing);
  const switches = new FaultSwitches();
  for (const { key, validate } of services) if (validate === 'throws') switches.set('reject', key);
  const ran: Run['ran'] = new Map();
  const daemon = new SimDaemon(ports, { thing, services: services.map((one) => definitionOf(one, ran)), switches });
  for (const { key, value } of services) if (value !== undefined) daemon.files.get(key)?.write(value);
  if (stored !== undefined) {
    const { version, ...state } = stored;
    for (let count = 1; count < version; count += 1) store(place, { reported: { before: count } });
    const reported = version === 1 ? (state.reported ?? null) : { ...(isJsonObject(state.reported) ? state.reported : {}), before: null };
    store(place, { ...state, reported });
  }
  await account.clock.run(daemon.start());
  await account.run(500);
  const run: Run = { way, place, daemon, said, ran, looked: 0 };
  if (!fromStart) {
    expect(saidOf(said, place).map(({ verb }) => verb)).toEqual(['get']);
    run.looked = 1;
  }
  ear.take(prefixOf(place));
  return run;
}

function store(place: Run['place'], state: object): void {
  account.server.shadows.update(place, Buffer.from(JSON.stringify({ state })));
}

/** As a device of that name has it. */
function named(body: Json, thing: string): unknown {
  return JSON.parse(JSON.stringify(body).replaceAll(THING, thing));
}

async function take(run: Run, step: Step): Promise<void> {
  const { place, daemon, way } = run;
  const { faults, shadows } = account.server;
  const scope = { prefix: place.thing, times: 1 };
  if ('tell' in step) {
    const { tell: desired, ...rest } = step;
    await way.update(place, { state: { desired }, ...rest });
  } else if ('delta' in step) await hears(place, 'update/delta', { state: step.delta, version: step.version });
  else if ('says' in step) await says(run, step);
  else if ('refused' in step) await hears(place, 'update/rejected', { code: step.refused });
  else if ('posts' in step) daemon.post(step.posts, step.value);
  else if ('refetch' in step) await account.clock.run(daemon.link.refetch());
  else if ('off' in step) await account.clock.run(daemon.stop());
  else if ('on' in step) await account.clock.run(daemon.start());
  else if ('silence' in step) {
    await account.run(step.silence);
    expect(saidOf(run.said, place).slice(run.looked)).toEqual([]);
  } else if ('unheard' in step) store(place, step.unheard);
  else if ('forgets' in step) await way.update(place, { state: { reported: step.forgets } });
  else if ('loses' in step) faults.addToAnswers({ kind: 'drop' }, { ...scope, answers: [step.loses] });
  else if ('late' in step) faults.addToAnswers({ kind: 'delay', ms: step.ms }, { ...scope, answers: [step.late] });
  else if ('deleted' in step) {
    shadows.delete(place, new Uint8Array());
    await account.clock.advance(FORGOTTEN_MS);
  } else await look(run, step);
}

async function says(run: Run, { says: verb, body }: Extract<Step, { readonly says: string }>): Promise<void> {
  const { place } = run;
  await account.until(() => saidOf(run.said, place).length > run.looked, `${place.thing} says ${verb} ${JSON.stringify(body)}`, 15_000);
  expect(saidOf(run.said, place)[run.looked]).toEqual({ verb, body: named(body, place.thing) });
  run.looked += 1;
}

async function hears(place: Run['place'], topic: string, wanted: object): Promise<void> {
  const heard: unknown[] = [];
  const listen = (): boolean => {
    for (const [name, document] of ear.take(prefixOf(place))) if (name === topic) heard.push(document);
    return heard.length > 0;
  };
  await account.until(listen, `${topic} of ${place.thing}`, 5000);
  // Members beside those that are wanted are let be; within them there is nothing else.
  expect(Object.fromEntries(Object.keys(wanted).map((name) => [name, (heard[0] as JsonObject)[name]]))).toEqual(wanted);
}

type Look = Extract<
  Step,
  { readonly document: unknown } | { readonly file: string } | { readonly text: string } | { readonly ran: string }
>;

async function look({ place, daemon, ran, way }: Run, step: Look): Promise<void> {
  await account.run(250);
  if ('document' in step) {
    const { state, version } = await way.get(place);
    const { delta: _delta, ...sections } = state;
    expect({ sections, version }).toEqual({ sections: step.document, version: step.version });
  } else if ('file' in step) expect(daemon.valueOf(step.file)).toEqual(step.is);
  else if ('text' in step) expect(daemon.files.get(step.text)?.text).toBe(step.is);
  else expect(ran.get(step.ran) ?? 0).toBe(step.times);
}

/** Gives what it said that the vector does not have. */
async function play(way: Way, vector: GatewayVector): Promise<readonly unknown[]> {
  const run = await begin(way, vector);
  for (const step of vector.steps) await take(run, step);
  await account.clock.run(run.daemon.stop());
  return saidOf(run.said, run.place).slice(run.looked);
}

describe('chariotd over TLS with its certificate', () => {
  it.each([...GATEWAY_EXAMPLES, ...GATEWAY_FAILURES])('and the SDK over HTTPS: $id $note', async (vector) => {
    expect(await play(HTTPS, vector)).toEqual([]);
  });

  it.each(GATEWAY_EXAMPLES)('and MQTT: $id $note', async (vector) => {
    expect(await play(MQTT, vector)).toEqual([]);
  });
});

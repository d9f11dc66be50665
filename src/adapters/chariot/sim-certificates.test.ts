import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DAY_MS, MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import { isJsonObject } from '#model/shadow.ts';
import { SILENT_LOG } from '#ports/log.ts';
import type { BusMessage, MessageBus } from '#ports/message-bus.ts';
import type { SimDevice, SimPorts } from '#ports/sim.ts';
import { makeAwsCa, openAwsCa } from '#sim/aws/ca.ts';
import { VirtualClock } from '#sim/clock.ts';
import type { Enrolment } from '#sim/enrolment.ts';
import { startSimWorld, type SimWorld } from '#sim/world.ts';
import { memoryClient } from '#test/support/shadow-wires.ts';
import { networkClients } from '#transports/wires.ts';
import { identityKey } from './identity.ts';
import { chariotOptions } from './options.ts';
import { provision, type ClaimConfig } from './sim-provision.ts';
import { CertificateStore, type StoredCertificate } from './sim-store.ts';
import type { SimIdentity } from './sim.ts';

const START = Date.UTC(2026, 10, 23);
const THING = 'gw-77';
const CLAIM: ClaimConfig = { claim: { certificate: 'claim.pem', key: 'claim.key' }, template: 'field', parameters: { SerialNumber: '77' } };
const CREATE = '$aws/certificates/create/json';
const PROVISION = '$aws/provisioning-templates/field/provision/json';

type Packet = readonly [number, string, unknown?];

/** docs/protocols/shadow-devices.md §2.8, packet by packet. */
describe('provisioning by claim', () => {
  let clock: VirtualClock;
  let packets: Packet[];
  let certificate: string;
  let answers: Readonly<Record<string, readonly [string, object]>>;

  beforeEach(async () => {
    clock = new VirtualClock(START);
    packets = [];
    certificate = (await (await openAwsCa(await makeAwsCa(START))).withKey(START)).certificate;
    answers = {
      [CREATE]: ['accepted', { certificateId: 'id', certificatePem: certificate, privateKey: 'key', certificateOwnershipToken: 'token' }],
      [PROVISION]: ['accepted', { deviceConfiguration: { region: 'north' }, thingName: THING }],
    };
  });

  function portsWith(connect: SimPorts['connect']): SimPorts {
    const none = (): Promise<never> => Promise.reject(new Error('there is none'));
    return { clock, log: SILENT_LOG, random: () => 0.5, connect, objects: none, get: none };
  }

  function note(what: string, detail?: unknown): Promise<void> {
    packets.push(detail === undefined ? [clock.now() - START, what] : [clock.now() - START, what, detail]);
    return Promise.resolve();
  }

  const recorded: SimPorts['connect'] = async (session) => {
    await note('connect', session);
    const listeners = new Set<(message: BusMessage) => void>();
    const bus: MessageBus = {
      clientId: session.clientId,
      expires: false,
      // Neither is ever acknowledged: nobody waits for that.
      subscribe: (filters, qos) => note('subscribe', { filters, qos }).then(() => new Promise<void>(() => undefined)),
      unsubscribe: (filters) => note('unsubscribe', { filters }).then(() => new Promise<void>(() => undefined)),
      publish: async (topic, payload, { qos }) => {
        await note('publish', { topic, payload: JSON.parse(new TextDecoder().decode(payload)) as unknown, qos });
        const [name, body] = answers[topic] ?? [];
        if (name === undefined) return;
        const message = { topic: `${topic}/${name}`, payload: new TextEncoder().encode(JSON.stringify(body)), retained: false };
        for (const listener of listeners) listener({ ...message, receivedAt: clock.now(), fresh: true });
      },
      listen: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      settle: () => Promise.resolve(),
      close: () => Promise.resolve(),
    };
    return { bus, onLost: () => undefined, drop: () => note('close') };
  };

  function begin(connect = recorded): { result: Awaited<ReturnType<typeof provision>> | null } {
    const ended: ReturnType<typeof begin> = { result: null };
    const config = { ...CLAIM, clientId: THING };
    void provision(portsWith(connect), config, new AbortController().signal).then((result) => (ended.result = result));
    return ended;
  }

  it('sends these packets, and closes with a certificate', async () => {
    const ended = begin();
    await clock.advance(5 * SECOND_MS);
    const both = (topic: string): readonly string[] => [`${topic}/accepted`, `${topic}/rejected`];
    expect(packets).toEqual([
      [0, 'connect', expect.objectContaining({ clientId: 'gw-77-fp', clean: true, keepAliveSeconds: 300, will: null })],
      [300, 'unsubscribe', { filters: both(PROVISION) }],
      [300, 'subscribe', { filters: both(CREATE), qos: 0 }],
      [1300, 'publish', { topic: CREATE, payload: {}, qos: 0 }],
      [1300, 'unsubscribe', { filters: both(CREATE) }],
      [1300, 'subscribe', { filters: both(PROVISION), qos: 0 }],
      [1550, 'publish', { topic: PROVISION, payload: { certificateOwnershipToken: 'token', parameters: { SerialNumber: '77' } }, qos: 0 }],
      [1550, 'close'],
    ]);
    const session = packets[0]?.[2] as { readonly credentials: unknown };
    expect(session.credentials).toEqual({
      cert: 'claim.pem',
      key: 'claim.key',
      ca: null,
      username: '?SDK=JavaScript&Version=2.2.15',
      password: null,
    });
    expect(ended.result).toMatchObject({
      ok: true,
      value: { certificate: { certificate, key: 'key' }, outfile: { thing: THING, configuration: { region: 'north' } } },
    });
  });

  it.each([CREATE, PROVISION])('ends with what is refused: %s', async (topic) => {
    answers = { ...answers, [topic]: ['rejected', { statusCode: 403, errorCode: 'AccessDenied', errorMessage: 'no' }] };
    const ended = begin();
    await clock.advance(5 * SECOND_MS);
    expect(ended.result).toEqual({ ok: false, error: { kind: 'rejected', why: '"no"' } });
    expect(packets.at(-1)?.[1]).toBe('close');
  });

  it('waits for an answer that does not come', async () => {
    answers = {};
    const ended = begin();
    await clock.advance(5 * MINUTE_MS);
    expect([ended.result, packets.filter(([, what]) => what === 'publish').length]).toEqual([null, 1]);
  });

  it('crashes after more than five reconnects', async () => {
    const ended = begin(async () => {
      await note('attempt');
      throw new Error('refused');
    });
    await clock.advance(5 * MINUTE_MS);
    expect(packets.length).toBe(6);
    expect(ended.result).toMatchObject({ ok: false, error: { kind: 'crashed' } });
  });
});

describe('the certificate store', () => {
  const stored = (id: string, issuedAt: number): StoredCertificate => ({ id, certificate: `${id}.pem`, key: `${id}.key`, issuedAt });

  it('takes the alphabetically first, not the newest, and keeps to it', () => {
    const store = new CertificateStore([stored('bb', 1), stored('aa', 0), stored('cc', 2)]);
    expect(store.choose()?.id).toBe('aa');
    store.add(stored('a0', 3));
    expect(store.choose()?.id).toBe('aa');
    expect(store.all.map(({ id }) => id)).toEqual(['aa', 'bb', 'cc', 'a0']);
  });

  it('goes on to another one where somebody says so', () => {
    const store = new CertificateStore([stored('bb', 1), stored('aa', 2)]);
    store.preferNewest();
    expect(store.choose()?.id).toBe('aa');
    store.preferNext();
    expect(store.choose()?.id).toBe('bb');
    store.preferNext();
    expect(store.choose()?.id).toBe('aa');
  });

  it('has nothing to give while it is empty', () => {
    const store = new CertificateStore([]);
    store.preferNext();
    expect(store.choose()).toBe(null);
  });
});

/** Against the embedded AWS IoT: docs/protocols/shadow-devices.md §2.8, §2.9, §2.11. */
describe('a gateway with a certificate store', () => {
  let clock: VirtualClock;
  let world: SimWorld;
  let enrolled: Enrolment;
  let gateway: SimDevice;

  beforeEach(async () => {
    clock = new VirtualClock(START);
    const connections = [{ name: 'field', type: 'mqtt', shadows: true }] as const;
    world = await startSimWorld({ clock, seed: 1, transport: 'memory', connections, clients: networkClients });
    enrolled = await clock.run(world.enrol('field', THING, START - DAY_MS));
  });

  afterEach(() => clock.run(world.close()));

  const claimed = (): ClaimConfig => ({ claim: enrolled.claim, template: enrolled.template, parameters: enrolled.parameters });

  async function add(identity: Partial<SimIdentity> = {}): Promise<void> {
    gateway = world.addDevice('chariot', 'field', {
      id: THING,
      services: chariotOptions({ agent: 'agent' }),
      serial: null,
      model: 'gw2',
      firmware: null,
      program: null,
      config: null,
      measures: {},
      will: { topic: 'gone', payload: new TextEncoder().encode(THING), qos: 1, retain: false },
      identity: { key: identityKey({}), certificates: [enrolled.own], claim: claimed(), fixedRotation: false, ...identity },
    });
    void gateway.powerOn();
    await clock.advance(30 * SECOND_MS);
  }

  async function order(name: string): Promise<void> {
    const body = new TextEncoder().encode(JSON.stringify({ state: { desired: { agent: { nonce: `n-${name}`, order: name } } } }));
    const target = `/things/${THING}/shadow`;
    await clock.run(world.aws('field').endpoint.handle({ method: 'POST', target, headers: {}, body, certificate: null }));
  }

  const connected = (): string | undefined => world.aws('field').broker.certificateOf(THING)?.fingerprint;
  const exits = (): readonly (readonly [number, string])[] =>
    gateway.effects.flatMap(({ at, kind, detail }) => (kind === 'exit' ? [[at - START, detail] as const] : []));
  const active = (): readonly string[] =>
    world.aws('field').registry.certificates.flatMap(({ id, status }) => (status === 'ACTIVE' && id !== enrolled.claim.id ? [id] : []));
  const withdrawOwn = (): void => world.aws('field').registry.setStatus(enrolled.own.id, 'INACTIVE');
  const said = (): unknown => {
    const reported = world.aws('field').shadows.contentOf({ thing: THING, shadow: null })?.state['reported'];
    return isJsonObject(reported) ? reported['cert'] : undefined;
  };

  it('stores what it is issued, and goes on with the old one', async () => {
    await add();
    expect(connected()).toBe(enrolled.own.id);
    await order('reprovision');
    await clock.advance(MINUTE_MS);
    const fresh = active().find((id) => id !== enrolled.own.id) ?? '';
    expect(exits().map(([, why]) => why)).toEqual(['provisioned']);
    expect(connected()).toBe(enrolled.own.id);
    expect(said()).toMatchObject({
      active: enrolled.own.id,
      order: 'n-reprovision',
      held: { [enrolled.own.id]: '2026-11-22T00:00:00Z', [fresh]: expect.any(String) },
    });
    await order('switch');
    await clock.advance(MINUTE_MS);
    expect([connected(), exits().map(([, why]) => why)]).toEqual([fresh, ['provisioned', 'restarted']]);
    expect(said()).toMatchObject({ active: fresh, order: 'n-switch' });
  });

  it('goes on with the new one where rotation is mended', async () => {
    await add({ fixedRotation: true });
    await order('reprovision');
    await clock.advance(MINUTE_MS);
    expect(connected()).not.toBe(enrolled.own.id);
    expect(active()).toContain(connected());
  });

  it('takes an order once, and passes over one that it does not know', async () => {
    await add();
    await order('dance');
    await order('reprovision');
    await clock.advance(MINUTE_MS);
    await order('reprovision');
    await clock.advance(MINUTE_MS);
    expect(gateway.effects.flatMap(({ kind, detail }) => (kind === 'order' ? [detail] : []))).toEqual(['reprovision']);
    expect(active().length).toBe(2);
  });

  it('stays up for 30 s after it was refused, and ends', async () => {
    await add();
    const { templates } = world.aws('field').provisioning;
    templates.set('gateways', { body: '{}', enabled: false });
    const began = clock.now() - START;
    await order('reprovision');
    await clock.advance(20 * SECOND_MS);
    expect([connected(), exits()]).toEqual([enrolled.own.id, []]);
    await clock.advance(MINUTE_MS);
    const [[at, why] = [0, '']] = exits();
    expect(why).toContain('not provisioned');
    expect(at - began).toBeGreaterThanOrEqual(30 * SECOND_MS);
    expect(at - began).toBeLessThan(36 * SECOND_MS);
    expect(connected()).toBe(enrolled.own.id);
  });

  it('provisions itself where it has no certificate', async () => {
    await add({ certificates: [] });
    expect(exits().map(([, why]) => why)).toEqual(['provisioned']);
    expect(active()).toContain(connected());
  });

  it('ends each 10 s without a certificate and a claim', async () => {
    await add({ certificates: [], claim: null });
    expect(exits()).toEqual([10, 25].map((seconds) => [seconds * SECOND_MS, 'there is no certificate']));
    expect(connected()).toBe(undefined);
  });

  it('crashes in its own rotation once its certificate is withdrawn, for ever', async () => {
    await add();
    await order('reprovision');
    await clock.advance(MINUTE_MS);
    withdrawOwn();
    world.aws('field').broker.dropClient(THING);
    await clock.advance(3 * MINUTE_MS);
    const reasons = exits()
      .slice(1)
      .map(([, why]) => why);
    expect(reasons.length).toBeGreaterThanOrEqual(3);
    expect(new Set(reasons)).toEqual(new Set(['the broker cannot be reached; crashed in its own rotation']));
    expect(connected()).toBe(undefined);
  });

  it('comes back with its other certificate where rotation is mended', async () => {
    await add({ fixedRotation: true });
    await order('reprovision');
    await clock.advance(MINUTE_MS);
    world.aws('field').registry.setStatus(connected() ?? '', 'INACTIVE');
    world.aws('field').broker.dropClient(THING);
    await clock.advance(MINUTE_MS);
    expect(exits().at(-1)?.[1]).toBe('the broker cannot be reached; goes on with another certificate');
    expect(connected()).toBe(enrolled.own.id);
  });

  it('leaves without a goodbye, so that its will is sent', async () => {
    await add();
    const client = await clock.run(memoryClient(world.broker('field'), clock, { clientId: 'watcher' }));
    const wills: string[] = [];
    client.listen(({ topic, payload }) => wills.push(`${topic} ${new TextDecoder().decode(payload)}`));
    await clock.run(client.subscribe(['gone'], 1));
    await order('reprovision');
    await clock.advance(MINUTE_MS);
    expect(wills).toEqual([`gone ${THING}`]);
    await clock.run(client.close());
  });
});

import { afterEach, describe, expect, it } from 'vitest';
import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { Json } from '#kit/canonical.ts';
import { deviceId } from '#model/ids.ts';
import type { OpenOperation, Operation } from '#model/operation.ts';
import { readShadowDocument } from '#model/shadow.ts';
import type { Driver, PerformContext } from '#ports/driver.ts';
import type { LiveBus } from '#ports/clients.ts';
import { WireError } from '#ports/wire-error.ts';
import type { PassReport } from '#reconcile/report.ts';
import { shownAs } from '#sim/aws/aws-iot.ts';
import { MemoryFleet, type Files } from '#test/support/memory-fleet.ts';
import { memoryClient } from '#test/support/shadow-wires.ts';
import { observeIdentities } from './driver-identity.ts';
import { identityReport, saidIdentity } from './identity-report.ts';
import { identityKey } from './identity.ts';
import { rotationOperations } from './rotation.ts';

const AWS = ', presence: aws, withdraw: aws';

function files(pin: string, connection = AWS): Files {
  return {
    'fleet.yaml': `kind: Fleet
format: 1
name: gateways
branch: main
zone: Europe/London
ledger: { store: 'sqlite:ledger.db', id: gateways, lasting: true }
connections:
  field: { type: mqtt, url: 'mqtt://127.0.0.1:1883'${connection} }
`,
    'devices/gateways.yaml': 'kind: Devices\nfamily: chariot\nvia: field\ndefaults: { model: gw2 }\ndevices:\n  gw-1: {}\n',
    'artifacts/certificates.yaml': `kind: Artifact
name: own
item: identity
fits: { family: chariot }
versions:
  '1': { issuedAfter: '2025-01-01T00:00:00Z' }
  '2': { issuedAfter: '2026-11-01T00:00:00Z' }
  '3': { issuedAfter: '2027-01-01T00:00:00Z' }
`,
    'groups/all.yaml': `kind: Group
name: all
select: all
options: { agent: agent }
pins: { identity: ${pin} }
rollout: all
silence: 6h
`,
    'rollouts/all.yaml': 'kind: Rollout\nname: all\nwaves: [{ name: all, gate: { soak: 1m } }]\nwindows: any\n',
  };
}

/** A gateway that runs with the certificate of its factory. */
async function begun(connection = AWS): Promise<MemoryFleet> {
  const fleet = await MemoryFleet.start({ files: files('own@1', connection) });
  await fleet.add('gw-1');
  await fleet.clock.advance(12 * MINUTE_MS);
  const { refusal, result } = await fleet.pass({ newLedger: true });
  expect([refusal, result?.troubles]).toEqual([null, []]);
  return fleet;
}

interface Acting {
  readonly driver: Driver;
  readonly operation: Operation;
  readonly context: PerformContext;
}

/** The operation that a pass would begin now. */
async function planned(fleet: MemoryFleet): Promise<Acting> {
  const { result }: PassReport = await fleet.pass({ mode: 'plan' });
  const operation = result?.decision.admitted[0]?.operation;
  if (result === null || operation === undefined) throw new Error(`nothing is planned: ${JSON.stringify(result?.decision.held)}`);
  const drivers = await fleet.clock.run(fleet.engine.drivers(fleet.declared, 'holder', fleet.ledger.blobs));
  const signal = new AbortController().signal;
  const device = fleet.declared.deviceAt(0);
  const context = { device, reported: result.reported.deviceAt(0), content: null, fencing: 1, signal };
  return { driver: drivers.of('chariot'), operation, context };
}

async function merged(fleet: MemoryFleet, pin: string): Promise<Acting> {
  fleet.repo.commit(files(pin), pin);
  return await planned(fleet);
}

/** Begun at that instant, with what its last attempt left. */
function opened({ operation }: Acting, intendedAt: number, more: Partial<OpenOperation> = {}): OpenOperation {
  const record = { ...operation, content: null };
  return {
    operation: record,
    attempt: 1,
    intendedAt,
    reference: null,
    takenAt: null,
    undo: null,
    retryAt: null,
    lastTrouble: null,
    ...more,
  };
}

let fleet: MemoryFleet;

afterEach(() => fleet.clock.run(fleet.sim.close()));

const prechecked = ({ driver, operation, context }: Acting, open: OpenOperation | null = null) =>
  fleet.clock.run(driver.precheck(operation, open, context));
const performed = ({ driver, operation, context }: Acting, open: OpenOperation | null = null) =>
  fleet.clock.run(driver.perform(operation, open, context));
const orders = (): readonly string[] => fleet.device('gw-1').effects.flatMap(({ kind, detail }) => (kind === 'order' ? [detail] : []));

describe('an order to a gateway', () => {
  it('goes once, with a nonce, into the mailbox', async () => {
    fleet = await begun();
    const act = await merged(fleet, '{ use: own@2, keep: [own@1] }');
    expect([act.operation.step, await prechecked(act)]).toEqual(['reprovision', { kind: 'clear' }]);
    const outcome = await performed(act);
    const nonce = `${act.operation.id.slice(0, 12)}-1`;
    expect(outcome).toMatchObject({ kind: 'performed', undo: { nonce, inverse: { agent: null } } });
    await fleet.clock.advance(10 * SECOND_MS);
    // Nobody wrote down how that ended: the agent tells.
    const again = opened(act, fleet.clock.now() - 10 * SECOND_MS, { attempt: 2 });
    expect(await prechecked(act, again)).toMatchObject({ kind: 'already', undo: { nonce } });
    await fleet.clock.advance(MINUTE_MS);
    expect(orders()).toEqual(['reprovision']);
  });

  it('is found in the mailbox before the gateway has come for it', async () => {
    fleet = await begun();
    const act = await merged(fleet, '{ use: own@2, keep: [own@1] }');
    fleet.device('gw-1').fault('loseDelta', 1);
    await performed(act);
    const nonce = `${act.operation.id.slice(0, 12)}-1`;
    expect(await prechecked(act, opened(act, fleet.clock.now()))).toMatchObject({ kind: 'already', undo: { nonce } });
    // The attempt that is on record came to nothing: the next one is another order.
    const undo: Json = { nonce, version: 1, inverse: {} };
    expect(await prechecked(act, opened(act, fleet.clock.now(), { attempt: 2, undo }))).toEqual({ kind: 'clear' });
    expect(await performed(act, opened(act, fleet.clock.now(), { attempt: 2, undo }))).toMatchObject({
      undo: { nonce: `${act.operation.id.slice(0, 12)}-2` },
    });
  });

  it('is not given to one that was not heard of lately', async () => {
    fleet = await begun();
    const act = await merged(fleet, '{ use: own@2, keep: [own@1] }');
    await fleet.clock.run(fleet.device('gw-1').powerOff());
    await fleet.clock.advance(20 * MINUTE_MS);
    expect(await prechecked(act)).toMatchObject({ kind: 'refused', reason: 'OFFLINE' });
    expect(await performed(act)).toMatchObject({ kind: 'refused', reason: 'OFFLINE' });
  });

  it('waits for the instant since which a certificate must have been issued', async () => {
    fleet = await begun();
    const act = await merged(fleet, '{ use: own@3, keep: [own@1] }');
    expect(await prechecked(act)).toMatchObject({ kind: 'refused', reason: 'CONDITIONS_NOT_MET' });
  });

  it('to use a new certificate is not given while the account does not take that one', async () => {
    fleet = await begun();
    await performed(await merged(fleet, '{ use: own@2, keep: [own@1] }'));
    await fleet.clock.advance(2 * MINUTE_MS);
    const act = await planned(fleet);
    expect(act.operation.step).toBe('switch');
    expect(await prechecked(act)).toEqual({ kind: 'clear' });
    const { registry } = fleet.sim.aws('field');
    const made = registry.certificates.find(({ things, createdAt }) => things.includes('gw-1') && createdAt > Date.UTC(2026, 0));
    if (made === undefined) throw new Error('no new certificate');
    registry.setStatus(made.id, 'INACTIVE');
    // What the account said before stands for some minutes.
    await fleet.clock.advance(6 * MINUTE_MS);
    expect(await prechecked(act)).toMatchObject({ kind: 'refused', reason: 'LOCKOUT_GUARD' });
  });

  it('is not given once somebody else has brought a new certificate', async () => {
    fleet = await begun();
    const act = await merged(fleet, '{ use: own@2, keep: [own@1] }');
    await performed(act);
    await fleet.clock.advance(MINUTE_MS);
    expect(await prechecked(act)).toMatchObject({ kind: 'refused', reason: 'PRECONDITION_MOVED' });
  });
});

describe('a withdrawal', () => {
  async function rotated(connection = AWS): Promise<void> {
    fleet = await begun(connection);
    fleet.repo.commit(files('{ use: own@2, keep: [own@1] }', connection), 'New certificates');
    for (let pass = 0; pass < 6; pass += 1) {
      await fleet.pass();
      await fleet.clock.advance(5 * MINUTE_MS);
    }
    expect(orders()).toEqual(['reprovision', 'switch']);
  }

  const factory = (): { readonly id: string; readonly pem: string } => {
    const found = fleet.sim
      .aws('field')
      .registry.certificates.find(({ things, createdAt }) => things.includes('gw-1') && createdAt < Date.UTC(2026, 0));
    if (found === undefined) throw new Error('it came without a certificate');
    return found;
  };
  const status = (): string => fleet.sim.aws('field').registry.certificate(factory().id).status;

  it('makes the old certificate INACTIVE, and nothing twice', async () => {
    await rotated();
    const act = await merged(fleet, 'own@2');
    expect([act.operation.step, await prechecked(act)]).toEqual(['withdraw-20251120T083000Z', { kind: 'clear' }]);
    expect(await performed(act)).toMatchObject({ kind: 'performed' });
    expect(status()).toBe('INACTIVE');
    expect(await prechecked(act, opened(act, fleet.clock.now()))).toMatchObject({ kind: 'already' });
  });

  it('is refused once the gateway was seen with its old certificate again', async () => {
    await rotated();
    const act = await merged(fleet, 'own@2');
    await fleet.clock.advance(SECOND_MS);
    const session = { clientId: 'gw-1', certificate: shownAs(factory().pem) };
    const back: LiveBus = await fleet.clock.run(memoryClient(fleet.sim.broker('field'), fleet.clock, session));
    expect(await prechecked(act)).toMatchObject({ kind: 'refused', reason: 'PRECONDITION_MOVED' });
    expect(status()).toBe('ACTIVE');
    await fleet.clock.run(back.close());
  });

  const fresh = (): string => {
    const found = fleet.sim
      .aws('field')
      .registry.certificates.find(({ things, createdAt }) => things.includes('gw-1') && createdAt > Date.UTC(2026, 0));
    if (found === undefined) throw new Error('it has no new certificate');
    return found.id;
  };

  it('is refused once the account takes the new certificate no more: it would be the last way in', async () => {
    await rotated();
    const act = await merged(fleet, 'own@2');
    // Until then what the account said before stands.
    await fleet.clock.advance(6 * MINUTE_MS);
    fleet.sim.aws('field').registry.setStatus(fresh(), 'INACTIVE');
    expect(await prechecked(act)).toMatchObject({ kind: 'refused', reason: 'LOCKOUT_GUARD' });
    expect(status()).toBe('ACTIVE');
  });

  it('is refused where another thing connects by the same certificate', async () => {
    await rotated();
    const act = await merged(fleet, 'own@2');
    const { registry } = fleet.sim.aws('field');
    registry.createThing('gw-9');
    registry.attachThing('gw-9', registry.arn(`cert/${factory().id}`));
    expect(await prechecked(act)).toMatchObject({ kind: 'refused', reason: 'LOCKOUT_GUARD', evidence: expect.stringContaining('gw-9') });
    expect(status()).toBe('ACTIVE');
  });

  it('waits for another gateway that goes on with the same certificate, as one of the same image does', async () => {
    await rotated();
    const [device, twin] = [fleet.declared.deviceAt(0), { ...fleet.declared.deviceAt(0), id: deviceId('gw-2') }];
    const { result } = await fleet.pass();
    const report = result?.reported.deviceAt(0);
    const old = factory().id;
    const cert = { active: old, issued: '2025-11-20T08:30:00Z' };
    const document = readShadowDocument({ state: { reported: { cert } }, version: 1 });
    if (report === undefined || document === null) throw new Error('nothing is reported');
    const identity = saidIdentity(document, { key: identityKey({}), agent: 'agent', now: fleet.clock.now(), last: undefined });
    const request = {
      devices: [device, twin],
      last: () => undefined,
      isOpen: () => false,
      listenMs: 0,
      signal: new AbortController().signal,
    };
    const answer = { reports: [report, { ...report, device: twin.id, items: { identity } }], troubles: [] };
    const ports = { connection: () => undefined } as unknown as Parameters<typeof observeIdentities>[0];
    const [own, other] = (await observeIdentities(ports, request, answer)).reports;
    const facts = (of: typeof own): readonly unknown[] => identityReport(of?.items.identity)?.certificates ?? [];
    expect(facts(own)).toContainEqual(expect.objectContaining({ fingerprint: old, elsewhere: 'gw-2' }));
    expect(facts(other)).toEqual([expect.not.objectContaining({ elsewhere: expect.anything() })]);
    fleet.repo.commit(files('own@2'), 'The old certificates go');
    const declared = fleet.declared.deviceAt(0).items.find(({ item }) => item === 'identity');
    if (own === undefined || declared === undefined) throw new Error('no identity');
    expect(rotationOperations(device, declared, own)).toMatchObject({ drafts: [], impossible: [{ reason: 'LOCKOUT_GUARD' }] });
    expect(rotationOperations(device, declared, report).drafts).toHaveLength(1);
  });

  it('is refused once the account says that the certificate is not as old as the gateway said', async () => {
    await rotated();
    const act = await merged(fleet, 'own@2');
    const facts = { ...(act.operation.facts as object), fingerprint: fresh() };
    const other = await fleet.clock.run(fleet.sim.aws('field').enrol('gw-1', []));
    expect(await prechecked({ ...act, operation: { ...act.operation, facts: { ...facts, fingerprint: other.id } } })).toMatchObject({
      kind: 'refused',
      reason: 'PRECONDITION_MOVED',
    });
  });

  it('is not asked for where no account could do it', async () => {
    await rotated('');
    fleet.repo.commit(files('own@2', ''), 'The old certificates go');
    const { result } = await fleet.pass();
    expect([result?.plan.groups[0]?.converged, result?.executed, status()]).toEqual([1, [], 'ACTIVE']);
  });
});

it('keeps what was read when there is no time left to ask about certificates', async () => {
  fleet = await begun();
  const drivers = await fleet.clock.run(fleet.engine.drivers(fleet.declared, 'holder', fleet.ledger.blobs));
  const ended = new AbortController();
  const device = fleet.declared.deviceAt(0);
  const request = { devices: [device], last: () => undefined, isOpen: () => true, listenMs: 0, signal: ended.signal };
  const answer = await fleet.clock.run(drivers.of('chariot').observe(request));
  ended.abort(new Error('too late'));
  const ports = {
    connection: (name: string) => fleet.declared.fleet.connections.get(name),
    presence: () => new Promise<null>(() => undefined),
  };
  const late = await observeIdentities(ports as unknown as Parameters<typeof observeIdentities>[0], request, answer);
  expect(late.reports).toEqual(answer.reports);
  expect(late.troubles).toEqual([{ connection: 'field', code: 'ABORTED', message: 'asking about certificates was called off' }]);
});

it('asks an account that does not answer once, not for every gateway', async () => {
  fleet = await begun();
  const { result } = await fleet.pass();
  const report = result?.reported.deviceAt(0);
  if (report === undefined) throw new Error('nothing is reported');
  const ids = ['gw-1', 'gw-2', 'gw-3'].map((id) => deviceId(id));
  const devices = ids.map((id) => ({ ...fleet.declared.deviceAt(0), id }));
  const asked: string[] = [];
  const standing = (fingerprint: string): Promise<never> => {
    asked.push(fingerprint);
    return Promise.reject(new WireError('SHADOW_429', 'later', 'describe a certificate: ThrottlingException'));
  };
  const ports = {
    connection: (name: string) => fleet.declared.fleet.connections.get(name),
    revocation: () => Promise.resolve({ byFingerprint: { standing } }),
  } as unknown as Parameters<typeof observeIdentities>[0];
  const request = { devices, last: () => undefined, isOpen: () => true, listenMs: 0, signal: new AbortController().signal };
  const answer = { reports: ids.map((device) => ({ ...report, device })), troubles: [] };
  const { troubles } = await observeIdentities(ports, request, answer);
  expect([asked.length, troubles.map(({ code }) => code)]).toEqual([1, ['SHADOW_429']]);
});

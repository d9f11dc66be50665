import { request } from 'node:https';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { identityKey } from '#adapters/chariot/identity.ts';
import { chariotOptions } from '#adapters/chariot/options.ts';
import { makeChariotDevice } from '#adapters/chariot/sim.ts';
import { DAY_MS } from '#kit/duration.ts';
import { openMemoryLedger } from '#ledger/stores/memory.ts';
import type { HttpExchange } from '#ports/clients.ts';
import type { SimDevice } from '#ports/sim.ts';
import type { World } from '#ports/world.ts';
import { runPass } from '#reconcile/pass.ts';
import type { PassReport } from '#reconcile/report.ts';
import { makeDeclareState } from '#reconcile/revision.ts';
import { SIM_AWS_CREDENTIALS, startAwsIot, type AwsServer } from '#sim/aws/server.ts';
import { ScaledClock } from '#sim/clock.ts';
import { enrolGateway, type IssuedCertificate } from '#sim/enrolment.ts';
import { networkSimPorts } from '#sim/ports.ts';
import { MemoryRepo } from '#test/support/memory-fleet.ts';
import { OPEN_POLICY } from '#test/support/aws-stage.ts';
import { systemClock } from '#transports/clock.ts';
import { openBus } from '#transports/mqtt.ts';
import { openAwsRevocation } from '#transports/revocation-aws.ts';
import { makeNetworkWires } from '#transports/wires.ts';
import { networkClients, openWorld } from '#world.ts';

const GATEWAYS = ['gw-1', 'gw-2'] as const;
const LIMIT_MS = 60_000;
/** A minute of the fleet in 0.4 s: a busy machine must not make gateways look lost. */
const clock = new ScaledClock(Date.now(), 150);

let server: AwsServer;
let world: World;
let repo: MemoryRepo;
const gateways = new Map<string, SimDevice>();
const factory = new Map<string, IssuedCertificate>();

function groupFile(identity: string): string {
  return `kind: Group
name: gateways
select: { family: chariot }
options: { agent: agent }
pins: { identity: ${identity} }
rollout: all
silence: 6h
`;
}

function certificates(since: number): string {
  return `kind: Artifact
name: own
item: identity
fits: { family: chariot }
versions:
  '1': { issuedAfter: '2000-01-01T00:00:00Z' }
  '2': { issuedAfter: '${new Date(since).toISOString().slice(0, 19)}Z' }
`;
}

beforeAll(async () => {
  server = await startAwsIot({ clock });
  server.registry.createPolicy('open', OPEN_POLICY);
  const own = await server.enrol('headgate', ['open']);
  repo = new MemoryRepo({
    'fleet.yaml': `kind: Fleet
format: 1
name: certificates
ledger: { store: git, id: certificates }
limits: { observeDeadline: 60m }
connections:
  field: { type: mqtt, url: '${server.mqttUrl}', ca: keys/ca.pem, cert: keys/own.pem, key: '\${env:HEADGATE_KEY}', presence: aws, withdraw: aws }
`,
    'keys/ca.pem': server.caCertificate,
    'keys/own.pem': own.certificate,
    'devices/gateways.yaml': `kind: Devices
family: chariot
via: field
defaults: { model: gw2 }
devices:
${GATEWAYS.map((id) => `  ${id}: { }`).join('\n')}
`,
    'artifacts/own.yaml': certificates(Date.now()),
    'groups/gateways.yaml': groupFile('own@1'),
    'rollouts/all.yaml': 'kind: Rollout\nname: all\nwaves: [{ name: all, gate: { soak: 1m } }]\nbudget: [{ max: 2 }]\nwindows: any\n',
  });
  const env = { HEADGATE_KEY: own.key };
  const wires = {
    ...makeNetworkWires({ clock, env }),
    // The SDK as it comes, over TLS that trusts this CA. It signs by real time.
    revocation: () => openAwsRevocation({ region: 'eu-central-1', clock: systemClock, credentials: SIM_AWS_CREDENTIALS, exchange }),
  };
  const ledger = openMemoryLedger({ clock: systemClock });
  world = { ...openWorld({ repo: '.', env, clock, wireClock: systemClock, wires, ledger, holder: 'test' }), source: repo };
  for (const id of GATEWAYS) await startGateway(id);
});

afterAll(async () => {
  for (const gateway of gateways.values()) await gateway.powerOff();
  await world.close();
  await server.close();
});

const exchange: HttpExchange = ({ method, target, headers, body }) =>
  new Promise((resolve, reject) => {
    const sent = request(
      `${server.httpsUrl}${target}`,
      { method, headers, ca: server.caCertificate, servername: 'localhost', agent: false },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () => {
          const named = Object.entries(answer.headers).map(([name, value]) => [name, String(value)] as const);
          resolve({ status: answer.statusCode ?? 0, headers: Object.fromEntries(named), bytes: Buffer.concat(chunks) });
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });

async function startGateway(id: string): Promise<void> {
  const { own, claim, template, parameters } = await enrolGateway(server, id, Date.now() - DAY_MS);
  const broker = { url: server.mqttUrl, ca: server.caCertificate };
  const hardware = { id, serial: null, model: 'gw2', firmware: null, program: null, config: null, measures: {} };
  const device = makeChariotDevice(
    {
      ...hardware,
      services: chariotOptions({ agent: 'agent' }),
      identity: { key: identityKey({}), certificates: [own], claim: { claim, template, parameters }, fixedRotation: false },
    },
    networkSimPorts({ clients: networkClients, clock, seed: 1, id, broker }),
  );
  gateways.set(id, device);
  factory.set(id, own);
  await device.powerOn();
}

const state = makeDeclareState();

function pass(newLedger = false): Promise<PassReport> {
  return runPass(world, state, { mode: 'apply', newLedger });
}

/** Passes until all are as declared. */
async function settled(): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  for (;;) {
    const report = await pass();
    const { plan, decision, troubles } = report.result ?? {};
    if (report.exit === 0 && plan?.groups.every(({ devices, converged }) => devices === converged) === true) return;
    if (performance.now() > end) throw new Error(JSON.stringify([report.diagnostics, report.refusal, decision?.held, troubles]));
    await systemClock.sleep(100);
  }
}

/** Whether AWS lets the gateway in by the certificate that it came with. */
async function letIn(id: string): Promise<boolean> {
  const { certificate: cert = '', key = '' } = factory.get(id) ?? {};
  const session = { url: server.mqttUrl, ca: server.caCertificate, clean: true, clock: systemClock, reconnect: false, markerTopic: null };
  try {
    const bus = await openBus({ ...session, clientId: `probe-${id}`, cert, key, protocol: 4 });
    await bus.close();
    return true;
  } catch {
    return false;
  }
}

function connectedBy(id: string): string | undefined {
  return server.broker.certificateOf(id)?.fingerprint;
}

it('rotates the certificates of two gateways over TLS, and AWS refuses those that were withdrawn', { timeout: 2 * LIMIT_MS }, async () => {
  // Their agents tell their certificates seconds after they have begun.
  await clock.sleep(60_000);
  const first = await pass(true);
  expect([first.refusal, first.diagnostics, first.result?.troubles]).toEqual([null, [], []]);
  await settled();

  const files = { 'artifacts/own.yaml': certificates(clock.now()), 'groups/gateways.yaml': groupFile('{ use: own@2, keep: [own@1] }') };
  repo.commit(files, 'New certificates');
  await settled();
  for (const id of GATEWAYS) {
    expect(connectedBy(id)).not.toBe(factory.get(id)?.id);
    expect(await letIn(id)).toBe(true);
  }

  repo.commit({ 'groups/gateways.yaml': groupFile('own@2') }, 'The old certificates go');
  await settled();
  for (const id of GATEWAYS) {
    expect(server.registry.certificate(factory.get(id)?.id ?? '').status).toBe('INACTIVE');
    expect(await letIn(id)).toBe(false);
    const fresh = connectedBy(id);
    await gateways.get(id)?.powerOff();
    await gateways.get(id)?.powerOn();
    expect(connectedBy(id)).toBe(fresh);
  }
});

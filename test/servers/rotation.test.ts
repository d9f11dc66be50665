import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeCampbellDevice, type CampbellSimDevice } from '#adapters/campbell/sim.ts';
import { startArtifactHost } from '#artifacts/serve.ts';
import { certificateFacts } from '#kit/certificate.ts';
import { Secret } from '#kit/secret.ts';
import { openMemoryLedger } from '#ledger/stores/memory.ts';
import type { World } from '#ports/world.ts';
import { runPass } from '#reconcile/pass.ts';
import type { PassReport } from '#reconcile/report.ts';
import { makeDeclareState } from '#reconcile/revision.ts';
import { sealSecret } from '#secrets/seal.ts';
import { ScaledClock } from '#sim/clock.ts';
import { networkSimPorts } from '#sim/ports.ts';
import { MemoryRepo } from '#test/support/memory-fleet.ts';
import { startMosquitto, type Mosquitto } from '#test/support/mosquitto.ts';
import { makeRotationCa, type IssuedKeys, type RotationCa } from '#test/support/rotation-ca.ts';
import { systemClock } from '#transports/clock.ts';
import { openBus } from '#transports/mqtt.ts';
import { networkClients, openWorld } from '#world.ts';

const run = promisify(execFile);
const LOGGERS = ['alder', 'birch', 'cedar'] as const;
const YEAR = 365 * 86_400_000;
/**
 * A minute of the fleet in 0.4 s: a busy machine must not make loggers look lost. The broker stamps its log in real time, so
 * that the two clocks never agree.
 */
const clock = new ScaledClock(Date.now(), 150);

let ca: RotationCa;
let mosquitto: Mosquitto;
let world: World;
let repo: MemoryRepo;
const keys = new Map<string, IssuedKeys>();
const loggers = new Map<string, CampbellSimDevice>();

function opensslTime(at: number): string {
  return `${new Date(at).toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`;
}

function keysOf(name: string): IssuedKeys {
  const found = keys.get(name);
  if (found === undefined) throw new RangeError(name);
  return found;
}

function fingerprint(name: string): string {
  return certificateFacts(Buffer.from(keysOf(name).cert))?.fingerprint ?? '';
}

beforeAll(async () => {
  ca = await makeRotationCa();
  const now = Date.now();
  const [old, fresh] = [
    { from: opensslTime(now - YEAR), to: opensslTime(now + YEAR) },
    { from: opensslTime(now - 86_400_000), to: opensslTime(now + 2 * YEAR) },
  ];
  keys.set('headgate', await ca.issue('headgate', old));
  for (const id of LOGGERS) {
    keys.set(`${id}-1`, await ca.issue(`${id}-1`, old));
    keys.set(`${id}-2`, await ca.issue(`${id}-2`, fresh));
  }
  mosquitto = await startMosquitto({
    config: [
      `cafile ${ca.file('ca.pem')}`,
      `certfile ${ca.file('server.pem')}`,
      `keyfile ${ca.file('server.key')}`,
      `crlfile ${ca.file('crl.pem')}`,
      'require_certificate true',
      'use_subject_as_username true',
      `pid_file ${ca.file('mosquitto.pid')}`,
      `log_dest file ${ca.file('mosquitto.log')}`,
    ],
  });
  const identity = await generateIdentity();
  repo = new MemoryRepo(await fleetFiles(await identityToRecipient(identity)));
  const env = {
    AGE_IDENTITY: identity,
    HEADGATE_KEY: keysOf('headgate').key,
    HEADGATE_CRL_CA: ca.file('ca.pem'),
    HEADGATE_CRL_KEY: ca.file('ca.key'),
    HEADGATE_BROKER_PID: ca.file('mosquitto.pid'),
  };
  const artifactHost = await startArtifactHost({ publicUrl: null, clock });
  const ledger = openMemoryLedger({ clock: systemClock });
  world = { ...openWorld({ repo: '.', env, clock, wireClock: systemClock, ledger, artifactHost, holder: 'test' }), source: repo };
});

afterAll(async () => {
  for (const logger of loggers.values()) await logger.powerOff();
  await world.close();
  await mosquitto.close();
  await ca.remove();
});

async function fleetFiles(recipient: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {
    'fleet.yaml': `kind: Fleet
format: 1
name: rotation
ledger: { store: git, id: rotation }
limits: { observeDeadline: 60m }
connections:
  field:
    type: mqtt
    url: 'mqtts://127.0.0.1:${mosquitto.port}'
    ca: keys/ca.pem
    cert: keys/headgate.pem
    key: '\${env:HEADGATE_KEY}'
    presence: 'mosquitto-log:${ca.file('mosquitto.log')}'
    withdraw: 'crl:${ca.file('crl.pem')}'
artifacts: { urls: serve, publicUrl: 'http://127.0.0.1' }
secrets: { recipients: keys/age.txt, identity: '\${env:AGE_IDENTITY}' }
`,
    'keys/age.txt': recipient,
    'keys/ca.pem': ca.ca,
    'keys/headgate.pem': keysOf('headgate').cert,
    'devices/loggers.yaml': `kind: Devices
family: campbell
via: field
defaults: { model: CR1000X }
devices:
${LOGGERS.map((id, index) => `  ${id}: { serial: '${index + 1}', address: cr1000x/${index + 1} }`).join('\n')}
`,
    'artifacts/identity.yaml': `kind: Artifact
name: own
item: identity
fits: { family: campbell }
versions:
  '1': { cert: 'certs/\${id}-1.pem', key: '\${age:secrets/\${id}-1.age}' }
  '2': { cert: 'certs/\${id}-2.pem', key: '\${age:secrets/\${id}-2.age}' }
`,
    'groups/met.yaml': groupFile('own@1'),
    'rollouts/all.yaml': `kind: Rollout
name: all
waves: [{ name: first, count: 1, gate: { success: 100%, soak: 1m } }, { name: rest }]
gate: { quorum: 100%, patience: 1d, then: ask, minimum: 1 }
budget: [{ max: 2 }]
windows: any
`,
  };
  for (const [name, { cert, key }] of keys) {
    if (name === 'headgate') continue;
    files[`certs/${name}.pem`] = cert;
    const sealed = await sealSecret(new Secret(Buffer.from(key)), recipient);
    if (!sealed.ok) throw new Error(sealed.error);
    files[`secrets/${name}.age`] = sealed.value;
  }
  return files;
}

function groupFile(identity: string): string {
  return `kind: Group\nname: met\nselect: { family: campbell }\npins:\n  identity: ${identity}\nrollout: all\nsilence: 6h\n`;
}

async function startLogger(id: string, serial: string): Promise<void> {
  const broker = { url: `mqtts://127.0.0.1:${mosquitto.port}`, ca: ca.ca };
  const ports = networkSimPorts({ clients: networkClients, clock, seed: 1, id, broker });
  const address = `cr1000x/${serial}`;
  const device = makeCampbellDevice(
    { id, model: 'CR1000X', serial, address, os: 'CR1000X.8.1.0', program: null, keys: keysOf(`${id}-1`) },
    ports,
  );
  loggers.set(id, device);
  await device.powerOn();
}

const state = makeDeclareState();

function pass(newLedger = false): Promise<PassReport> {
  return runPass(world, state, { mode: 'apply', newLedger, listenMs: 200 });
}

async function settled(): Promise<PassReport> {
  const end = performance.now() + 60_000;
  for (;;) {
    const report = await pass();
    const open = report.result?.plan.groups.every(({ devices, converged }) => devices === converged) === true;
    if ((open && report.exit === 0) || report.exit === 3) return report;
    if (performance.now() > end)
      throw new Error(JSON.stringify([report.diagnostics, report.refusal, report.result?.decision.held, report.result?.troubles]));
  }
}

/** Whether the broker lets a client in by that certificate. */
async function letIn(name: string): Promise<boolean> {
  const options = {
    url: `mqtts://127.0.0.1:${mosquitto.port}`,
    clientId: `probe-${name}`,
    clean: true,
    clock: systemClock,
    reconnect: false,
  };
  try {
    const bus = await openBus({ ...options, ca: ca.ca, ...keysOf(name) });
    await bus.close();
    return true;
  } catch {
    return false;
  }
}

it('rotates the certificates of three loggers, and the broker refuses those that were withdrawn', async () => {
  for (const [index, id] of LOGGERS.entries()) await startLogger(id, String(index + 1));
  const first = await pass(true);
  expect([first.refusal, first.diagnostics, first.result?.troubles]).toEqual([null, [], []]);
  await settled();

  repo.commit({ 'groups/met.yaml': groupFile('{ use: own@2, keep: [own@1] }') }, 'New certificates');
  const loaded = await settled();
  expect(loaded.exit).toBe(0);
  for (const id of LOGGERS) {
    expect(loggers.get(id)?.fingerprint()).toBe(fingerprint(`${id}-2`));
    // In its own words: the subject that mosquitto saw with the newest connection of that client.
    const lines = mosquitto
      .log()
      .split('\n')
      .filter((line) => line.includes(`as CR1000X_${LOGGERS.indexOf(id) + 1} (`) && line.includes('New client'));
    expect(lines.at(-1)).toContain(`u'CN=${id}-2'`);
    expect(await letIn(`${id}-1`)).toBe(true);
  }

  repo.commit({ 'groups/met.yaml': groupFile('own@2') }, 'The old certificates go');
  const withdrawn = await settled();
  expect(withdrawn.exit).toBe(0);
  for (const id of LOGGERS) {
    expect(await letIn(`${id}-1`)).toBe(false);
    expect(await letIn(`${id}-2`)).toBe(true);
    expect(loggers.get(id)?.effects.filter(({ kind }) => kind === 'mqttConfig')).toHaveLength(1);
  }
  const { stdout } = await run('openssl', ['crl', '-in', ca.file('crl.pem'), '-CAfile', ca.file('ca.pem'), '-noout', '-text'], {
    cwd: ca.dir,
  });
  expect(stdout.match(/Serial Number:/g)).toHaveLength(3);

  // A cut connection comes back by the new certificate, as it would after any loss of power.
  await loggers.get('alder')?.powerOff();
  await loggers.get('alder')?.powerOn();
  expect((await settled()).exit).toBe(0);

  repo.commit({ 'groups/met.yaml': groupFile('own@1') }, 'Back to what was withdrawn');
  const refused = await pass();
  expect(refused.result?.plan.devices.map(({ device, impossible }) => [device, impossible[0]?.reason])).toEqual(
    LOGGERS.map((id) => [id, 'LOCKOUT_GUARD']),
  );
  expect(refused.result?.executed).toEqual([]);
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CampbellSimDevice } from '#adapters/campbell/sim.ts';
import { families } from '#adapters/registry.ts';
import { makeArtifactHost, type ArtifactHost } from '#artifacts/serve.ts';
import { makeDeclareCache } from '#declare/cache.ts';
import { declare } from '#declare/declare.ts';
import { secretsNeeded } from '#declare/needed.ts';
import { revisionOfFiles } from '#declare/revision-of.ts';
import { certificateFacts } from '#kit/certificate.ts';
import { sha256 } from '#kit/digest.ts';
import { openMemoryLedger } from '#ledger/stores/memory.ts';
import type { Declared } from '#model/declared.ts';
import type { LedgerStore } from '#ports/ledger.ts';
import type { OpenedSecrets, SecretOpener } from '#ports/secrets.ts';
import type { Wires } from '#ports/wires.ts';
import type { World } from '#ports/world.ts';
import { runPass } from '#reconcile/pass.ts';
import type { PassReport } from '#reconcile/report.ts';
import { makeDeclareState, type DeclareState } from '#reconcile/revision.ts';
import { makeSecretOpener } from '#secrets/open.ts';
import { VirtualClock } from '#sim/clock.ts';
import { addDeclaredDevice, connectionsOf } from '#sim/fleet.ts';
import { startSimWorld, type SimWorld } from '#sim/world.ts';
import { networkClients, openWorld } from '#world.ts';
import { MemoryRepo, type Files } from './memory-fleet.ts';

export const LOGGERS = ['alder', 'ash', 'beech', 'birch'] as const;
export type LoggerName = (typeof LOGGERS)[number];
export const VERSIONS = ['2025-11', '2026-11'] as const;
export type IdentityVersionName = (typeof VERSIONS)[number];
/** What the group may say of its identity, in the order of a rotation. */
export const PINS = {
  old: 'field-identity@2025-11',
  both: '{ use: field-identity@2026-11, keep: [field-identity@2025-11] }',
  new: 'field-identity@2026-11',
} as const;
/** The brokers, by the names under which loggers and Headgate know them. */
export const BROKERS = ['field', 'next'] as const;
export type BrokerName = (typeof BROKERS)[number];
/** Where Headgate looks for the loggers. */
export const VIAS = { field: 'field', both: '{ from: field, to: next }', next: 'next' } as const;

/** What a commit says of all loggers. */
export interface Declaration {
  readonly pin: keyof typeof PINS;
  readonly endpoint: BrokerName;
  readonly via: keyof typeof VIAS;
}

const FIRST: Declaration = { pin: 'old', endpoint: 'field', via: 'field' };

/** Loggers that may be down or changing at once. */
export const SLOTS = 2;

const FOLDER = join(import.meta.dirname, '..', 'scenarios', 'fleets');
const SERVED_URL = 'https://files.headgate.example';
const START = Date.UTC(2026, 10, 23, 8, 30);

function fleetFile(path: string): Uint8Array {
  return new Uint8Array(readFileSync(join(FOLDER, 'rotation', path)));
}

function fleetFiles(): Files {
  const own = LOGGERS.flatMap((id) =>
    VERSIONS.flatMap((version) => [`files/certs/${version}/${id}.pem`, `secrets/${version}/${id}.age`]).map(
      (path) => [path, fleetFile(path)] as const,
    ),
  );
  return {
    ...Object.fromEntries(own),
    'keys/age.txt': fleetFile('keys/age.txt'),
    'fleet.yaml': FLEET,
    'artifacts/identity.yaml': fleetFile('artifacts/identity.yaml'),
    ...declaredFiles(FIRST),
    'rollouts/careful.yaml': `kind: Rollout
name: careful
waves: [{ name: first, count: 2, gate: { success: 100%, soak: 1m } }, { name: rest }]
gate: { quorum: 100%, patience: 2d, then: ask, minimum: 1 }
budget: [{ max: ${SLOTS} }]
windows: any
`,
  };
}

const FLEET = `kind: Fleet
format: 1
name: rotation
ledger: { store: 'sqlite:ledger.db', id: rotation, lasting: true }
connections:
${BROKERS.map((name) => `  ${name}: { type: mqtt, url: 'mqtts://${name}:8883', presence: 'mosquitto-log:${name}.log', withdraw: 'crl:${name}.pem' }`).join('\n')}
artifacts: { urls: serve, publicUrl: '${SERVED_URL}' }
secrets: { recipients: keys/age.txt, identity: '\${env:AGE_IDENTITY}' }
limits: { personal: 2, operationsPerMinute: 120, maxAttempts: 3 }
`;

function declaredFiles({ pin, endpoint, via }: Declaration): Files {
  const rows = LOGGERS.map((id, index) => `  ${id}: { serial: "300${index + 1}", address: RRRR-RRRR-000${index + 1} }`);
  return {
    'devices/loggers.yaml': `kind: Devices
family: campbell
via: ${VIAS[via]}
defaults: { model: CR1000X }
devices:
${rows.join('\n')}
`,
    'groups/met.yaml': `kind: Group
name: met
select: { family: campbell }
pins:
  identity: ${PINS[pin]}
settings: { MQTTEndpoint: ${endpoint} }
drift: { settings: correct }
rollout: careful
silence: 6h
`,
  };
}

/** Each ciphertext is opened once, however many engines are started. */
const opener = makeSecretOpener({ env: { AGE_IDENTITY: readFileSync(join(FOLDER, 'age-identity.txt'), 'utf8') } });
const opened = new Map<string, Promise<OpenedSecrets>>();
const secrets: SecretOpener = {
  open: (request) => {
    const key = request.files.map(({ oid }) => oid).join(' ');
    const known = opened.get(key) ?? opener.open(request);
    opened.set(key, known);
    return known;
  },
};

const certificates = new Map(
  LOGGERS.flatMap((id) =>
    VERSIONS.map((version) => [`${id} ${version}`, certificateFacts(fleetFile(`files/certs/${version}/${id}.pem`))?.fingerprint ?? '']),
  ),
);

export function fingerprintOf(id: LoggerName, version: IdentityVersionName): string {
  return certificates.get(`${id} ${version}`) ?? '';
}

/** Thrown by a checkpoint: the process ends there. */
class PowerCut extends Error {
  override readonly name = 'PowerCut';
}

/** Told of each certificate before a broker makes it worthless. */
type Withdrawing = (fingerprint: string, broker: string) => void;

interface Parts {
  readonly sim: SimWorld;
  readonly served: { host: Pick<ArtifactHost, 'answer'> | null };
  readonly withdrawing: Withdrawing;
  readonly clock: VirtualClock;
}

/** Four loggers with certificates, their broker and the whole engine in this process, on a virtual clock. */
export class RotationFleet {
  readonly clock: VirtualClock;
  readonly repo = new MemoryRepo(fleetFiles());
  readonly sim: SimWorld;
  /** Fingerprint of the newest connection that the broker accepted, by client id. */
  readonly seen = new Map<string, string>();
  /** `BROKER FINGERPRINT`. */
  readonly withdrawn = new Set<string>();
  declared = FIRST;
  crashAt: 'appended' | 'performed' | null = null;
  readonly #ledger: LedgerStore;
  readonly #withdrawing: Withdrawing;
  readonly #served: Parts['served'];
  #engine: World;
  #state: DeclareState = makeDeclareState();

  private constructor({ sim, served, withdrawing, clock }: Parts) {
    this.clock = clock;
    this.sim = sim;
    this.#served = served;
    this.#withdrawing = withdrawing;
    this.#ledger = openMemoryLedger({ clock });
    for (const broker of BROKERS) {
      sim.broker(broker).onConnect(({ clientId, certificate }) => {
        if (certificate !== null) this.seen.set(clientId, certificate.fingerprint);
      });
    }
    this.#engine = this.#open();
  }

  /** Switched on, settled with their old certificates, and with a ledger. */
  static async start(withdrawing: Withdrawing): Promise<RotationFleet> {
    const clock = new VirtualClock(START);
    const served: Parts['served'] = { host: null };
    const declared = await declaredOf(fleetFiles());
    const sim = await startSimWorld({
      clock,
      seed: 1,
      transport: 'memory',
      connections: connectionsOf(declared),
      clients: networkClients,
      hosts: [{ url: SERVED_URL, answer: (request) => served.host?.answer(request) ?? 'close' }],
    });
    const fleet = new RotationFleet({ sim, served, withdrawing, clock });
    for (const device of LOGGERS) await clock.run(addDeclaredDevice(sim, declared, { device, options: {} }));
    await clock.advance(3 * 60_000);
    await fleet.pass({ newLedger: true, listenMs: 2 * 60_000 });
    return fleet;
  }

  logger(id: LoggerName): CampbellSimDevice {
    const device = this.sim.devices.get(id);
    if (device === undefined || !('fingerprint' in device)) throw new RangeError(`no logger ${id}`);
    return device as CampbellSimDevice;
  }

  commit(change: Partial<Declaration>): void {
    this.declared = { ...this.declared, ...change };
    this.repo.commit(declaredFiles(this.declared), JSON.stringify(this.declared));
  }

  /** Null when the power was cut within it. */
  async pass(options: { readonly newLedger?: boolean; readonly listenMs?: number } = {}): Promise<PassReport | null> {
    try {
      return await this.clock.run(runPass(this.#engine, this.#state, { mode: 'apply', ...options }));
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error;
      await this.restart();
      return null;
    }
  }

  /** What the ledger says of the loads of keys: by logger, the number of the rollout that admitted the last of them. */
  async admissions(): Promise<ReadonlyMap<string, number>> {
    const found = new Map<string, number>();
    let rollouts = 0;
    for (const { body } of await this.#ledger.read()) {
      if (body.type === 'event' && body.event.kind === 'rollout-began') rollouts += 1;
      if (body.type === 'intent' && body.operation.step === 'load-identity') found.set(body.operation.device, rollouts);
    }
    return found;
  }

  /** Another process: repo, ledger and broker are all that is left. */
  async restart(): Promise<void> {
    await this.clock.run(this.#engine.close());
    this.#state = makeDeclareState();
    this.#engine = this.#open();
  }

  async close(): Promise<void> {
    await this.clock.run(this.#engine.close());
    await this.sim.close();
  }

  #open(): World {
    const { clock } = this;
    const host = makeArtifactHost({ url: SERVED_URL, clock });
    // What lay ready is gone with the process that served it.
    this.#served.host = host;
    const cut = (at: 'appended' | 'performed') => (): void => {
      if (this.crashAt !== at) return;
      this.crashAt = null;
      throw new PowerCut(at);
    };
    const world = openWorld({
      repo: '.',
      env: {},
      clock,
      wires: this.#watched(this.sim.wires),
      ledger: this.#ledger,
      checkpoints: { appended: cut('appended'), performed: cut('performed') },
      artifactHost: { ...host, close: () => Promise.resolve() },
      holder: 'test',
    });
    return { ...world, source: this.repo, secrets: clock.tracked(secrets) };
  }

  #watched(wires: Wires): Wires {
    return {
      ...wires,
      revocation: async (connection) => {
        const own = (await wires.revocation?.(connection)) ?? null;
        if (own === null) return null;
        return {
          ...own,
          withdraw: async (certificate, signal) => {
            const fingerprint = sha256(certificate);
            this.#withdrawing(fingerprint, connection.name);
            this.withdrawn.add(`${connection.name} ${fingerprint}`);
            await own.withdraw(certificate, signal);
          },
        };
      },
    };
  }
}

async function declaredOf(files: Files): Promise<Declared> {
  const revision = revisionOfFiles(files);
  const entries = new Map([...families()].map(([name, entry]) => [name, entry.family]));
  const needed = secretsNeeded(revision, revision, makeDeclareCache());
  const { declared, diagnostics } = declare({ revision, families: entries, at: START, secrets: await secrets.open(needed) });
  if (declared !== null) return declared;
  throw new Error(diagnostics.map((one) => `${one.place.file}:${one.place.line} ${one.code} ${one.summary}`).join('\n'));
}

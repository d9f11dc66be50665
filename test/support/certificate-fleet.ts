import { buildSimConfig } from '#adapters/canedge/sim-schema.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import type { PassReport } from '#reconcile/report.ts';
import { caCertificate } from '#test/support/ca-certificates.ts';
import { MemoryFleet, type Files } from '#test/support/memory-fleet.ts';

/** Roots and the servers that are certified by them, made once. */
const [OLD, NEW, STRANGER] = ['Old Root', 'New Root', 'Strange Root'].map((name) => caCertificate(name));
const HOSTS = { logs: 's3.old.example', moved: 's3.new.example' } as const;
const BUCKETS = { logs: 'vehicle-logs', moved: 'fleet-logs' } as const;
export const VANS = ['van-1', 'van-2', 'van-3'] as const;

type Place = keyof typeof HOSTS;
type Root = 'old' | 'new' | 'stranger';
const ROOTS = { old: OLD, new: NEW, stranger: STRANGER } as const;

/** What a commit declares of certificates and server. */
export interface DeclaredLink {
  readonly via: string;
  /** Left out: no pin, whatever is loaded stays. */
  readonly trust?: { readonly use: Root; readonly keep?: Root };
  readonly server: { readonly place: Place; readonly tls: boolean };
}

/** The documented sequences (docs/protocols/canedge-s3.md §7.3), each commit of them. The first one is where they begin. */
export const SEQUENCES: Readonly<Record<'tls' | 'replace' | 'move', readonly [DeclaredLink, ...DeclaredLink[]]>> = {
  tls: [
    { via: 'logs', server: { place: 'logs', tls: false } },
    { via: 'logs', trust: { use: 'old' }, server: { place: 'logs', tls: false } },
    { via: 'logs', trust: { use: 'old' }, server: { place: 'logs', tls: true } },
  ],
  replace: [
    { via: 'logs', trust: { use: 'old' }, server: { place: 'logs', tls: true } },
    { via: 'logs', trust: { use: 'new', keep: 'old' }, server: { place: 'logs', tls: true } },
    { via: 'logs', trust: { use: 'new' }, server: { place: 'logs', tls: true } },
  ],
  move: [
    { via: 'logs', trust: { use: 'old' }, server: { place: 'logs', tls: true } },
    { via: '{ from: logs, to: moved }', trust: { use: 'new', keep: 'old' }, server: { place: 'moved', tls: true } },
    { via: 'moved', trust: { use: 'new' }, server: { place: 'moved', tls: true } },
  ],
};

/** Mistakes that a person may commit at any point: none of them may lock a device out. */
export const MISTAKES: readonly DeclaredLink[] = [
  { via: 'logs', trust: { use: 'stranger' }, server: { place: 'logs', tls: true } },
  { via: 'logs', trust: { use: 'new' }, server: { place: 'logs', tls: true } },
  { via: 'logs', server: { place: 'logs', tls: true } },
  { via: 'logs', trust: { use: 'stranger' }, server: { place: 'moved', tls: true } },
  { via: 'moved', trust: { use: 'stranger', keep: 'old' }, server: { place: 'moved', tls: true } },
  { via: '{ from: logs, to: moved }', trust: { use: 'old' }, server: { place: 'moved', tls: true } },
  { via: '{ from: logs, to: moved }', server: { place: 'moved', tls: true } },
];

function linkFiles({ via, trust, server }: DeclaredLink): Files {
  const { place, tls } = server;
  const endpoint = `${tls ? 'https' : 'http'}://${HOSTS[place]}`;
  const config = buildSimConfig('01.08', 'CANedge2', { endpoint, port: tls ? 443 : 80, bucket: BUCKETS[place] });
  const keep = trust?.keep === undefined ? '' : `, keep: [ca@${trust.keep}]`;
  return {
    'files/base-01.08.json': JSON.stringify(config),
    'devices/vans.yaml': `kind: Devices
family: canedge
via: ${via}
defaults: { model: CANedge2 }
devices:
${VANS.map((van, index) => `  ${van}: { serial: 0A00000${index + 1} }\n`).join('')}`,
    'groups/vans.yaml': `kind: Group
name: vans
select: all
pins:
  config: { layers: [files/base-01.08.json] }
${trust === undefined ? '' : `  trust: { use: ca@${trust.use}${keep} }\n`}rollout: all
silence: 3d
drift: { config: correct }
`,
  };
}

function frame(): Files {
  const s3 = (bucket: string): string => `{ type: s3, bucket: ${bucket}, region: eu-west-2 }`;
  return {
    'fleet.yaml': `kind: Fleet
format: 1
name: vans
ledger: { store: "sqlite:ledger.sqlite", id: vans, lasting: true }
connections: { logs: ${s3(BUCKETS.logs)}, moved: ${s3(BUCKETS.moved)} }
limits: { change: 100%, leave: 3, personal: 5, maxAttempts: 50 }
`,
    'artifacts/ca.yaml': `kind: Artifact
name: ca
item: trust
fits: { family: canedge }
versions:
${Object.keys(ROOTS)
  .map((root) => `  ${root}: { certs: [files/ca/${root}.pem] }\n`)
  .join('')}`,
    'rollouts/all.yaml': 'kind: Rollout\nname: all\nwaves: [ { name: everyone } ]\nbudget: [ { max: 100% } ]\nwindows: any\n',
    ...Object.fromEntries(Object.entries(ROOTS).map(([root, certificate]) => [`files/ca/${root}.pem`, certificate?.pem ?? ''])),
  };
}

/** A fleet of three vans whose servers have names and certificates, with whatever a person or the world may do to it. */
export class CertificateFleet {
  readonly fleet: MemoryFleet;
  /** Which root certifies the old server now; the new one is of the new root. */
  shown: 'old' | 'new' = 'old';
  declared: DeclaredLink;
  last: PassReport | null = null;

  private constructor(fleet: MemoryFleet, declared: DeclaredLink) {
    this.fleet = fleet;
    this.declared = declared;
  }

  /** All vans carry what the first commit declares; the ledger is begun. `cut` ends the process at a checkpoint. */
  static async start(first: DeclaredLink, cut: { armed: 'appended' | 'performed' | null }, seed = 1): Promise<CertificateFleet> {
    const strike = (name: 'appended' | 'performed') => (): void => {
      if (cut.armed !== name) return;
      cut.armed = null;
      throw new ProcessEnd(name);
    };
    const checkpoints = { appended: strike('appended'), performed: strike('performed') };
    const fleet = await MemoryFleet.start({ files: { ...frame(), ...linkFiles(first) }, seed, checkpoints });
    const vans = new CertificateFleet(fleet, first);
    vans.serve();
    for (const van of VANS) await fleet.add(van);
    await fleet.clock.advance(10 * MINUTE_MS);
    vans.last = await fleet.pass({ newLedger: true });
    return vans;
  }

  serve(): void {
    const certificate = (host: string, root: Root): readonly Uint8Array[] => [leaf(host, root)];
    const { sim } = this.fleet;
    sim.serve('logs', { endpoint: `http://${HOSTS.logs}`, port: null, chain: null });
    sim.serve('logs', { endpoint: `https://${HOSTS.logs}`, port: null, chain: certificate(HOSTS.logs, this.shown) });
    sim.serve('moved', { endpoint: `https://${HOSTS.moved}`, port: null, chain: certificate(HOSTS.moved, 'new') });
  }

  commit(link: DeclaredLink): void {
    this.declared = link;
    this.last = null;
    this.fleet.repo.commit(linkFiles(link), 'another link');
  }

  /** One pass; a process that ends in the middle of it is followed by a new one. */
  async pass(): Promise<void> {
    try {
      this.last = await this.fleet.pass();
    } catch (error) {
      if (!(error instanceof ProcessEnd)) throw error;
      this.last = null;
      await this.fleet.restart();
    }
  }

  /** Whether the last pass, since the last commit, says that everybody carries what is declared, and nothing is under way. */
  get settled(): boolean {
    const groups = this.last?.result?.plan.groups ?? [];
    return this.last?.exit === 0 && groups.length > 0 && groups.every((group) => group.converged === group.devices);
  }

  /** The server gets a certificate of the other root: as §7.3 B says, only once all devices are proven to trust both. */
  swapServer(): boolean {
    if (!this.settled || this.declared.trust?.keep === undefined) return false;
    this.shown = this.shown === 'old' ? 'new' : 'old';
    this.serve();
    return true;
  }

  async power(van: string, on: boolean): Promise<void> {
    const device = this.fleet.device(van);
    await this.fleet.clock.run(on ? device.powerOn() : device.powerOff());
  }

  /** Vans that would not reach the server that they are told to use. */
  get stranded(): readonly string[] {
    return VANS.flatMap((van) => {
      const why = this.fleet.device(van).outOfReach?.() ?? null;
      return why === null ? [] : [`${van}: ${why}`];
    });
  }

  /** Everybody is awake, and passes go on until all is settled, or for some hours. */
  async settle(): Promise<void> {
    for (const van of VANS) await this.power(van, true);
    for (let passes = 0; passes < 8 && !this.settled; passes += 1) {
      await this.fleet.clock.advance(20 * MINUTE_MS);
      await this.pass();
    }
  }
}

class ProcessEnd extends Error {
  override readonly name = 'ProcessEnd';
}

const leaves = new Map<string, Uint8Array>();

function leaf(host: string, root: Root): Uint8Array {
  const name = `${host} ${root}`;
  const issuer = ROOTS[root];
  const made = leaves.get(name) ?? caCertificate(host, issuer === undefined ? {} : { issuer }).der;
  leaves.set(name, made);
  return made;
}

import { X509Certificate } from 'node:crypto';
import type { SigningCredentials } from '#kit/sigv4.ts';
import type { Clock } from '#ports/clock.ts';
import type { Admission } from '#sim/broker-access.ts';
import { memoryBroker, type Broker } from '#sim/broker.ts';
import { peerCertificate, type PeerCertificate } from '#sim/peer-certificate.ts';
import { makeAwsCa, openAwsCa, type AwsCa, type AwsCaFiles } from './ca.ts';
import { AwsFaults } from './faults.ts';
import { FleetIndex } from './fleet-index.ts';
import { controlOperations } from './http-control.ts';
import { dataOperations, keepRetained, type RetainedMessage } from './http-data.ts';
import { makeAwsEndpoint, type AwsEndpoint } from './http-endpoint.ts';
import { allowed } from './policy.ts';
import { PresenceEvents } from './presence-events.ts';
import { Provisioning } from './provisioning.ts';
import { AwsRegistry, type AwsAccount } from './registry.ts';
import { awsRules, MAX_CLIENT_ID_BYTES } from './rules.ts';
import { ShadowStore } from './shadow-store.ts';
import { ShadowWire } from './shadow-wire.ts';
import { SHADOW_SWITCHES, WIRE_SWITCHES, type ShadowSwitches, type WireSwitches } from './switches.ts';

export interface AwsIotOptions {
  readonly clock: Clock;
  readonly switches?: Partial<ShadowSwitches & WireSwitches>;
  /** eu-central-1 and 111122223333 when left out. */
  readonly account?: AwsAccount;
  /** What signs certificates of devices; made when first needed if left out. */
  readonly ca?: AwsCaFiles;
  /** Whether a client over MQTT needs a registered, active certificate with a policy. False when left out. */
  readonly certificates?: boolean;
  /** Who may call over HTTP; everybody, unsigned, when left out. */
  readonly credentials?: readonly SigningCredentials[];
  /** Whose time signatures are judged by, and how far they may be off; any when left out. */
  readonly signatures?: { readonly maxSkewMs: number; now(): number };
  /** Calls per second by name of the operation; nothing is limited when left out. */
  readonly quotas?: Readonly<Record<string, number>>;
  /** What DescribeEndpoint tells. */
  endpoint?(type: string): string;
}

/** An account of AWS IoT in this process, without a port: see startAwsIot for one with ports. */
export interface AwsIot {
  readonly broker: Broker;
  readonly shadows: ShadowStore;
  readonly registry: AwsRegistry;
  readonly presence: PresenceEvents;
  readonly provisioning: Provisioning;
  readonly index: FleetIndex;
  readonly endpoint: AwsEndpoint;
  readonly faults: AwsFaults;
  ca(): Promise<AwsCa>;
  /** A device with a certificate, a thing of that name and the policies; registered and active. */
  enrol(thing: string, policies: readonly string[]): Promise<{ readonly certificate: string; readonly key: string; readonly id: string }>;
  close(): Promise<void>;
}

export const DEFAULT_ACCOUNT: AwsAccount = { region: 'eu-central-1', account: '111122223333' };

/** Shadows, registry, fleet provisioning, presence and index over one broker and one HTTP endpoint (aws-iot.md §18.1). */
export function makeAwsIot(options: AwsIotOptions): AwsIot {
  const parts = makeParts(options);
  const { broker, shadows, registry, presence, provisioning, index, faults, ca } = parts;
  const ended = new AbortController();
  watch(parts, { certificates: options.certificates ?? false, signal: ended.signal });
  return {
    broker,
    shadows,
    registry,
    presence,
    provisioning,
    index,
    endpoint: makeEndpoint(options, parts),
    faults,
    ca,
    enrol: (thing, policies) => enrol(parts, thing, policies),
    close: async () => {
      ended.abort();
      await broker.close();
    },
  };
}

interface Parts extends Omit<AwsIot, 'endpoint' | 'enrol' | 'close'> {
  readonly clock: Clock;
  readonly switches: ShadowSwitches & WireSwitches;
  readonly wire: ShadowWire;
  readonly retained: Map<string, RetainedMessage>;
}

function makeParts(options: AwsIotOptions): Parts {
  const { clock } = options;
  const switches = { ...SHADOW_SWITCHES, ...WIRE_SWITCHES, ...options.switches };
  const faults = new AwsFaults();
  const shadows = new ShadowStore({ clock, switches });
  const registry = new AwsRegistry({ clock, ...(options.account ?? DEFAULT_ACCOUNT) });
  const retained = new Map<string, RetainedMessage>();
  const wire = new ShadowWire({ store: shadows, clock, faults, switches, broker: () => broker });
  let opened: Promise<AwsCa> | null = null;
  const ca = (): Promise<AwsCa> => (opened ??= openCa(options.ca, clock.now()));
  const provisioning = new Provisioning({
    clock,
    registry,
    ca,
    publish: (message, clientId) => void broker.send(message, { clientId, unsubscribed: false }),
  });
  const rules = awsRules({
    registry,
    switches,
    take(session, request, message) {
      if (request.kind === 'shadow') wire.take(session, request, message);
      else provisioning.take(session, request, message);
    },
    retained: (message) => keepRetained({ retained, clock }, message),
  });
  const broker: Broker = memoryBroker({ clock, rules });
  const presence = new PresenceEvents({ clock, faults, publish: (message) => broker.publish(message) });
  const index = new FleetIndex({ clock, registry, store: shadows, presence, switches });
  return { clock, switches, faults, shadows, registry, retained, wire, ca, provisioning, broker, presence, index };
}

function makeEndpoint(options: AwsIotOptions, parts: Parts): AwsEndpoint {
  const { clock, faults, registry, index, broker, shadows } = parts;
  const { region } = options.account ?? DEFAULT_ACCOUNT;
  return makeAwsEndpoint({
    clock,
    faults,
    region,
    operations: [
      ...dataOperations({ ...parts, store: shadows, broker: () => broker }),
      ...controlOperations({ ...parts, endpoint: (type) => options.endpoint?.(type) ?? 'localhost' }),
      ...index.operations(),
    ],
    credentials: options.credentials ?? [],
    quotas: new Map(Object.entries(options.quotas ?? {})),
    maxSkewMs: options.signatures?.maxSkewMs ?? Number.POSITIVE_INFINITY,
    signatureNow: () => options.signatures?.now() ?? clock.now(),
    allows({ certificate }, act) {
      if (certificate === null || registry.findCertificate(certificate.fingerprint)?.status !== 'ACTIVE') return false;
      return allowed(registry, { clientId: '', certificate }, act);
    },
  });
}

async function enrol({ registry, ca, clock }: Parts, thing: string, policies: readonly string[]): ReturnType<AwsIot['enrol']> {
  const { certificate, key } = await (await ca()).withKey(clock.now());
  const { id } = registry.addCertificate(certificate, 'ACTIVE');
  const principal = registry.arn(`cert/${id}`);
  if (!registry.hasThing(thing)) registry.createThing(thing);
  registry.attachThing(thing, principal);
  for (const policy of policies) registry.attachPolicy(policy, principal);
  return { certificate, key, id };
}

/** What a session would show of that certificate. Throws where it is no PEM. */
export function shownAs(pem: string): PeerCertificate {
  return peerCertificate(new X509Certificate(pem));
}

async function openCa(files: AwsCaFiles | undefined, at: number): Promise<AwsCa> {
  return await openAwsCa(files ?? (await makeAwsCa(at)));
}

/** Who may connect, who came and went, and what becomes of those whose certificate is good no more. */
function watch(parts: Parts, { certificates, signal }: { readonly certificates: boolean; readonly signal: AbortSignal }): void {
  const { broker, presence, index, registry, clock, switches, shadows } = parts;
  shadows.onChange(({ thing }) => index.changed(thing));
  const admission: Admission = (certificate, clientId) => {
    if (Buffer.byteLength(clientId) > MAX_CLIENT_ID_BYTES) return false;
    if (certificate === null) return !certificates;
    const active = registry.findCertificate(certificate.fingerprint)?.status === 'ACTIVE';
    return active && allowed(registry, { clientId, certificate }, { action: 'Connect', resource: `client/${clientId}` });
  };
  broker.admit(admission);
  broker.onConnect((session) => {
    presence.arrived(session);
    index.changed(session.clientId);
  });
  broker.onDisconnect((session, why) => {
    presence.left(session, why);
    index.changed(session.clientId);
  });
  registry.onChange((change) => {
    if ('thing' in change) {
      index.changed(change.thing);
      return;
    }
    const status = registry.findCertificate(change.certificate)?.status;
    if (status === 'ACTIVE' || status === 'PENDING_ACTIVATION') return;
    const standing = broker.clients.some((id) => broker.certificateOf(id)?.fingerprint === change.certificate);
    const cut = (): void => broker.admit(admission);
    // Within a few minutes, not at once (aws-iot.md §11.1); never once everything has ended.
    if (standing) void clock.sleep(switches.deactivationMs, signal).then(cut, () => undefined);
  });
}

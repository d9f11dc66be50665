import { unlessAborted } from '#kit/aborted.ts';
import { compareText } from '#kit/diagnostics.ts';
import { Secret } from '#kit/secret.ts';
import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import { allVersions, identityFacts, type IdentityFacts } from '#model/identity.ts';
import type { OpenOperation, Operation } from '#model/operation.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import type { DriverOutcome, DriverPorts, ObserveAnswer, PerformContext, Precheck } from '#ports/driver.ts';
import type { Presence, Revocation } from '#ports/presence.ts';
import { WireError } from '#ports/wire-error.ts';
import { keyEntries, type LoggerKeys } from './certificates.ts';
import type { Watched } from './driver-session.ts';
import { identityItem, seenIdentity, type CertificateState, type WitnessedConnection } from './identity-report.ts';
import { whereabouts } from './move.ts';
import { buildMqttConfig, holdsSecret, type MqttConfigEntry } from './mqtt-config.ts';
import { campbellOptions } from './options.ts';
import { memoOf } from './reports.ts';
import { confirmRotation } from './rotation-confirm.ts';
import { ROTATION_DEADLINE_MS, type RotationFacts } from './rotation.ts';

/** The name under which a logger asks for its configuration (docs/protocols/campbell-mqtt.md §5.3). */
const FILE_NAME = 'mqttCfg.bin';

type Refusal = Extract<Precheck, { kind: 'refused' }>;

/** A connection that is asked whom its broker saw. Null members: nobody tells. */
interface Witness {
  readonly connection: string;
  readonly presence: Presence | null;
  readonly revocation: Revocation | null;
}

export interface RotationRequest {
  readonly operation: Operation;
  readonly facts: RotationFacts;
  readonly open: OpenOperation | null;
  readonly context: PerformContext;
  /** The logger as the driver knows it, null where it was never observed. */
  readonly watched: Watched | null;
}

/** Which certificates loggers use, as their brokers saw it, and the steps of a rotation (docs/protocols/campbell-mqtt.md §7). */
export class Identities {
  readonly #ports: DriverPorts;

  constructor(ports: DriverPorts) {
    this.#ports = ports;
  }

  /** Puts what the brokers tell into the reports of those that have an identity declared. */
  async observe(watched: readonly Watched[], signal: AbortSignal): Promise<ObserveAnswer['troubles']> {
    const own = watched.filter(({ device }) => identityOf(device) !== undefined);
    const byPlace = Map.groupBy(own, ({ device: { via } }) => `${via.connection}\n${via.to ?? ''}`);
    const troubles: ObserveAnswer['troubles'][number][] = [];
    for (const [where, there] of [...byPlace].toSorted(([a], [b]) => compareText(a, b))) {
      try {
        await this.#look(there, signal);
      } catch (error) {
        const [connection = ''] = where.split('\n');
        if (error instanceof WireError) troubles.push({ connection, code: error.code, message: error.message });
        else if (signal.aborted) troubles.push({ connection, code: 'ABORTED', message: 'observing was called off' });
        else throw error;
      }
    }
    return troubles;
  }

  /** Asks the brokers again, whatever the last report says: the plan may be old. Null when nothing is against the step. */
  async precheck(request: RotationRequest): Promise<Precheck | null> {
    const { operation, facts, open, context, watched } = request;
    const { device, signal } = context;
    if (watched !== null) await this.#look([watched], signal);
    const report = watched?.report ?? context.reported;
    if (report?.problem != null) return { kind: 'refused', reason: report.problem.reason, evidence: report.problem.detail };
    const said = seenIdentity(report?.items.identity);
    if (report === undefined || said === null) {
      return { kind: 'refused', reason: 'NEVER_REPORTED', evidence: 'no broker has told which certificate this logger uses' };
    }
    if (open !== null && confirmRotation(open, report, facts).kind === 'confirmed')
      return { kind: 'already', reference: open.reference ?? open.intendedAt, undo: null };
    if (facts.kind === 'withdraw-identity') {
      const told = open === null || open.reference !== null;
      if (told && said.states[facts.fingerprint] === 'withdrawn')
        return { kind: 'already', reference: this.#ports.clock.now(), undo: null };
      if (said.seen === operation.declared) return null;
      return moved(`was last seen with ${said.seen}: ${facts.name} is not withdrawn`);
    }
    const expected = operation.expected?.split(' also ')[0];
    if (said.seen !== expected) return moved(`was last seen with ${said.seen}, the operation expects ${expected ?? 'nothing known'}`);
    return this.#loadRefusal(operation, device, said.states[operation.declared]);
  }

  /** What is to be loaded must be good now: what a logger cannot connect with is the end of it. */
  #loadRefusal(operation: Operation, device: DeclaredDevice, state: CertificateState | undefined): Refusal | null {
    const use = identityOf(device, operation.declared)?.facts.use;
    if (use === undefined) return null;
    const now = this.#ports.clock.now();
    const lockout = (evidence: string): Refusal => ({ kind: 'refused', reason: 'LOCKOUT_GUARD', evidence });
    if (state === 'withdrawn') return lockout(`${use.name} is withdrawn at the broker`);
    if (now < use.notBefore) return lockout(`${use.name} is not valid yet`);
    return now + ROTATION_DEADLINE_MS < use.notAfter ? null : lockout(`${use.name} has ended, or ends while it is loaded`);
  }

  /** The URL of the file with the new key: made in memory, for one download. */
  fileUrl(
    { operation, context }: Pick<RotationRequest, 'operation' | 'context'>,
    roots: readonly MqttConfigEntry[],
  ): string | DriverOutcome {
    const declared = identityOf(context.device, operation.declared)?.item;
    const keys = (context.secret ?? declared?.secret)?.reveal() as LoggerKeys | undefined;
    if (keys === undefined) {
      return { kind: 'refused', reason: 'SECRET_SEALED', evidence: 'the key that is to be loaded is not at hand' };
    }
    return this.configUrl([...keyEntries(keys), ...roots], context.device);
  }

  /** The URL of a configuration file with these entries: made in memory, for one download. */
  configUrl(entries: readonly MqttConfigEntry[], device: DeclaredDevice): string | DriverOutcome {
    const file = buildMqttConfig(entries);
    if (!file.ok) return { kind: 'refused', reason: 'UNSUPPORTED', evidence: file.error.text };
    const request = { name: FILE_NAME, device: device.id, expiresMs: ROTATION_DEADLINE_MS };
    const url = this.#ports.artifacts.urlOnce?.(new Secret(file.value), request);
    if (url?.ok !== true)
      return { kind: 'refused', reason: 'UNSUPPORTED', evidence: url?.error.message ?? 'private keys cannot be served here' };
    if (!holdsSecret(entries) || isGuarded(url.value) || campbellOptions(device.options).clearAccepted !== null) return url.value;
    const evidence =
      'a private key or password would travel in the clear: artifacts.publicUrl is not https; say in options.clearAccepted why nobody can listen';
    return { kind: 'refused', reason: 'UNSUPPORTED', evidence };
  }

  /** Why a broker would not let this logger in: the certificate that it uses is withdrawn there. Null where nothing says so. */
  async entryRefusal(
    device: DeclaredDevice,
    at: { readonly report: ReportedDevice; readonly connection: string; readonly signal: AbortSignal },
  ): Promise<Refusal | null> {
    const facts = identityOf(device)?.facts;
    const seen = seenIdentity(at.report.items.identity)?.seen;
    const used = facts === undefined ? undefined : allVersions(facts).find(({ fingerprint }) => fingerprint === seen);
    if (used === undefined) return null;
    const { revocation } = await unlessAborted(this.#witness(at.connection), at.signal);
    const state = await revocation?.state(Buffer.from(used.der, 'base64'), at.signal);
    if (state !== 'withdrawn') return null;
    return { kind: 'refused', reason: 'LOCKOUT_GUARD', evidence: `${used.name}, which it uses, is withdrawn at ${at.connection}` };
  }

  /** At every broker where the logger may be: during a move one that still accepts it would let in whoever holds the old key. */
  async withdraw(
    { via, id }: DeclaredDevice,
    facts: Extract<RotationFacts, { kind: 'withdraw-identity' }>,
    signal: AbortSignal,
  ): Promise<DriverOutcome> {
    const witnesses = await Promise.all(placesOf(via).map((name) => unlessAborted(this.#witness(name), signal)));
    const revocations = witnesses.flatMap(({ revocation }) => revocation ?? []);
    if (revocations.length === 0) {
      return { kind: 'refused', reason: 'UNSUPPORTED', evidence: `${facts.name} is withdrawn by a person: \`withdraw\` is manual` };
    }
    for (const revocation of revocations) await unlessAborted(revocation.withdraw(Buffer.from(facts.der, 'base64'), signal), signal);
    this.#ports.log.info('certificate withdrawn', { device: id, certificate: facts.name, fingerprint: facts.fingerprint });
    return { kind: 'performed', reference: this.#ports.clock.now(), undo: null };
  }

  /** Devices of one place: the same connection, and the same one that they move to. */
  async #look(watched: readonly Watched[], signal: AbortSignal): Promise<void> {
    const via = watched[0]?.device.via;
    if (via === undefined) return;
    const witnesses = await Promise.all(placesOf(via).map((name) => unlessAborted(this.#witness(name), signal)));
    const ids = watched.flatMap(({ device }) => identityOf(device)?.facts.clientId ?? []);
    const seen = await Promise.all(
      witnesses.flatMap(({ connection, presence }) =>
        presence === null ? [] : [presence.newest(ids, signal).then((newest) => ({ connection, newest }))],
      ),
    );
    for (const one of watched) {
      const own = identityOf(one.device);
      if (own === undefined) continue;
      const connections = seen.flatMap(({ connection, newest }): WitnessedConnection[] => {
        const found = newest.get(own.facts.clientId ?? '');
        return found === undefined ? [] : [{ ...found, witness: connection }];
      });
      const here = whereabouts(one.device, one.report);
      const item = identityItem({
        declared: own.item,
        seen: seen.length === 0 ? 'none' : (connections.find(({ witness }) => witness === here) ?? newestOf(connections)),
        states: await statesOf(own.facts, witnesses, signal),
        report: one.report,
        onlineAt: memoOf(one.report).onlineAt,
        onlineVia: memoOf(one.report).onlineVia,
      });
      place(one, item);
    }
  }

  async #witness(connection: string): Promise<Witness> {
    const { presence, revocation } = this.#ports;
    return { connection, presence: (await presence?.(connection)) ?? null, revocation: (await revocation?.(connection)) ?? null };
  }
}

/** During a move both ends are asked (FLEET-REPO.md, Fleet). */
function placesOf({ connection, to }: DeclaredDevice['via']): readonly string[] {
  return to === null ? [connection] : [connection, to];
}

/** Nobody reads along on TLS, nor within one machine. */
function isGuarded(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'https:' || ['127.0.0.1', '[::1]', 'localhost'].includes(hostname);
}

function moved(evidence: string): Refusal {
  return { kind: 'refused', reason: 'PRECONDITION_MOVED', evidence };
}

/** The declared identity of a device; of a given fingerprint where one is asked for. */
function identityOf(
  device: DeclaredDevice,
  fingerprint?: string,
): { readonly item: DeclaredItem; readonly facts: IdentityFacts } | undefined {
  const item = device.items.find((one) => one.item === 'identity' && (fingerprint === undefined || one.value === fingerprint));
  const facts = item === undefined ? null : identityFacts(item.facts);
  return item === undefined || facts === null ? undefined : { item, facts };
}

function newestOf(seen: readonly WitnessedConnection[]): WitnessedConnection | null {
  return seen.reduce<WitnessedConnection | null>((newest, one) => (newest === null || one.at > newest.at ? one : newest), null);
}

/** Accepted when one of its brokers accepts it; the certificate to use must be withdrawn at none of them. */
async function statesOf(
  facts: IdentityFacts,
  witnesses: readonly Witness[],
  signal: AbortSignal,
): Promise<Readonly<Record<string, CertificateState>>> {
  const states: Record<string, CertificateState> = {};
  for (const { fingerprint, der } of allVersions(facts)) {
    const said: CertificateState[] = [];
    for (const { revocation } of witnesses) said.push((await revocation?.state(Buffer.from(der, 'base64'), signal)) ?? 'unknown');
    const barred = fingerprint === facts.use.fingerprint && said.includes('withdrawn');
    states[fingerprint] = barred ? 'withdrawn' : ((['accepted', 'unknown'] as const).find((one) => said.includes(one)) ?? 'withdrawn');
  }
  return states;
}

function place(watched: Watched, item: ReportedItem | undefined): void {
  const { report } = watched;
  if (item === undefined || JSON.stringify(item) === JSON.stringify(report.items.identity)) return;
  watched.report = { ...report, items: { ...report.items, identity: item } } satisfies ReportedDevice;
  watched.dirty = true;
}

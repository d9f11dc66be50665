import { unlessAborted } from '#kit/aborted.ts';
import { compareText } from '#kit/diagnostics.ts';
import { durationText } from '#kit/duration.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { DeviceId } from '#model/ids.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import type { ShadowDocument } from '#model/shadow.ts';
import type { DriverOutcome, DriverPorts, ObserveAnswer, ObserveRequest, Precheck } from '#ports/driver.ts';
import type { CertificateStanding, FingerprintRevocation, Presence } from '#ports/presence.ts';
import { WireError } from '#ports/wire-error.ts';
import { heardAtOf } from '#shadows/ages.ts';
import {
  performWrite,
  precheckWrite,
  refused,
  type Prepared,
  type ShadowWriting,
  type WriteAct,
  type WriteTarget,
} from '#shadows/driver-write.ts';
import { hardwareOf, thingOf } from '#shadows/values.ts';
import { gatewayIdentity, identityKey, instantText, type GatewayIdentity } from './identity.ts';
import {
  activeOf,
  connectedOther,
  identityReport,
  isGood,
  outlivedOf,
  saidIdentity,
  shared,
  stageOf,
  usedCertificates,
  witnessed,
  type IdentityReport,
  type Seen,
} from './identity-report.ts';
import { chariotOptions } from './options.ts';
import { nonceIn, nonceOf, orderName, rotationFacts, type OrderFacts, type WithdrawalFacts } from './rotation.ts';

/** Of things that share a certificate, in an evidence. */
const MOST_NAMED = 3;

/** Puts what brokers and accounts tell of certificates into the reports of those that have an identity declared. */
export async function observeIdentities(ports: DriverPorts, request: ObserveRequest, answer: ObserveAnswer): Promise<ObserveAnswer> {
  const own = request.devices.filter((device) => identityOf(device) !== null);
  if (own.length === 0) return answer;
  const reports = new Map(answer.reports.map((report) => [report.device, report]));
  const troubles = [...answer.troubles];
  const places = [...Map.groupBy(own, ({ via }) => via.connection)].toSorted(([a], [b]) => compareText(a, b));
  for (const [connection, devices] of places) {
    const trouble = (error: unknown): void => {
      if (error instanceof WireError) troubles.push({ connection, code: error.code, message: error.message });
      // What was read by then stands.
      else if (request.signal.aborted) troubles.push({ connection, code: 'ABORTED', message: 'asking about certificates was called off' });
      else throw error;
    };
    try {
      for (const report of await witnessedReports(ports, { request, connection, devices, reports, trouble }))
        reports.set(report.device, report);
    } catch (error) {
      trouble(error);
    }
  }
  for (const report of sharedReports(own, (id) => reports.get(id) ?? request.last(id))) reports.set(report.device, report);
  return { reports: [...reports.values()].toSorted((a, b) => compareText(a.device, b.device)), troubles };
}

/** The reports that change because two gateways have one certificate, as those of one image have. */
function sharedReports(
  devices: readonly DeclaredDevice[],
  reportOf: (device: DeviceId) => ReportedDevice | undefined,
): readonly ReportedDevice[] {
  const known = devices.flatMap(({ id }) => reportOf(id) ?? []).toSorted((a, b) => compareText(a.device, b.device));
  const uses = known.flatMap(({ device, items }) => usedCertificates(items.identity).map((fingerprint) => ({ device, fingerprint })));
  const users = Map.groupBy(uses, ({ fingerprint }) => fingerprint);
  return known.flatMap((report) => {
    const { identity } = report.items;
    if (identity?.kind !== 'value') return [];
    const item = shared(identity, (one) => users.get(one)?.find(({ device }) => device !== report.device)?.device);
    return item === identity ? [] : [{ ...report, items: { ...report.items, identity: item } }];
  });
}

function identityOf(device: DeclaredDevice): GatewayIdentity | null {
  return gatewayIdentity(device.items.find(({ item }) => item === 'identity')?.facts ?? null);
}

interface Witness {
  readonly presence: Presence | null;
  readonly account: FingerprintRevocation | null;
}

/** Over HTTP nobody tells by which certificate a gateway is connected, so that nothing is withdrawn there. */
async function witnessAt(ports: DriverPorts, connection: string): Promise<Witness> {
  if (ports.connection(connection)?.type !== 'mqtt') return { presence: null, account: null };
  const presence = (await ports.presence?.(connection)) ?? null;
  const revocation = (await ports.revocation?.(connection)) ?? null;
  return { presence, account: revocation?.byFingerprint ?? null };
}

interface Place {
  readonly request: ObserveRequest;
  readonly connection: string;
  readonly devices: readonly DeclaredDevice[];
  readonly reports: ReadonlyMap<string, ReportedDevice>;
  /** Throws what is neither a WireError nor the end of observing. */
  trouble(error: unknown): void;
}

async function witnessedReports(
  ports: DriverPorts,
  { request, connection, devices, reports, trouble }: Place,
): Promise<readonly ReportedDevice[]> {
  const { signal } = request;
  const { presence, account } = await unlessAborted(witnessAt(ports, connection), signal);
  const ids = devices.flatMap((device) => identityOf(device)?.clientId ?? []);
  const seen = (await presence?.newest(ids, signal)) ?? null;
  const changed: ReportedDevice[] = [];
  let silent = account === null;
  const failed = (error: unknown): void => {
    silent = true;
    trouble(error);
  };
  for (const device of devices) {
    const report = reports.get(device.id) ?? request.last(device.id);
    const identity = identityOf(device);
    if (report === undefined || identity === null || report.items.identity?.kind !== 'value') continue;
    const before = report.items.identity;
    const connected = seen?.get(identity.clientId);
    const fingerprint = connected?.fingerprint ?? null;
    const who: Seen = seen === null ? 'none' : connected === undefined || fingerprint === null ? null : { fingerprint, at: connected.at };
    // What does not answer for one answers for none: the others are asked for with the next look.
    const told =
      account === null || silent
        ? new Map<string, CertificateStanding>()
        : await askedFor(before, { account, open: request.isOpen(device.id), signal, trouble: failed });
    const item = witnessed(before, { seen: who, told, account: account !== null });
    if (item !== before) changed.push({ ...report, items: { ...report.items, identity: item } });
  }
  return changed;
}

/** What the account says of the certificates of a gateway, as far as it answers: what it does not is asked for again. */
async function askedFor(
  item: ReportedItem,
  ask: Pick<Place, 'trouble'> & { readonly account: FingerprintRevocation; readonly open: boolean; readonly signal: AbortSignal },
): Promise<ReadonlyMap<string, CertificateStanding>> {
  const told = new Map<string, CertificateStanding>();
  const said = identityReport(item);
  try {
    for (const one of said === null ? [] : worthAsking(said, ask.open)) told.set(one, await ask.account.standing(one, ask.signal));
  } catch (error) {
    ask.trouble(error);
  }
  return told;
}

/**
 * All of a gateway under change; else those alone that were never asked for, apart from the one in use: ten calls a second
 * are all that an account allows (docs/protocols/aws-iot.md §11.1).
 */
function worthAsking({ active, certificates }: IdentityReport, open: boolean): readonly string[] {
  const wanted = certificates.filter(
    (one) => open || (one.state === 'unknown' && one.fingerprint !== active) || (one.fingerprint === active && one.issuedAt === null),
  );
  return wanted.map(({ fingerprint }) => fingerprint);
}

/** Orders to the agent, in the mailbox. */
const ORDERS: ShadowWriting<{ readonly facts: OrderFacts }> = {
  place: (device) => ({ thing: thingOf(device), shadow: null }),
  begin: ({ operation }) => {
    const facts = rotationFacts(operation.facts);
    return facts === null || facts.kind === 'withdraw-old' ? null : { facts };
  },
  prepare: prepareOrder,
};

export async function precheckIdentity(ports: DriverPorts, target: WriteTarget): Promise<Precheck> {
  const facts = rotationFacts(target.operation.facts);
  if (facts?.kind === 'withdraw-old') return await precheckWithdrawal(ports, target, facts);
  const found = await precheckWrite(ports, target, ORDERS);
  if (found.kind !== 'clear' || facts?.kind !== 'switch') return found;
  return (await strangerToAccount(ports, target, facts)) ?? found;
}

/** The agent takes the newest certificate: with one that is not let in the gateway would be gone for good (§2.9). */
async function strangerToAccount(ports: DriverPorts, { operation, context }: WriteTarget, facts: OrderFacts): Promise<Precheck | null> {
  const held = identityReport(context.reported?.items.identity)?.certificates.filter((one) => one.held) ?? [];
  const next = held.findLast(({ issuedAt }) => issuedAt !== null && issuedAt >= facts.issuedAfter);
  const { account } = await unlessAborted(witnessAt(ports, operation.connection), context.signal);
  if (next === undefined || account === null) return null;
  if ((await account.standing(next.fingerprint, context.signal)).state === 'accepted') return null;
  return refused('LOCKOUT_GUARD', `the account does not take the certificate of ${instantText(next.issuedAt)} that it would use`);
}

export async function performIdentity(ports: DriverPorts, target: WriteTarget): Promise<DriverOutcome> {
  const facts = rotationFacts(target.operation.facts);
  if (facts?.kind !== 'withdraw-old') return await performWrite(ports, target, ORDERS);
  const { operation, context } = target;
  const { account } = await unlessAborted(witnessAt(ports, operation.connection), context.signal);
  if (account === null) return refused('UNSUPPORTED', `${facts.name} is withdrawn by a person: \`withdraw\` says no account that could`);
  await account.withdraw(facts.fingerprint, context.signal);
  ports.log.info('certificate withdrawn', { device: operation.device, fingerprint: facts.fingerprint });
  return { kind: 'performed', reference: ports.clock.now(), undo: null };
}

type Act = WriteAct & { readonly facts: OrderFacts };

/** The gateway as its shadow has it now, with what was known of its connection. */
function lookAt({ context, ports }: Pick<Act, 'context' | 'ports'>, document: ShadowDocument) {
  const { device, reported } = context;
  const { agent } = chariotOptions(device.options);
  return saidIdentity(document, { key: identityKey(device.options), agent, now: ports.clock.now(), last: reported?.items.identity });
}

function prepareOrder(act: Act, document: ShadowDocument | 'missing'): Prepared {
  const { operation, open, context, facts, place, ports } = act;
  const { device } = context;
  if (document === 'missing') return refused('NEVER_REPORTED', `${place.thing} has no shadow any more`);
  const stranger = hardwareOf(device, document, chariotOptions(device.options)).problem;
  if (stranger !== null) return refused(stranger.reason, stranger.detail);
  const now = lookAt(act, document);
  const said = identityReport(now);
  if (now.kind === 'unknown') return refused(now.why, now.detail);
  if (said === null) return refused('REPORT_UNREADABLE', 'what is known of its certificates cannot be read');
  const sent = nonceIn(open?.undo ?? null);
  const earlier = [said.pending, said.order].find((one) => one?.startsWith(orderName(operation)) === true && one !== sent);
  // Made by us, and the record of it was lost: sent once more it would bring one certificate more.
  if (open !== null && earlier !== undefined && earlier !== null)
    return { kind: 'already', reference: open.intendedAt, undo: { nonce: earlier, version: said.version ?? 0, inverse: {} } };
  const moved = movedFrom(act, { value: now.value, said });
  if (moved !== null) return moved;
  const away = awayFor(act, document);
  if (away !== null) return away;
  const nonce = nonceOf(operation, open?.attempt ?? 1);
  ports.log.info('order to a gateway', { device: device.id, order: facts.kind });
  return {
    kind: 'ready',
    patch: { [facts.agent]: { nonce, order: facts.kind } },
    inverse: { [facts.agent]: null },
    expires: null,
    kept: { nonce },
  };
}

/** The certificate in use must still be the one that the operation expects: what its store holds beside it may have changed. */
function movedFrom(act: Act, { value, said }: { readonly value: string; readonly said: IdentityReport }): Prepared | null {
  const { operation, context, facts, ports, open } = act;
  const identity = identityOf(context.device);
  if (ports.clock.now() < facts.issuedAfter)
    return refused('CONDITIONS_NOT_MET', `no certificate can be issued after ${instantText(facts.issuedAfter)} yet`);
  const [head] = value.split(', ');
  const [expected] = operation.expected?.split(', ') ?? [];
  if (head !== expected) return refused('PRECONDITION_MOVED', `${value}, the operation expects ${operation.expected ?? 'nothing known'}`);
  if (facts.kind !== 'reprovision' || identity === null || stageOf(identity, said) === 'CURRENT') return null;
  if (open !== null) return { kind: 'already', reference: open.intendedAt, undo: open.undo };
  return refused('PRECONDITION_MOVED', `a new certificate is there already: ${value}`);
}

/** What comes for an ephemeral service while chariotd is away is erased and never carried out (§2.12 F7). */
function awayFor({ context, ports }: Act, document: ShadowDocument): Prepared | null {
  const { device, reported } = context;
  const { freshMs } = identityKey(device.options);
  const now = ports.clock.now();
  const heardAt = heardAtOf(reported, document, now);
  if (reported?.online === true || (reported?.online !== false && heardAt !== null && now - heardAt <= freshMs)) return null;
  const heard = heardAt === null ? 'never heard' : `last heard ${durationText(Math.max(0, now - heardAt))} ago`;
  return refused('OFFLINE', `${heard}: an order to a gateway that is away is lost`);
}

/** Looks once more at everything that a withdrawal takes for granted. */
async function precheckWithdrawal(ports: DriverPorts, { operation, context }: WriteTarget, facts: WithdrawalFacts): Promise<Precheck> {
  const { device, signal, reported } = context;
  if (operation.hardware !== device.hardware) return refused('IDENTITY_MISMATCH', 'the operation was planned for other hardware');
  const shadows = await unlessAborted(ports.shadows?.(operation.connection) ?? Promise.resolve(null), signal);
  const document = await shadows?.get({ thing: thingOf(device), shadow: null }, signal);
  const identity = identityOf(device);
  if (document === undefined || document === 'missing' || identity === null)
    return refused('PRECONDITION_MOVED', 'the shadow of the gateway, or its declared identity, is gone');
  const item = lookAt({ context, ports }, document);
  const { presence, account } = await unlessAborted(witnessAt(ports, operation.connection), signal);
  if (account === null) return refused('UNSUPPORTED', `${facts.name} is withdrawn by a person: \`withdraw\` says no account that could`);
  if (item.kind === 'unknown') return refused(item.why, item.detail);
  const connected = (await presence?.newest([identity.clientId], signal))?.get(identity.clientId);
  const fingerprint = connected?.fingerprint ?? null;
  const seen: Seen = fingerprint === null || connected === undefined ? null : { fingerprint, at: connected.at };
  const before = identityReport(reported?.items.identity)?.seen ?? null;
  const standing = await account.standing(facts.fingerprint, signal);
  const told = new Map([[facts.fingerprint, standing]]);
  const said = identityReport(witnessed(item, { seen: presence === null ? 'none' : (seen ?? before), told, account: true }));
  const used = said === null ? undefined : activeOf(said);
  if (
    said === null ||
    used === undefined ||
    !isGood(used, identity) ||
    connectedOther(said) !== null ||
    used.fingerprint === facts.fingerprint
  )
    return refused('PRECONDITION_MOVED', `${item.value}: ${facts.name} is not withdrawn`);
  if (standing.state === 'withdrawn') return { kind: 'already', reference: ports.clock.now(), undo: null };
  if (!outlivedOf(identity, said).some((one) => one.fingerprint === facts.fingerprint && one.elsewhere === undefined))
    return refused('PRECONDITION_MOVED', `${facts.name} is not one of those that must go: ${item.value}`);
  return (await wayInLost(account, { target: { operation, context }, facts, used: used.fingerprint })) ?? { kind: 'clear' };
}

/** Whether somebody could not connect any more: this gateway by its new certificate, or another one that shares the old one. */
async function wayInLost(
  account: FingerprintRevocation,
  {
    target,
    facts,
    used,
  }: { readonly target: Pick<WriteTarget, 'operation' | 'context'>; readonly facts: WithdrawalFacts; readonly used: string },
): Promise<Precheck | null> {
  const { device, signal } = target.context;
  if ((await account.standing(used, signal)).state !== 'accepted')
    return refused('LOCKOUT_GUARD', `the account does not take the certificate that it uses: ${facts.name} may be its last way in`);
  const others = (await account.holders(facts.fingerprint, signal)).filter((thing) => thing !== thingOf(device)).toSorted(compareText);
  if (others.length === 0) return null;
  return refused('LOCKOUT_GUARD', `${facts.name} is attached to ${others.slice(0, MOST_NAMED).join(', ')} as well`);
}

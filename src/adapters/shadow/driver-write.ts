import { unlessAborted } from '#kit/aborted.ts';
import type { Json } from '#kit/canonical.ts';
import { err, ok, type Result } from '#kit/result.ts';
import type { Instant } from '#model/ids.ts';
import { namedAt, type ShadowDocument } from '#model/shadow.ts';
import type { DriverOutcome, DriverPorts, Precheck } from '#ports/driver.ts';
import { refused, type Act, type Prepared, type Refused, type Stop, type Target } from './driver-act.ts';
import { prepareWithdrawal } from './driver-withdraw.ts';
import { readOperationFacts, readUndo } from './operations.ts';
import { shadowOptions, thingOf } from './options.ts';
import { hardwareOf, itemOf } from './reports.ts';
import { holdsWrites, writesPatch, type FilledWrite } from './wire.ts';

/** Somebody else may write between our reading and writing; after so many times the next pass tries again (§19.3). */
const ATTEMPTS = 4;

export async function precheckWrite(ports: DriverPorts, target: Target): Promise<Precheck> {
  const act = await actFor(ports, target);
  if ('kind' in act) return act;
  const prepared = await prepare(act, await read(act), { send: false });
  // Perform meets the same trouble and says so: a precheck only refuses.
  return prepared.kind === 'ready' || prepared.kind === 'trouble' ? { kind: 'clear' } : prepared;
}

/** Reads, and writes what differs if nobody wrote in between; else again, so many times. */
export async function performWrite(ports: DriverPorts, target: Target): Promise<DriverOutcome> {
  const act = await actFor(ports, target);
  if ('kind' in act) return act;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const document = await read(act);
    const prepared = await prepare(act, document, { send: true });
    if (prepared.kind !== 'ready') return prepared;
    const version = document === 'missing' ? null : document.version;
    const written = await act.shadows.update({ ...act.place, desired: prepared.patch, version }, act.context.signal);
    if (written === 'conflict') continue;
    const { inverse, expires } = prepared;
    return {
      kind: 'performed',
      reference: referenceOf(written.at, document),
      undo: { version: written.version, inverse, expires },
    };
  }
  const evidence = `the shadow of ${act.place.thing} was written by somebody else ${ATTEMPTS} times in between`;
  return { kind: 'trouble', code: 'VERSION_CONFLICT', evidence, retry: 'later' };
}

/**
 * After this a report counts. The service tells whole seconds: what was reported in the very second of our write may have
 * come before it. Where nothing had been when we read, under the lock, all of that second comes after it.
 */
function referenceOf(writtenAt: Instant, before: ShadowDocument | 'missing'): Instant {
  const named = before === 'missing' ? null : namedAt(before.reported, '');
  return named !== null && named >= writtenAt ? writtenAt : writtenAt - 1;
}

async function actFor(ports: DriverPorts, target: Target): Promise<Act | Refused> {
  const { operation, context } = target;
  const { device, signal } = context;
  if (operation.hardware !== device.hardware) return refused('IDENTITY_MISMATCH', 'the operation was planned for other hardware');
  if (operation.kind === 'change' && operation.connection !== device.via.connection)
    return refused('PRECONDITION_MOVED', `the device is no longer at ${operation.connection}`);
  const declared = ports.connection(operation.connection);
  if (declared === undefined || ports.shadows === undefined)
    return refused('PRECONDITION_MOVED', `connection ${operation.connection} is no longer declared`);
  const facts = readOperationFacts(operation.facts);
  if (facts === null) return refused('UNSUPPORTED', 'the operation was recorded by another version and cannot be read');
  const options = shadowOptions(device.options);
  const shadows = await unlessAborted(ports.shadows(operation.connection), signal);
  return { ...target, ports, shadows, options, facts, place: { thing: thingOf(device), shadow: options.shadow } };
}

function read({ shadows, place, context }: Act): Promise<ShadowDocument | 'missing'> {
  return shadows.get(place, context.signal);
}

/** `send`: with the URL that goes out. A look makes none. */
async function prepare(act: Act, document: ShadowDocument | 'missing', { send }: { readonly send: boolean }): Promise<Prepared> {
  if (act.operation.kind === 'withdraw') return prepareWithdrawal(act, document);
  if (document === 'missing') return refused('NEVER_REPORTED', `${act.place.thing} has no such shadow any more`);
  const stranger = hardwareOf(act.context.device, document, act.options).problem;
  if (stranger !== null) return refused(stranger.reason, stranger.detail);
  const found = lookFor(act, document);
  if (found !== null) return found;
  const content = await contentOf(act);
  if (!content.ok) return content.error;
  const filled = await filledWrites(act, content.value, send);
  if (!('writes' in filled)) return filled;
  const { patch, inverse } = writesPatch(filled.writes, document);
  if (patch === null) return { kind: 'already', reference: offeredAt(act, document), undo: null };
  return { kind: 'ready', patch, inverse, expires: filled.expires };
}

/** An earlier attempt's effect, or a moved precondition; null where the write may be made. */
function lookFor(act: Act, document: ShadowDocument): Extract<Precheck, { kind: 'already' }> | Refused | null {
  const { operation, open, context, options, ports } = act;
  const now = itemOf(operation.item, { device: context.device, document }, { options, now: ports.clock.now() });
  if (now.kind === 'unknown') return refused(now.why, now.detail);
  if (now.value === operation.declared) return { kind: 'already', reference: (now.madeNotBefore ?? 1) - 1, undo: open?.undo ?? null };
  if (now.value !== operation.expected)
    return refused('PRECONDITION_MOVED', `reports ${now.value}, the operation expects ${operation.expected ?? 'nothing known'}`);
  if (open === null || !holdsWrites(act.facts.writes, document)) return null;
  // What was to be made anew after a trouble is not there only because it was there before.
  const isStale = open.lastTrouble?.startsWith('URL_EXPIRED') === true || isExpired(act);
  return isStale ? null : { kind: 'already', reference: offeredAt(act, document), undo: open.undo };
}

function isExpired({ open, ports, context }: Act): boolean {
  const expires = readUndo(open?.undo ?? null)?.expires ?? null;
  const heardAt = context.reported?.heardAt ?? null;
  return expires !== null && expires < ports.clock.now() && heardAt !== null && heardAt > expires;
}

/** When what lies in desired was last written, by the service's own times; what was reported by then proves nothing. */
function offeredAt({ open, facts, operation }: Act, document: ShadowDocument): Instant {
  if (open?.reference != null) return open.reference;
  const written = Math.max(...facts.writes.map(({ pointer }) => namedAt(document.desired, pointer) ?? 0));
  const named = namedAt(document.reported, '') ?? 0;
  const ours = open !== null && written >= open.intendedAt - SKEW_MS;
  // Written by us and not recorded: what was reported in that second may have come first.
  if (ours) return written;
  return Math.max(written, operation.kind === 'change' ? named : 0);
}

/** Two clocks are never set alike. */
const SKEW_MS = 10 * 60_000;

/** The document that a `{document}` is filled with; undefined where none is. */
async function contentOf({ ports, context, facts }: Act): Promise<Result<Json | undefined, Stop>> {
  if (!facts.writes.some(({ kind }) => kind === 'document')) return ok(undefined);
  if (context.content === null) return err(refused('ARTIFACT_UNVERIFIED', 'the operation carries no document'));
  const found = await ports.artifacts.bytes(context.content, context.signal);
  if (!found.ok) return err(artifactStop(found.error));
  try {
    return ok(JSON.parse(new TextDecoder().decode(found.value)) as Json);
  } catch {
    return err(refused('ARTIFACT_UNVERIFIED', `${context.content.name} is no JSON`));
  }
}

async function filledWrites(
  act: Act,
  content: Json | undefined,
  send: boolean,
): Promise<{ readonly writes: readonly FilledWrite[]; readonly expires: Instant | null } | Stop> {
  const { facts, ports, context, options, operation } = act;
  const wantsUrl = facts.writes.some(({ kind }) => kind === 'url');
  let url = '';
  if (wantsUrl && send) {
    if (context.content === null) return refused('ARTIFACT_UNVERIFIED', 'the operation carries no content');
    const request = { device: operation.device, expiresMs: options.urlLifeMs };
    const made = await ports.artifacts.urlFor(context.content, request, context.signal);
    if (!made.ok) return artifactStop(made.error);
    url = made.value;
  }
  const writes = facts.writes.map((write): FilledWrite => {
    if (write.kind === 'url') return { pointer: write.pointer, value: write.template.replaceAll('{url}', () => url), secret: true };
    return { pointer: write.pointer, value: write.kind === 'document' ? (content ?? null) : write.value, secret: false };
  });
  return { writes, expires: wantsUrl ? ports.clock.now() + options.urlLifeMs : null };
}

function artifactStop({ code, message }: { readonly code: string; readonly message: string }): Stop {
  if (code === 'UNREACHABLE') return { kind: 'trouble', code: 'ARTIFACT_UNREACHABLE', evidence: message, retry: 'later' };
  return refused('ARTIFACT_UNVERIFIED', message);
}

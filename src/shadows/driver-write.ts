import { unlessAborted } from '#kit/aborted.ts';
import type { Json } from '#kit/canonical.ts';
import { err, ok, type Result } from '#kit/result.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { OpenOperation, Operation } from '#model/operation.ts';
import type { Reason } from '#model/reasons.ts';
import type { JsonObject, ShadowDocument } from '#model/shadow.ts';
import type { DriverOutcome, DriverPorts, PerformContext, Precheck } from '#ports/driver.ts';
import type { ShadowPlace, Shadows } from '#ports/shadows.ts';
import { referenceOf } from './ages.ts';
import type { ShadowUndo } from './undo.ts';

/** Somebody else may write between our reading and writing; after so many times the next pass tries again (aws-iot.md §19.3). */
const ATTEMPTS = 4;

export type Refused = Extract<DriverOutcome, { kind: 'refused' }>;
export type Stop = Extract<DriverOutcome, { kind: 'refused' | 'trouble' }>;
export type Already = Extract<Precheck, { kind: 'already' }>;

/** A write that may be made of this document now. */
export interface Ready extends Pick<ShadowUndo, 'inverse' | 'expires'> {
  readonly kind: 'ready';
  readonly patch: JsonObject;
  /** What the family keeps of this attempt in `undo`, beside version, at, inverse and expires. Plain JSON, no URL. */
  readonly kept?: JsonObject;
}

export type Prepared = Ready | Already | Stop;

export interface WriteTarget {
  readonly operation: Operation;
  readonly open: OpenOperation | null;
  readonly context: PerformContext;
}

/** What one write works with. */
export interface WriteAct extends WriteTarget {
  readonly ports: DriverPorts;
  readonly shadows: Shadows;
  readonly place: ShadowPlace;
}

/** How a family writes: `Own` is what it reads of the operation once and wants at hand when it prepares. */
export interface ShadowWriting<Own extends object> {
  place(device: DeclaredDevice): ShadowPlace;
  /** Null for an operation that was recorded by another version and cannot be read. Throws nothing. */
  begin(target: WriteTarget): Own | null;
  /**
   * What is to be written now that `document` lies there; `already` for an earlier attempt's effect. Asked again after each
   * conflict. `send`: with the URL that goes out; a mere look makes none.
   */
  prepare(act: WriteAct & Own, document: ShadowDocument | 'missing', how: { readonly send: boolean }): Prepared | Promise<Prepared>;
}

/** A look before the act: `clear` where a write may be made. Perform meets the same trouble and says so: this only refuses. */
export async function precheckWrite<Own extends object>(
  ports: DriverPorts,
  target: WriteTarget,
  writing: ShadowWriting<Own>,
): Promise<Precheck> {
  const begun = await actFor(ports, target, writing);
  if (begun.kind === 'refused') return begun;
  const prepared = await writing.prepare(begun.act, await read(begun.act), { send: false });
  return prepared.kind === 'ready' || prepared.kind === 'trouble' ? { kind: 'clear' } : prepared;
}

/** Reads, and writes what differs if nobody wrote in between; else again, so many times: then trouble VERSION_CONFLICT. */
export async function performWrite<Own extends object>(
  ports: DriverPorts,
  target: WriteTarget,
  writing: ShadowWriting<Own>,
): Promise<DriverOutcome> {
  const begun = await actFor(ports, target, writing);
  if (begun.kind === 'refused') return begun;
  const { act } = begun;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const document = await read(act);
    const prepared = await writing.prepare(act, document, { send: true });
    if (prepared.kind !== 'ready') return prepared;
    const version = document === 'missing' ? null : document.version;
    const written = await act.shadows.update({ ...act.place, desired: prepared.patch, version }, act.context.signal);
    if (written === 'conflict') continue;
    const { inverse, expires, kept } = prepared;
    const undo = { ...kept, version: written.version, at: written.at, inverse, expires };
    return { kind: 'performed', reference: referenceOf(written.at, document), undo };
  }
  const evidence = `the shadow of ${act.place.thing} was written by somebody else ${ATTEMPTS} times in between`;
  return { kind: 'trouble', code: 'VERSION_CONFLICT', evidence, retry: 'later' };
}

async function actFor<Own extends object>(
  ports: DriverPorts,
  target: WriteTarget,
  writing: ShadowWriting<Own>,
): Promise<{ readonly kind: 'act'; readonly act: WriteAct & Own } | Refused> {
  const { operation, context } = target;
  const { device, signal } = context;
  if (operation.hardware !== device.hardware) return refused('IDENTITY_MISMATCH', 'the operation was planned for other hardware');
  if (operation.kind === 'change' && operation.connection !== device.via.connection)
    return refused('PRECONDITION_MOVED', `the device is no longer at ${operation.connection}`);
  if (ports.connection(operation.connection) === undefined || ports.shadows === undefined)
    return refused('PRECONDITION_MOVED', `connection ${operation.connection} is no longer declared`);
  const own = writing.begin(target);
  if (own === null) return refused('UNSUPPORTED', 'the operation was recorded by another version and cannot be read');
  const shadows = await unlessAborted(ports.shadows(operation.connection), signal);
  return { kind: 'act', act: { ...target, ports, shadows, place: writing.place(device), ...own } };
}

function read({ shadows, place, context }: WriteAct): Promise<ShadowDocument | 'missing'> {
  return shadows.get(place, context.signal);
}

export function refused(reason: Reason, evidence: string): Refused {
  return { kind: 'refused', reason, evidence };
}

/** The JSON of the operation's content. */
export async function contentDocument({ ports, context }: WriteAct): Promise<Result<Json, Stop>> {
  if (context.content === null) return err(refused('ARTIFACT_UNVERIFIED', 'the operation carries no document'));
  const found = await ports.artifacts.bytes(context.content, context.signal);
  if (!found.ok) return err(artifactStop(found.error));
  try {
    return ok(JSON.parse(new TextDecoder().decode(found.value)) as Json);
  } catch {
    return err(refused('ARTIFACT_UNVERIFIED', `${context.content.name} is no JSON`));
  }
}

/** A URL for the device that is good for so long, and until when; with `send` false none is made, and it is empty. */
export async function contentUrl(
  { ports, context, operation }: Pick<WriteAct, 'ports' | 'context' | 'operation'>,
  { lifeMs, send }: { readonly lifeMs: number; readonly send: boolean },
): Promise<Result<{ readonly url: string; readonly expires: Instant }, Stop>> {
  if (!send) return ok({ url: '', expires: ports.clock.now() + lifeMs });
  if (context.content === null) return err(refused('ARTIFACT_UNVERIFIED', 'the operation carries no content'));
  const made = await ports.artifacts.urlFor(context.content, { device: operation.device, expiresMs: lifeMs }, context.signal);
  return made.ok ? ok({ url: made.value, expires: ports.clock.now() + lifeMs }) : err(artifactStop(made.error));
}

function artifactStop({ code, message }: { readonly code: string; readonly message: string }): Stop {
  if (code === 'UNREACHABLE') return { kind: 'trouble', code: 'ARTIFACT_UNREACHABLE', evidence: message, retry: 'later' };
  return refused('ARTIFACT_UNVERIFIED', message);
}

import type { Json } from '#kit/canonical.ts';
import { MINUTE_MS, parseDuration } from '#kit/duration.ts';
import { err, ok, type Result } from '#kit/result.ts';
import type { Instant } from '#model/ids.ts';
import type { IssuedVersion, IssuedVersions } from '#model/identity.ts';
import { isJsonObject } from '#model/shadow.ts';
import type { DeviceFacts, ExpectedItem, FamilyProblem, PinnedItem } from '#ports/family.ts';
import { thingOf } from '#shadows/values.ts';

/** The service in which an agent says which certificates lie in the store of chariotd (docs/protocols/shadow-devices.md §2.9). */
export interface IdentityKey {
  readonly key: string;
  /** Its names: the fingerprint in use, when that one was issued, all that lie in the store, the order that was taken last. */
  readonly active: string;
  readonly issued: string;
  readonly held: string;
  readonly order: string;
  /** Who points `preferred` to a new certificate: the agent when it is told to, or the command after provisioning. */
  readonly switch: 'agent' | 'itself';
  /** Null: the thing. */
  readonly clientId: string | null;
  /** An order goes to a device that was heard so recently: to one that is away it is lost (§2.12 F7). */
  readonly freshMs: number;
}

/** What is declared of a gateway's certificate: the facts of its item. */
export interface GatewayIdentity extends IssuedVersions {
  /** By which presence knows it. */
  readonly clientId: string;
  /** What the item's value is. */
  readonly value: string;
}

/** `options.identity` with the defaults of options.schema.json filled in; anything that is none counts as not written. */
export function identityKey(options: Readonly<Record<string, Json>>): IdentityKey {
  const { identity } = options;
  const given = isJsonObject(identity) ? identity : {};
  const text = (name: string): string | null => (typeof given[name] === 'string' ? given[name] : null);
  return {
    key: text('key') ?? 'cert',
    active: text('active') ?? 'active',
    issued: text('issued') ?? 'issued',
    held: text('held') ?? 'held',
    order: text('order') ?? 'order',
    switch: given['switch'] === 'itself' ? 'itself' : 'agent',
    clientId: text('clientId'),
    freshMs: parseDuration(text('fresh') ?? '') ?? 15 * MINUTE_MS,
  };
}

/** A gateway makes its keys by itself: of its identity only since when it must have been issued can be declared. */
export function expectedIdentity(device: DeviceFacts, pin: PinnedItem): Result<ExpectedItem, FamilyProblem> {
  if (pin.issued === undefined) {
    const summary = `chariotd takes no keys: ${pin.artifact?.name ?? 'this'} cannot be the identity of ${device.id}`;
    return err({ code: 'IDENTITY_FORM', summary, fix: 'pin a version with issuedAfter: the gateway provisions itself' });
  }
  if (typeof device.options['agent'] !== 'string') {
    const fix = 'name the service of an agent that knows the order reprovision in options.agent';
    return err({ code: 'IDENTITY_AGENT', summary: `nobody on ${device.id} could be told to reprovision`, fix });
  }
  const { use, keep } = pin.issued;
  const value = `issued since ${instantText(use.issuedAfter)}`;
  const facts: GatewayIdentity = { use, keep, clientId: identityKey(device.options).clientId ?? thingOf(device), value };
  return ok({ value, version: pin.artifact?.version ?? use.name, facts: facts as unknown as Json, content: null });
}

/** Reads back the facts of a declared identity; null for those of any other item. */
export function gatewayIdentity(facts: Json): GatewayIdentity | null {
  if (!isJsonObject(facts)) return null;
  const { clientId, value } = facts;
  const use = versionOf(facts['use']);
  const keep = Array.isArray(facts['keep']) ? facts['keep'].map(versionOf) : null;
  if (use === null || keep === null || typeof clientId !== 'string' || typeof value !== 'string') return null;
  return { use, keep: keep.filter((one) => one !== null), clientId, value };
}

function versionOf(value: Json | undefined): IssuedVersion | null {
  if (!isJsonObject(value)) return null;
  const { name, issuedAfter } = value;
  return typeof name === 'string' && typeof issuedAfter === 'number' ? { name, issuedAfter } : null;
}

/** Whole seconds: `2026-11-03T09:00:00Z`. */
export function instantText(at: Instant | null): string {
  return at === null ? 'nobody knows when' : `${new Date(at).toISOString().slice(0, 19)}Z`;
}

import type { CertificateFacts } from '#kit/certificate.ts';
import type { Json } from '#kit/canonical.ts';
import type { Instant } from './ids.ts';

/** A device's certificate in one version of an identity artifact. */
export interface IdentityVersion extends CertificateFacts {
  /** `field-identity@2026-11`. */
  readonly name: string;
  /** The artifact says that this version was withdrawn: a person has seen to it. */
  readonly withdrawn: boolean;
}

/** The facts of a declared identity: what a device is to use, what must stay valid beside it, and all else it ever had. */
export interface IdentityFacts {
  readonly use: IdentityVersion;
  readonly keep: readonly IdentityVersion[];
  /** The device's certificates in every other version of the artifacts of `use` and `keep`. */
  readonly others: readonly IdentityVersion[];
  /** The name under which its broker knows the device; null where the family has none. */
  readonly clientId: string | null;
}

/** A version of an identity whose key never leaves the device: any certificate that it was issued at or after an instant. */
export interface IssuedVersion {
  /** `gw-cert@2026-11`. */
  readonly name: string;
  readonly issuedAfter: Instant;
}

/** What is declared of an identity that a device provisions by itself. */
export interface IssuedVersions {
  readonly use: IssuedVersion;
  /** Certificates since then stay good beside those of `use`. */
  readonly keep: readonly IssuedVersion[];
}

export function identityJson({ use, keep, others, clientId }: IdentityFacts): Json {
  const json = (version: IdentityVersion): Json => ({ ...version });
  return { use: json(use), keep: keep.map(json), others: others.map(json), clientId };
}

/** Reads back what identityJson wrote; null for the facts of any other item. */
export function identityFacts(facts: Json): IdentityFacts | null {
  if (!isRecord(facts)) return null;
  const use = versionOf(facts['use'] ?? null);
  const [keep, others] = [versionsOf(facts['keep']), versionsOf(facts['others'])];
  const { clientId } = facts;
  if (use === null || keep === null || others === null) return null;
  return { use, keep, others, clientId: typeof clientId === 'string' ? clientId : null };
}

export function allVersions({ use, keep, others }: Omit<IdentityFacts, 'clientId'>): readonly IdentityVersion[] {
  return [use, ...keep, ...others];
}

/**
 * Whether a certificate that the broker still accepts must be withdrawn: it is older than the one in use, and nothing that
 * is kept is older still. A newer one, left over from a rollout that was taken back, does no harm and may be used again.
 */
export function isOutlived(version: IdentityVersion, { use, keep }: Pick<IdentityFacts, 'use' | 'keep'>): boolean {
  if (version.fingerprint === use.fingerprint || keep.some((kept) => kept.fingerprint === version.fingerprint)) return false;
  return isOlder(version, use) && !keep.some((kept) => isOlder(kept, version));
}

/** By the begin of validity, then by its end. */
export function isOlder(a: IdentityVersion, b: IdentityVersion): boolean {
  return a.notBefore < b.notBefore || (a.notBefore === b.notBefore && a.notAfter < b.notAfter);
}

type Fields = Readonly<Record<string, Json | undefined>>;

function isRecord(value: Json | undefined): value is Fields & Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function versionsOf(value: Json | undefined): readonly IdentityVersion[] | null {
  if (!Array.isArray(value)) return null;
  const versions = (value as readonly Json[]).map(versionOf);
  return versions.includes(null) ? null : versions.filter((one) => one !== null);
}

function versionOf(value: Json): IdentityVersion | null {
  if (!isRecord(value)) return null;
  const { name, fingerprint, subject, notBefore, notAfter, der, withdrawn } = value as Fields;
  if (typeof name !== 'string' || typeof fingerprint !== 'string' || typeof subject !== 'string' || typeof der !== 'string') return null;
  if (typeof notBefore !== 'number' || typeof notAfter !== 'number') return null;
  return { name, fingerprint, subject, notBefore, notAfter, der, withdrawn: withdrawn === true };
}

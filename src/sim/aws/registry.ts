import { X509Certificate } from 'node:crypto';
import { compareText } from '#kit/diagnostics.ts';
import { sha256 } from '#kit/digest.ts';
import type { Clock } from '#ports/clock.ts';
import { AwsError } from './errors.ts';
import { THING_NAME } from './topics.ts';

export type CertificateStatus = 'ACTIVE' | 'INACTIVE' | 'REVOKED' | 'PENDING_ACTIVATION';

export interface Thing {
  readonly name: string;
  readonly id: string;
  readonly type: string | null;
  readonly attributes: Readonly<Record<string, string>>;
  readonly groups: readonly string[];
  readonly version: number;
}

export interface RegisteredCertificate {
  /** SHA-256 of the DER, 64 hex digits: also what presence calls the principal (docs/protocols/aws-iot.md §13). */
  readonly id: string;
  readonly pem: string;
  readonly status: CertificateStatus;
  readonly createdAt: number;
  readonly policies: readonly string[];
  readonly things: readonly string[];
}

export interface AwsAccount {
  readonly region: string;
  readonly account: string;
}

interface RegistryOptions extends AwsAccount {
  readonly clock: Pick<Clock, 'now'>;
}

/** What was changed: a thing by its name, or a certificate by its id, with what is attached to it. */
export type RegistryChange = { readonly thing: string } | { readonly certificate: string };

/** Things, groups, certificates and policies (docs/protocols/aws-iot.md §2.2, §11). All calls throw AwsError. */
export class AwsRegistry {
  readonly #options: RegistryOptions;
  readonly #things = new Map<string, Thing>();
  readonly #certificates = new Map<string, RegisteredCertificate>();
  readonly #policies = new Map<string, string>();
  readonly #groups = new Set<string>();
  readonly #listeners = new Set<(change: RegistryChange) => void>();

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  onChange(listener: (change: RegistryChange) => void): void {
    this.#listeners.add(listener);
  }

  arn(resource: string): string {
    return `arn:aws:iot:${this.#options.region}:${this.#options.account}:${resource}`;
  }

  get things(): readonly Thing[] {
    return [...this.#things.values()].toSorted((a, b) => compareText(a.name, b.name));
  }

  thing(name: string): Thing {
    const thing = this.#things.get(name);
    if (thing === undefined) throw new AwsError('ResourceNotFoundException', `Thing ${name} does not exist.`);
    return thing;
  }

  hasThing(name: string): boolean {
    return this.#things.has(name);
  }

  /** The same call twice is the same thing; with other attributes it is refused, as AWS does. */
  createThing(
    name: string,
    details: { readonly type?: string | null; readonly attributes?: Readonly<Record<string, string>> } = {},
  ): Thing {
    if (!THING_NAME.test(name)) throw new AwsError('InvalidRequestException', `1 validation error detected: ${name} is no name of a thing`);
    const { type = null, attributes = {} } = details;
    const before = this.#things.get(name);
    if (before !== undefined) {
      if (before.type === type && sameAttributes(before.attributes, attributes)) return before;
      throw new AwsError('ResourceAlreadyExistsException', `Thing ${name} already exists in account with different attributes`);
    }
    const thing = { name, id: idOf(`thing ${name}`), type, attributes: { ...attributes }, groups: [], version: 1 };
    this.#things.set(name, thing);
    this.#changed({ thing: name });
    return thing;
  }

  updateThing(
    name: string,
    change: { readonly attributes: Readonly<Record<string, string>>; readonly merge: boolean; readonly version: number | null },
  ): void {
    const thing = this.#locked(name, change.version);
    const merged = change.merge ? { ...thing.attributes, ...change.attributes } : change.attributes;
    // AWS takes an attribute away that is set to nothing.
    const attributes = Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== ''));
    this.#things.set(name, { ...thing, attributes, version: thing.version + 1 });
    this.#changed({ thing: name });
  }

  /** Its shadows stay (docs/protocols/aws-iot.md §5.1). */
  deleteThing(name: string, version: number | null): void {
    if (!this.#things.has(name)) return;
    this.#locked(name, version);
    if (this.principalsOf(name).length > 0)
      throw new AwsError('InvalidRequestException', `Cannot delete. Thing ${name} is still attached to principals`);
    this.#things.delete(name);
    this.#changed({ thing: name });
  }

  createGroup(name: string): void {
    this.#groups.add(name);
  }

  get groups(): readonly string[] {
    return [...this.#groups].toSorted(compareText);
  }

  addToGroup(name: string, group: string): void {
    const thing = this.thing(name);
    if (!this.#groups.has(group)) throw new AwsError('ResourceNotFoundException', `Thing group ${group} does not exist.`);
    if (thing.groups.includes(group)) return;
    this.#things.set(name, { ...thing, groups: [...thing.groups, group].toSorted(compareText) });
    this.#changed({ thing: name });
  }

  /** Registers a certificate, of this CA or of none, as of now unless told. The same one twice is refused. */
  addCertificate(pem: string, status: CertificateStatus, at: number = this.#options.clock.now()): RegisteredCertificate {
    const id = certificateId(pem);
    if (this.#certificates.has(id)) throw new AwsError('ResourceAlreadyExistsException', 'The certificate is already registered.');
    const certificate = { id, pem, status, createdAt: at, policies: [], things: [] };
    this.#certificates.set(id, certificate);
    this.#changed({ certificate: id });
    return certificate;
  }

  certificate(id: string): RegisteredCertificate {
    const certificate = this.#certificates.get(id);
    if (certificate === undefined) throw new AwsError('ResourceNotFoundException', `The certificate given in the request does not exist.`);
    return certificate;
  }

  findCertificate(id: string): RegisteredCertificate | null {
    return this.#certificates.get(id) ?? null;
  }

  get certificates(): readonly RegisteredCertificate[] {
    return [...this.#certificates.values()].toSorted((a, b) => compareText(a.id, b.id));
  }

  setStatus(id: string, status: CertificateStatus): void {
    this.#certificates.set(id, { ...this.certificate(id), status });
    this.#changed({ certificate: id });
  }

  deleteCertificate(id: string, force: boolean): void {
    const { status, policies, things } = this.certificate(id);
    if (status === 'ACTIVE') {
      throw new AwsError('CertificateStateException', 'The certificate must be deactivated (not ACTIVE) before deletion.');
    }
    if (things.length > 0 || (policies.length > 0 && !force)) {
      throw new AwsError('DeleteConflictException', 'Policies or things must be detached before deletion.');
    }
    this.#certificates.delete(id);
    this.#changed({ certificate: id });
  }

  createPolicy(name: string, document: string): void {
    if (this.#policies.has(name))
      throw new AwsError('ResourceAlreadyExistsException', `Policy cannot be created - name already exists (name=${name})`);
    try {
      JSON.parse(document);
    } catch {
      throw new AwsError('InvalidRequestException', 'Policy document is malformed');
    }
    this.#policies.set(name, document);
  }

  policy(name: string): string {
    const document = this.#policies.get(name);
    if (document === undefined) throw new AwsError('ResourceNotFoundException', `Policy ${name} does not exist.`);
    return document;
  }

  /** Policies hang on the certificate, not on the thing (§11.1). */
  attachPolicy(name: string, principal: string): void {
    this.policy(name);
    this.#changePrincipal(principal, ({ policies }) => ({ policies: [...new Set([...policies, name])].toSorted(compareText) }));
  }

  detachPolicy(name: string, principal: string): void {
    this.#changePrincipal(principal, ({ policies }) => ({ policies: policies.filter((other) => other !== name) }));
  }

  attachThing(thing: string, principal: string): void {
    this.thing(thing);
    this.#changePrincipal(principal, ({ things }) => ({ things: [...new Set([...things, thing])].toSorted(compareText) }));
  }

  detachThing(thing: string, principal: string): void {
    this.thing(thing);
    this.#changePrincipal(principal, ({ things }) => ({ things: things.filter((other) => other !== thing) }));
  }

  /** ARNs of the certificates of a thing. */
  principalsOf(thing: string): readonly string[] {
    return this.certificates.filter(({ things }) => things.includes(thing)).map(({ id }) => this.arn(`cert/${id}`));
  }

  /** The certificate that a principal is: its ARN. */
  principal(arn: string): RegisteredCertificate {
    const [, id] = /^arn:aws:iot:[^:]*:\d*:cert\/([0-9a-f]{64})$/.exec(arn) ?? [];
    if (id === undefined) throw new AwsError('InvalidRequestException', 'The principal is no ARN of a certificate');
    return this.certificate(id);
  }

  #locked(name: string, version: number | null): Thing {
    const thing = this.thing(name);
    if (version !== null && version !== thing.version) {
      throw new AwsError('VersionConflictException', `The version for thing ${name} does not match the expected version.`);
    }
    return thing;
  }

  #changePrincipal(arn: string, change: (certificate: RegisteredCertificate) => Partial<RegisteredCertificate>): void {
    const certificate = this.principal(arn);
    this.#certificates.set(certificate.id, { ...certificate, ...change(certificate) });
    this.#changed({ certificate: certificate.id });
  }

  #changed(change: RegistryChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}

/** Throws AwsError for what is no certificate. */
export function certificateId(pem: string): string {
  try {
    return sha256(new X509Certificate(pem).raw);
  } catch {
    throw new AwsError('InvalidRequestException', 'The certificate is no PEM');
  }
}

/** An id in the form of a UUID that follows from what it is for: the same in each run. */
export function idOf(what: string): string {
  const hex = sha256(Buffer.from(what));
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
}

function sameAttributes(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

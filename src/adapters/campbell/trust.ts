import { X509Certificate } from 'node:crypto';
import type { Json } from '#kit/canonical.ts';
import { certificateFacts, commonNameOf, type CertificateFacts } from '#kit/certificate.ts';
import { err, ok, type Result } from '#kit/result.ts';
import type { DeclaredItem } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import type { DeviceFacts, ExpectedItem, FamilyProblem, PinnedItem } from '#ports/family.ts';
import { CONFIG_ID, type MqttConfigEntry } from './mqtt-config.ts';
import { campbellOptions } from './options.ts';

/** What the setting takes, in bytes of PEM (docs/protocols/campbell-mqtt.md §6.1). */
const LONGEST_ROOTS = 4096;

/** The root certificates that a logger is to trust: `use` and `keep` together. */
export interface DeclaredTrust {
  /** Sorted by fingerprint. */
  readonly roots: readonly (CertificateFacts & { readonly name: string })[];
  /** Why a logger that loaded the file counts though nothing proves each root; null: it does not. */
  readonly accepted: string | null;
}

/** What the server of one connection shows, as far as roots that somebody declared are concerned. */
export interface ShownChain {
  /** SHA-256 of what it shows, or showed when it was last seen; null where nobody ever saw that. */
  readonly chain: string | null;
  /** Nobody could see it at the last look. */
  readonly hidden: boolean;
  /** Since when; null where it was so when it was first looked at. */
  readonly since: Instant | null;
  /** The newest connection of this logger that the broker told of before that, in its own clock. */
  readonly connectedBefore: Instant | null;
  /** Fingerprints of the roots that were held against it, and of those among them that vouch for it. Sorted. */
  readonly looked: readonly string[];
  readonly vouching: readonly string[];
}

/** A logger tells nothing of its roots: this is what was sent to it, and what its connections prove (§7). */
export interface ReportedTrust {
  /** The roots in the last file that it loaded from us; null where it has never loaded one. */
  readonly loaded: readonly string[] | null;
  readonly loadedAt: Instant | null;
  /** The roots of a file that was sent since, and may have been loaded unseen; null for none. */
  readonly perhaps: readonly string[] | null;
  /** Roots that it trusts: it came to a server for which, of all known ones, this one alone vouches. Sorted. */
  readonly proven: readonly string[];
  /** By connection. */
  readonly shown: Readonly<Record<string, ShownChain>>;
}

/** The roots of an operation, by their fingerprints: carried by every file that holds them. */
export interface TrustOrder {
  readonly roots: readonly string[];
}

export const NOTHING_KNOWN: ReportedTrust = { loaded: null, loadedAt: null, perhaps: null, proven: [], shown: {} };

/** `use` and `keep` become one text of PEM blocks, in the order of their fingerprints (§6.1, §6.2 id 4). */
export function expectedTrust(device: DeviceFacts, pin: PinnedItem): Result<ExpectedItem, FamilyProblem> {
  const roots: DeclaredTrust['roots'][number][] = [];
  for (const bytes of pin.certificates) {
    for (const block of blocksOf(bytes)) {
      const facts = certificateFacts(block);
      if (facts === null) {
        return err({ code: 'TRUST_NOT_CERTIFICATES', summary: `trust of ${device.id}: a file holds something that is no certificate` });
      }
      const name = commonNameOf(facts.subject) ?? facts.subject;
      if (!new X509Certificate(block).ca) {
        const fix = 'pin the certificate of the authority that signed it';
        return err({ code: 'TRUST_NOT_A_CA', summary: `trust of ${device.id}: ${name} is no certificate of an authority`, fix });
      }
      if (roots.every(({ fingerprint }) => fingerprint !== facts.fingerprint)) roots.push({ ...facts, name });
    }
  }
  if (roots.length === 0) return err({ code: 'TRUST_EMPTY', summary: `trust of ${device.id} holds no certificate` });
  const sorted = roots.toSorted((a, b) => (a.fingerprint < b.fingerprint ? -1 : 1));
  const { length } = pemOf(sorted);
  if (length > LONGEST_ROOTS) {
    const summary = `the roots of ${device.id} have ${length} bytes in PEM; a logger takes ${LONGEST_ROOTS}`;
    return err({ code: 'PEM_TOO_LONG', summary, fix: 'keep fewer of them, or smaller ones' });
  }
  const facts: Json = { roots: sorted.map((root) => ({ ...root })), accepted: campbellOptions(device.options).trustAccepted };
  return ok({
    value: sorted.map(({ fingerprint }) => fingerprint).join(' '),
    version: pin.artifact?.version ?? sorted.map(({ name }) => name).join(', '),
    facts,
    content: null,
    certificates: sorted,
  });
}

function blocksOf(bytes: Uint8Array): readonly Buffer[] {
  const text = Buffer.from(bytes).toString('latin1');
  const blocks = text.match(/-----BEGIN [A-Z0-9 ]+-----[^-]*-----END [A-Z0-9 ]+-----/g);
  return blocks === null ? [Buffer.from(bytes)] : blocks.map((block) => Buffer.from(block));
}

function pemOf(roots: readonly Pick<CertificateFacts, 'der'>[]): string {
  const lines = (der: string): string => (der.match(/.{1,64}/g) ?? []).join('\n');
  return roots.map(({ der }) => `-----BEGIN CERTIFICATE-----\n${lines(der)}\n-----END CERTIFICATE-----\n`).join('');
}

/** The fingerprints of the roots in a text of PEM, as a value says them; empty where it holds none. */
export function rootsText(pem: string): string {
  const found = blocksOf(Buffer.from(pem)).flatMap((block) => certificateFacts(block)?.fingerprint ?? []);
  return found.toSorted().join(' ');
}

/** The entry of a file that gives a logger other roots. */
export function rootEntries({ roots }: DeclaredTrust): readonly MqttConfigEntry[] {
  return [{ id: CONFIG_ID.rootCa, value: pemOf(roots) }];
}

type Fields = Readonly<Record<string, Json | undefined>>;

function fieldsOf(value: Json | undefined): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

function texts(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];
}

function instant(value: Json | undefined): Instant | null {
  return typeof value === 'number' ? value : null;
}

/** Reads back what expectedTrust wrote; null for any other item. */
export function trustFacts(declared: DeclaredItem | undefined): DeclaredTrust | null {
  const { roots, accepted } = fieldsOf(declared?.facts);
  if (declared?.item !== 'trust' || !Array.isArray(roots)) return null;
  const read = (roots as readonly Json[]).flatMap((root) => {
    const { name, fingerprint, subject, notBefore, notAfter, der } = fieldsOf(root);
    if (typeof name !== 'string' || typeof fingerprint !== 'string' || typeof subject !== 'string') return [];
    if (typeof notBefore !== 'number' || typeof notAfter !== 'number' || typeof der !== 'string') return [];
    return [{ name, fingerprint, subject, notBefore, notAfter, der }];
  });
  return read.length === 0 ? null : { roots: read, accepted: typeof accepted === 'string' ? accepted : null };
}

/** Reads an operation's roots back; null where it carries none. */
export function trustOrder(facts: Json): TrustOrder | null {
  const roots = texts(fieldsOf(fieldsOf(facts)['trust'])['roots']);
  return roots.length === 0 ? null : { roots };
}

export function orderOf({ roots }: DeclaredTrust): { readonly trust: { readonly roots: string[] } } {
  return { trust: { roots: fingerprintsOf({ roots }) } };
}

function fingerprintsOf({ roots }: Pick<DeclaredTrust, 'roots'>): string[] {
  return roots.map(({ fingerprint }) => fingerprint);
}

export function reportedTrust(item: ReportedItem | undefined): ReportedTrust | null {
  if (item?.kind !== 'value') return null;
  const { loaded, loadedAt, perhaps, proven, shown } = fieldsOf(item.facts);
  const chains = Object.entries(fieldsOf(shown)).map(([connection, one]) => {
    const { chain, hidden, since, connectedBefore, looked, vouching } = fieldsOf(one);
    const read: ShownChain = {
      chain: typeof chain === 'string' ? chain : null,
      hidden: hidden === true,
      since: instant(since),
      connectedBefore: instant(connectedBefore),
      looked: texts(looked),
      vouching: texts(vouching),
    };
    return [connection, read] as const;
  });
  return {
    loaded: Array.isArray(loaded) ? texts(loaded) : null,
    loadedAt: instant(loadedAt),
    perhaps: Array.isArray(perhaps) ? texts(perhaps) : null,
    proven: texts(proven),
    shown: Object.fromEntries(chains),
  };
}

/** `A B unproven B, or perhaps A`: equal to what is declared only where each root is proven. Fingerprints. */
export function trustItem(trust: ReportedTrust, madeNotBefore: Instant | null): ReportedItem {
  const { loaded, perhaps, proven } = trust;
  const unproven = loaded === null ? [] : unprovenOf(loaded, trust);
  const known = loaded === null ? proven : unproven;
  const said = known.length === 0 ? '' : `${loaded === null ? ', with' : ' unproven'} ${known.join(' ')}`;
  const doubt = perhaps === null ? '' : `, or perhaps ${perhaps.join(' ')}`;
  const value = `${loaded === null ? UNSEEN : loaded.join(' ')}${said}${doubt}`;
  const facts = { loaded: trust.loaded, loadedAt: trust.loadedAt, perhaps, proven, shown: trust.shown } as unknown as Json;
  return { kind: 'value', value, facts, madeNotBefore, source: 'the chain of its server' };
}

/** Stands for the roots of a logger that never loaded a file of ours. */
const UNSEEN = 'as found';

/** What the roots are, apart from what is proven of them. */
export function rootsIn(value: string): string {
  return value.split(/ unproven |, with |, or perhaps /)[0] ?? value;
}

/** Roots of a set of which nothing proves that the logger trusts them. */
export function unprovenOf(roots: readonly string[], { proven }: Pick<ReportedTrust, 'proven'>): readonly string[] {
  return roots.filter((root) => !proven.includes(root));
}

/**
 * It loaded just these and each is proven, or a person takes that on trust. Of a logger as it was found what is proven is
 * enough: what else it trusts nobody can see, and nothing is sent for that.
 */
export function trustAgrees(declared: DeclaredItem, reported: Extract<ReportedItem, { kind: 'value' }>): boolean {
  const [wanted, said] = [trustFacts(declared), reportedTrust(reported)];
  if (wanted === null || said === null || said.perhaps !== null) return false;
  const roots = fingerprintsOf(wanted);
  if (said.loaded !== null && said.loaded.join(' ') !== roots.join(' ')) return false;
  return unprovenOf(roots, said).length === 0 || (said.loaded !== null && wanted.accepted !== null);
}

/** Whether the logger could do without any root that is not declared. */
export function provesTrust(declared: DeclaredItem, report: ReportedDevice): boolean {
  const item = report.items.trust;
  const [wanted, said] = [trustFacts(declared), reportedTrust(item)];
  if (wanted === null || said === null || item?.kind !== 'value' || item.madeNotBefore === null) return false;
  const roots = fingerprintsOf(wanted);
  const told = wanted.accepted !== null && roots.every((root) => said.loaded?.includes(root) === true);
  return told || unprovenOf(roots, said).length === 0;
}

/**
 * Why these roots must not be loaded by a logger that is to connect there: its server would be refused, for ever. Null when
 * they vouch for what it shows. `blind`: why a person lets it go ahead where nobody can see what the server shows.
 */
export function trustLockout(
  roots: readonly string[],
  { shown, at, blind }: { readonly shown: ShownChain | undefined; readonly at: string; readonly blind: string | null },
): string | null {
  if (shown === undefined || shown.chain === null || shown.hidden) {
    return blind === null
      ? `nobody can see from here which certificate ${at} shows; say in options.linkAccepted why these roots fit it`
      : null;
  }
  if (roots.some((root) => shown.vouching.includes(root))) return null;
  const unknown = roots.some((root) => !shown.looked.includes(root));
  return unknown
    ? `the certificate of ${at} was not held against these roots yet`
    : `none of these roots vouches for the certificate that ${at} shows: the logger would never come back; add the one in use to keep:`;
}

/** Roots of which not even the return of the logger could prove that it trusts them: not one of them alone vouches there. */
export function unprovable(roots: readonly string[], shown: ShownChain | undefined): readonly string[] {
  const alone = shown?.hidden === false && shown.vouching.length === 1 ? shown.vouching[0] : undefined;
  return roots.filter((root) => root !== alone);
}

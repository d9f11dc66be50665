import { unlessAborted } from '#kit/aborted.ts';
import { canonicalJson } from '#kit/canonical.ts';
import { isValidated } from '#kit/certificate-chain.ts';
import { sha256 } from '#kit/digest.ts';
import { MINUTE_MS } from '#kit/duration.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { Instant } from '#model/ids.ts';
import type { OpenOperation, Operation } from '#model/operation.ts';
import type { ReportedDevice } from '#model/reported.ts';
import type { DriverPorts, PerformContext, Precheck } from '#ports/driver.ts';
import type { Watched } from './driver-session.ts';
import { seenIdentity } from './identity-report.ts';
import { moveOrder, whereabouts } from './move.ts';
import type { MqttConfigEntry } from './mqtt-config.ts';
import { campbellOptions } from './options.ts';
import { memoOf } from './reports.ts';
import { configRefusal, confirmRotation } from './rotation-confirm.ts';
import { rotationFacts } from './rotation.ts';
import {
  NOTHING_KNOWN,
  reportedTrust,
  rootEntries,
  rootsIn,
  trustFacts,
  trustItem,
  trustLockout,
  trustOrder,
  type DeclaredTrust,
  type ReportedTrust,
  type ShownChain,
} from './trust.ts';

/** Nothing says whether a logger connects between the two restarts (docs/protocols/campbell-mqtt.md §5.3): it must have stood so long. */
const STANDS_MS = 3 * MINUTE_MS;
const MQTTS_PORT = 8883;

type Refusal = Extract<Precheck, { kind: 'refused' }>;

/** Which roots loggers trust, as far as anybody can see, and what a file with other ones must stand (docs/protocols/campbell-mqtt.md §7). */
export class Trusts {
  readonly #ports: DriverPorts;

  constructor(ports: DriverPorts) {
    this.#ports = ports;
  }

  /** Puts what the servers show, and what was loaded since, into the reports of those that have roots declared. */
  async observe(watched: readonly Watched[], opensOf: (one: Watched) => readonly OpenOperation[], signal: AbortSignal): Promise<void> {
    const chains = new Map<string, Promise<Chain | null>>();
    const chainOf = (connection: string): Promise<Chain | null> => {
      const asked = chains.get(connection) ?? this.#chain(connection, signal);
      chains.set(connection, asked);
      return asked;
    };
    try {
      for (const one of watched) await this.#look(one, { opens: opensOf(one), chainOf });
    } catch (error) {
      // Called off: what is known of the others stays as it was.
      if (!signal.aborted) throw error;
    }
  }

  /** The roots that go into the file of this operation; none where it carries none, null where others are declared by now. */
  entries({ device }: PerformContext, operation: Operation): readonly MqttConfigEntry[] | null {
    const order = trustOrder(operation.facts);
    if (order === null) return [];
    const declared = declaredTrust(device);
    const same = declared?.roots.map(({ fingerprint }) => fingerprint).join(' ') === order.roots.join(' ');
    return declared !== null && same ? rootEntries(declared) : null;
  }

  /** Looks at the server once more, right before the act: null when the roots of the file would let the logger in there. */
  async precheck(operation: Operation, watched: Watched | null, context: PerformContext): Promise<Refusal | null> {
    const move = moveOrder(operation.facts);
    const { device, signal } = context;
    const declared = declaredTrust(device);
    const order = trustOrder(operation.facts) ?? (move === null ? null : orderOf(declared));
    if (order === null) return null;
    if (watched !== null) await this.observe([watched], () => [], signal);
    const report = watched?.report ?? context.reported;
    const said = reportedTrust(report?.items.trust);
    if (report === undefined || said === null) return refused('NEVER_REPORTED', 'nobody has looked which certificate its server shows');
    const at = move?.to ?? whereabouts(device, report);
    const against = trustLockout(order.roots, { shown: said.shown[at], at, blind: campbellOptions(device.options).linkAccepted });
    if (against !== null) return refused('LOCKOUT_GUARD', against);
    if (operation.item !== 'trust') return null;
    const now = report.items.trust?.kind === 'value' ? rootsIn(report.items.trust.value) : '';
    const planned = rootsIn(operation.expected ?? '');
    return now === planned ? null : refused('PRECONDITION_MOVED', `has ${now}, the operation expects ${planned}`);
  }

  async #chain(connection: string, signal: AbortSignal): Promise<Chain | null> {
    const declared = this.#ports.connection(connection);
    const url = declared?.type === 'mqtt' ? URL.parse(declared.url) : null;
    if (url === null || !['mqtts:', 'wss:'].includes(url.protocol)) return null;
    const port = url.port === '' ? MQTTS_PORT : Number(url.port);
    const asked = this.#ports.serverChain?.({ endpoint: `https://${url.hostname}`, port }, signal);
    const shown = asked === undefined ? null : await unlessAborted(asked, signal);
    return shown === null ? null : makeChain(shown, this.#ports.clock.now());
  }

  async #look(
    one: Watched,
    from: {
      readonly opens: readonly OpenOperation[];
      readonly chainOf: (connection: string) => Promise<Chain | null>;
    },
  ): Promise<void> {
    const declared = declaredTrust(one.device);
    if (declared === null) return;
    const before = reportedTrust(one.report.items.trust) ?? NOTHING_KNOWN;
    const { via } = one.device;
    const shown: Record<string, ShownChain> = {};
    for (const connection of via.to === null ? [via.connection] : [via.connection, via.to]) {
      const chain = await from.chainOf(connection);
      const known = { last: before.shown[connection], connectedAt: connectedAt(one.report) };
      shown[connection] = shownChain(chain, { declared, now: this.#ports.clock.now(), ...known });
    }
    const loaded = withLoaded({ ...before, shown }, { opens: from.opens, one });
    const trust = withProof(loaded, one);
    const { onlineAt } = memoOf(one.report);
    // Nothing is known of a logger that was never heard.
    if (onlineAt === null) return;
    const item = trustItem(trust, onlineAt);
    if (canonicalJson(item) === canonicalJson(one.report.items.trust ?? null)) return;
    one.report = { ...one.report, items: { ...one.report.items, trust: item } };
    one.dirty = true;
  }
}

function refused(reason: Refusal['reason'], evidence: string): Refusal {
  return { kind: 'refused', reason, evidence };
}

function declaredTrust(device: DeclaredDevice): DeclaredTrust | null {
  return trustFacts(device.items.find(({ item }) => item === 'trust'));
}

function orderOf(declared: DeclaredTrust | null): { readonly roots: readonly string[] } | null {
  return declared === null ? null : { roots: declared.roots.map(({ fingerprint }) => fingerprint) };
}

function connectedAt(report: ReportedDevice): Instant | null {
  return seenIdentity(report.items.identity)?.connectedAt ?? null;
}

/** What a server shows. Loggers share roots: each is held against it once. */
interface Chain {
  readonly digest: string;
  vouchedBy(root: DeclaredTrust['roots'][number]): boolean;
}

function makeChain(shown: readonly Uint8Array[], now: Instant): Chain {
  const known = new Map<string, boolean>();
  return {
    digest: sha256(Buffer.concat(shown)),
    vouchedBy(root) {
      const found = known.get(root.fingerprint) ?? isValidated(shown, [{ ...root, der: Buffer.from(root.der, 'base64') }], { now });
      known.set(root.fingerprint, found);
      return found;
    },
  };
}

const NEVER_SEEN: ShownChain = { chain: null, hidden: true, since: null, connectedBefore: null, looked: [], vouching: [] };

/** What was found of other roots stays while the server shows the same. */
function shownChain(
  chain: Chain | null,
  known: {
    readonly declared: DeclaredTrust;
    readonly now: Instant;
    readonly last: ShownChain | undefined;
    readonly connectedAt: Instant | null;
  },
): ShownChain {
  const { declared, now, last = NEVER_SEEN } = known;
  if (chain === null) return { ...last, hidden: true };
  const same = last.chain === chain.digest ? last : undefined;
  const roots = declared.roots.map(({ fingerprint }) => fingerprint);
  const vouching = declared.roots.filter((root) => chain.vouchedBy(root)).map(({ fingerprint }) => fingerprint);
  const others = (found: readonly string[] | undefined): readonly string[] => found?.filter((root) => !roots.includes(root)) ?? [];
  return {
    chain: chain.digest,
    hidden: false,
    since: same === undefined ? (last.chain === null ? null : now) : same.since,
    connectedBefore: same === undefined ? known.connectedAt : same.connectedBefore,
    looked: [...others(same?.looked), ...roots].toSorted(),
    vouching: [...others(same?.vouching), ...vouching].toSorted(),
  };
}

/**
 * The roots of a file count as loaded once the logger is back for good, or anything else in the same file shows. From when
 * it was sent until then nobody knows: whatever becomes of the operation, that stays until a load is seen.
 */
function withLoaded(
  trust: ReportedTrust,
  { opens, one: { report } }: { readonly opens: readonly OpenOperation[]; readonly one: Watched },
): ReportedTrust {
  const { onlineAt, onlineVia, transition } = memoOf(report);
  for (const open of opens) {
    const { operation } = open;
    const order = trustOrder(operation.facts);
    if (order === null || onlineAt === null || (trust.loadedAt ?? 0) > open.intendedAt) continue;
    const signs = report.signs.filter(({ at, item }) => at !== null && at >= open.intendedAt && item === 'identity');
    const restart = signs.findLast(({ code }) => code === 'RESTARTING');
    const stands = restart !== undefined && transition === null && report.online === true && onlineAt - (restart.at ?? 0) >= STANDS_MS;
    const [rotation, move] = [rotationFacts(operation.facts), moveOrder(operation.facts)];
    const shows = rotation !== null && confirmRotation(open, report, rotation).kind === 'confirmed';
    const arrived = move !== null && onlineVia === move.to && onlineAt > open.intendedAt;
    const counts = move === null ? (stands && configRefusal(signs) === null) || shows : arrived;
    if (counts) return { ...trust, loaded: order.roots, loadedAt: onlineAt, perhaps: null, proven: [] };
    // Nothing was sent where the last attempt met trouble before it.
    if (open.reference !== null || open.retryAt === null) return { ...trust, perhaps: order.roots };
  }
  return trust;
}

/** One root that alone vouches for the server at which the logger is, over a connection made since that server shows it. */
function withProof(trust: ReportedTrust, { report, device }: Watched): ReportedTrust {
  const { onlineAt } = memoOf(report);
  const shown = trust.shown[whereabouts(device, report)];
  const root = shown?.vouching[0];
  if (shown === undefined || shown.hidden || root === undefined || shown.vouching.length > 1) return trust;
  if (report.online !== true || onlineAt === null || trust.proven.includes(root)) return trust;
  const { since, connectedBefore } = shown;
  const connected = connectedAt(report);
  const isNew =
    since === null ||
    (connected !== null && connectedBefore !== null && connected > connectedBefore) ||
    report.signs.some(({ code, at }) => code === 'BACK' && at !== null && at > since) ||
    (trust.loadedAt ?? 0) > since;
  return isNew ? { ...trust, proven: [...trust.proven, root].toSorted() } : trust;
}

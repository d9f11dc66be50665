import { DAY_MS, durationText, MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { Instant } from '#model/ids.ts';
import type { Confirmation, OpenOperation } from '#model/operation.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { sameVersion } from './expectation.ts';
import {
  linkOf,
  onlineAfter,
  readConfigFacts,
  readFirmwareFacts,
  readOperationFacts,
  readUndo,
  type ConfigFacts,
  type LinkFacts,
  type OperationFacts,
} from './facts.ts';
import { at, textAt, textsAt } from './json.ts';
import { readMemo } from './memo.ts';
import { lostAfterMs } from './withdrawal.ts';
import { holdsSet, readingOf, readReportedTrust, readTrustFacts, trustValue } from './trust.ts';
import { readConfigValue, readFirmwareValue } from './wire.ts';

/**
 * Applied, refused or silent: docs/protocols/canedge-s3.md §10. Only a heartbeat whose Last-Modified is later than that
 * of the object we wrote counts. Silence is judged by the engine, which has the time.
 */
export function confirmationOf(open: OpenOperation, reported: ReportedDevice): Confirmation {
  const { operation, reference } = open;
  const link = linkOf(reported);
  const facts = readOperationFacts(operation.facts);
  if (reference === null)
    return stillOpen(open, { phase: 'IN_FLIGHT', evidence: 'not known whether it was written: looked for before it is repeated' });
  if (operation.kind === 'withdraw') return { kind: 'confirmed', evidence: 'the bucket no longer holds the offer' };
  if (operation.step === 'cleanup-firmware') return { kind: 'confirmed', evidence: 'firmware.bin is deleted' };
  if (link === null || facts === null) return stillOpen(open, { phase: 'OFFERED', evidence: 'no good heartbeat since' });
  const look: Look = { open, reported, reference, link, facts };
  if (operation.item === 'trust') return inDoubt(look, confirmTrust(look));
  if (operation.step === 'config-next' || operation.step === 'config-there') return confirmNextConfig(look);
  if (operation.step === 'firmware') return confirmFirmware(look);
  return facts.link ? inDoubt(look, confirmConfig(look)) : confirmConfig(look);
}

/**
 * A device that was online when it was offered another way to its server, and missed its heartbeats since, may be locked
 * out (§10): that the offer was taken back afterwards proves nothing of it.
 */
function inDoubt({ reported, reference, link }: Look, said: Confirmation): Confirmation {
  const { heardAt } = reported;
  if ((said.kind !== 'open' && said.kind !== 'trouble') || heardAt === null) return said;
  const beatMs = link.heartbeat * SECOND_MS + MINUTE_MS;
  const silent = heardAt >= reference - 2 * beatMs && link.lookedAt - heardAt > beatMs;
  return silent ? { ...said, perhapsTaken: 'withdrawn, but silent since it was offered: it may have taken it' } : said;
}

interface Look {
  readonly open: OpenOperation;
  readonly reported: ReportedDevice;
  readonly reference: Instant;
  readonly link: LinkFacts;
  readonly facts: OperationFacts;
}

/** Where a device is to go; once it has arrived that is where it reports. */
function thereOf(config: ConfigFacts | null): string | null | undefined {
  return config === null ? undefined : ((config.there ?? config.object)?.crc ?? null);
}

/** Lies ready for a firmware that does not run yet: the object is all there is to see. */
function confirmNextConfig({ open, reported, facts, link }: Look): Confirmation {
  const config = readConfigFacts(reported.items.config);
  const crc =
    open.operation.step === 'config-there'
      ? thereOf(config)
      : config?.next?.series === facts.series
        ? config.next.crc
        : config?.series === facts.series
          ? (config.object?.crc ?? null)
          : undefined;
  if (crc !== undefined && crc === facts.crc)
    return { kind: 'confirmed', evidence: `config-${facts.series}.json lies ready with CRC ${crc}` };
  if (crc === undefined || link.lookedAt <= open.intendedAt)
    return stillOpen(open, { phase: 'VERIFYING', evidence: 'the bucket was not read since' });
  return replaced(`config-${facts.series}.json ${crc === null ? 'is gone' : `has CRC ${crc}`}, ${facts.crc ?? 'ours'} was written`);
}

/** Loaded, in a later heartbeat; of the bundle for the other end of a move, that it lies there. */
function confirmTrust(look: Look): Confirmation {
  const { open, reported, reference, link } = look;
  const item = reported.items.trust;
  const [trust, want] = [readReportedTrust(item), readTrustFacts(at(open.operation.facts, 'want') ?? null)];
  if (trust === null || want === null || item?.kind !== 'value')
    return stillOpen(open, { phase: 'OFFERED', evidence: 'its certificates were not reported since' });
  const looked = link.lookedAt > open.intendedAt;
  const object = open.operation.step === 'trust-there' && trust.place === 'from' ? trust.there : trust.object;
  if (open.operation.step === 'trust-there') {
    if (looked && holdsSet(object, want.certificates)) return { kind: 'confirmed', evidence: 'the bundle lies where the device is to go' };
    if (!looked) return stillOpen(open, { phase: 'VERIFYING', evidence: 'the bucket was not read since' });
    return replaced('the bundle where the device is to go is gone or another one');
  }
  const made = item.madeNotBefore;
  const fresh = made !== null && made > reference;
  const ours = holdsSet(object, want.certificates);
  if (fresh && readingOf(want.certificates, trust) !== null && (ours || object === null))
    return { kind: 'confirmed', evidence: `has loaded ${trust.loaded.length} certificates` };
  if (looked && !ours) return replaced('certs_server.p7b is gone or was changed by somebody else');
  const silenced = silencedAt(look);
  if (silenced !== null) return suspected(silenced, 'silent since it was offered other certificates: suspected to be locked out');
  if (!fresh) return stillOpen(open, { phase: 'OFFERED', evidence: 'no heartbeat since it was written' });
  const patience = patienceText(look);
  const shown = `reports ${trustValue(trust)}`;
  if (patience.spent) return { kind: 'failed', code: 'TRUST_REFUSED', evidence: `${shown} after ${patience.text} online` };
  const old = trust.loaded.join(' ') === textsAt(open.operation.facts, 'loaded').join(' ');
  if (old) return stillOpen(open, { phase: 'OFFERED', oldValueSeenAt: made, evidence: `${shown}; ${patience.text} online since` });
  return stillOpen(open, { phase: 'VERIFYING', takenAt: open.takenAt ?? made, evidence: shown });
}

function confirmConfig(look: Look): Confirmation {
  const { open, reported, reference, facts, link } = look;
  const item = reported.items.config;
  const config = readConfigFacts(item);
  if (config === null || item?.kind !== 'value')
    return stillOpen(open, { phase: 'OFFERED', evidence: 'the config was not reported since' });
  const ours = config.object?.crc === facts.crc;
  const moves = textAt(open.operation.facts, 'moves') === 'move';
  if (!ours && link.lookedAt > open.intendedAt) {
    return replaced(
      `config-${facts.series}.json ${config.object === null ? 'is gone' : `has CRC ${config.object.crc}`}: somebody else changed it`,
    );
  }
  const made = item.madeNotBefore;
  const fresh = made !== null && made > reference;
  const shown = config.crc ?? 'no CRC';
  const arrived = !moves || readMemo(reported).place === 'to';
  if (fresh && arrived && config.series === facts.series && config.crc === facts.crc)
    return { kind: 'confirmed', evidence: `reports CRC ${shown}` };
  const silenced = silencedAt(look);
  if (silenced !== null) return suspected(silenced, silenceText(facts));
  if (!fresh) return stillOpen(open, { phase: 'OFFERED', evidence: 'no heartbeat since it was written' });
  const expected = readConfigValue(open.operation.expected ?? '');
  const old = expected !== undefined && expected.series === config.series && expected.crc === config.crc;
  const patience = patienceText(look);
  if (patience.spent) {
    const refused = old || config.crc === null;
    return {
      kind: 'failed',
      code: refused ? 'CONFIG_REFUSED' : 'WRONG_RESULT',
      evidence: `reports ${shown} after ${patience.text} online, ${facts.crc ?? ''} was offered`,
      takeBack: true,
    };
  }
  if (old)
    return stillOpen(open, { phase: 'OFFERED', oldValueSeenAt: made, evidence: `still reports ${shown}; ${patience.text} online since` });
  return stillOpen(open, { phase: 'VERIFYING', takenAt: open.takenAt ?? made, evidence: `reports ${shown}` });
}

/** §6.3, completion test: version, and across series the config that was written; all in one consistent heartbeat. */
function confirmFirmware(look: Look): Confirmation {
  const { open, reported, reference, link } = look;
  const item = reported.items.firmware;
  const firmware = readFirmwareFacts(item);
  const config = readConfigFacts(reported.items.config);
  if (firmware === null || config === null || item?.kind !== 'value')
    return stillOpen(open, { phase: 'OFFERED', evidence: 'no good heartbeat since' });
  const made = item.madeNotBefore;
  const wanted = readFirmwareValue(open.operation.declared);
  const fresh = made !== null && made > reference;
  if (fresh && sameVersion(firmware.version, wanted)) return confirmFlashed(look, made);
  const gone = offerGone(look);
  const etag = readUndo(open.undo)?.etag;
  if (firmware.offer !== null && etag !== undefined && firmware.offer.etag !== etag && link.lookedAt > open.intendedAt) {
    return replaced('firmware.bin is no longer the one that was written');
  }
  const takenAt = open.takenAt ?? gone ?? silencedAt(look);
  if (!fresh)
    return stillOpen(open, { phase: takenAt === null ? 'OFFERED' : 'VERIFYING', takenAt, evidence: 'no heartbeat since it was written' });
  const old = sameVersion(firmware.version, readFirmwareValue(open.operation.expected ?? ''));
  const patience = patienceText(look);
  if (patience.spent) return firmwareVerdict(look, { version: firmware.version, old, patience: patience.text });
  const evidence = `still runs ${firmware.version}; ${patience.text} online since`;
  if (old) return stillOpen(open, { phase: takenAt === null ? 'OFFERED' : 'VERIFYING', takenAt, oldValueSeenAt: made, evidence });
  return stillOpen(open, { phase: 'VERIFYING', takenAt: takenAt ?? made, evidence: `runs ${firmware.version}` });
}

function confirmFlashed(look: Look, made: Instant): Confirmation {
  const { open, reported, facts } = look;
  const config = readConfigFacts(reported.items.config);
  const version = readFirmwareFacts(reported.items.firmware)?.version ?? '';
  if (!facts.crosses || facts.crc === null || (config?.series === facts.series && config.crc === facts.crc)) {
    return { kind: 'confirmed', evidence: `runs ${version}` };
  }
  const patience = patienceText(look);
  const shown = `runs ${version} with config ${config?.crc ?? 'unknown'}, ${facts.crc} was laid ready`;
  if (patience.spent) return { kind: 'failed', code: 'CONFIG_REFUSED', evidence: shown };
  return stillOpen(open, { phase: 'VERIFYING', takenAt: open.takenAt ?? made, evidence: shown });
}

/**
 * Online long enough to have polled, and not on the version that was offered. A power cycle since tells a device that
 * tried from one that did not; a version that is neither old nor new is a verdict of its own.
 */
function firmwareVerdict(look: Look, seen: { readonly version: string; readonly old: boolean; readonly patience: string }): Confirmation {
  const evidence = `runs ${seen.version} after ${seen.patience} online, ${look.open.operation.declared} was offered`;
  if (!seen.old) return { kind: 'failed', code: 'WRONG_RESULT', evidence };
  if (booted(look)) return { kind: 'failed', code: 'BOOTED_BACK', evidence: `restarted since, and ${evidence}` };
  if (offerGone(look) !== null)
    return { kind: 'trouble', code: 'OFFER_REPLACED', evidence: `firmware.bin is gone from the bucket; ${evidence}` };
  return { kind: 'failed', code: 'FIRMWARE_NOT_APPLIED', evidence };
}

function booted({ link, reference, reported }: Look): boolean {
  const backAgain = reported.signs.some((sign) => sign.code === 'BOOTED_BACK' && sign.at !== null && sign.at > reference);
  return backAgain || (link.bootedAt !== null && link.bootedAt > reference);
}

/** Gone from the bucket at a look after the write: some firmware deletes what it has downloaded (§6.4). */
function offerGone({ open, reported, link }: Look): Instant | null {
  const gone = readFirmwareFacts(reported.items.firmware)?.offer === null && link.lookedAt > open.intendedAt;
  return gone ? link.lookedAt : null;
}

function silenceText(facts: OperationFacts): string {
  return facts.link ? 'silent since it was offered another way to its server: suspected to be locked out' : 'silent since it was offered';
}

/** The deadline is counted while the device was demonstrably online since the write. */
function patienceText({ link, reference, open }: Look): { readonly spent: boolean; readonly text: string } {
  const onlineMs = onlineAfter(link, reference);
  return { spent: onlineMs > open.operation.deadlineMs, text: durationText(onlineMs) };
}

/** Always on for that long before it fell silent: such a device does not sleep. */
const STEADY_MS = DAY_MS;

/**
 * The one sign that a device which never comes back leaves behind: it was online when the offer was made, it had been
 * for a day, and it has been silent for longer than the change can take. A vehicle that parks next to an offer shows
 * the same silence, so a device that is known to sleep, or not known for long, is not said to have taken anything.
 */
function silencedAt({ open, reported, link, reference }: Look): Instant | null {
  const { heardAt } = reported;
  if (heardAt === null || link.steadySince === null || heardAt - link.steadySince < STEADY_MS) return null;
  const beatMs = 2 * link.heartbeat * SECOND_MS + MINUTE_MS;
  const silenceMs = link.lookedAt - heardAt;
  const patienceMs = Math.max(lostAfterMs(open.operation), 3 * (reported.gapMs ?? 0));
  return heardAt >= reference - beatMs && silenceMs > patienceMs ? Math.max(heardAt, reference) : null;
}

function replaced(evidence: string): Confirmation {
  return { kind: 'trouble', code: 'OFFER_REPLACED', evidence };
}

/** §10: silence after a change of the way to the server is told from any other loss. */
function suspected(takenAt: Instant, evidence: string): Confirmation {
  return { kind: 'open', phase: 'VERIFYING', takenAt, oldValueSeenAt: null, evidence, lost: evidence };
}

function stillOpen(
  open: OpenOperation,
  seen: {
    readonly phase: 'IN_FLIGHT' | 'OFFERED' | 'VERIFYING';
    readonly takenAt?: Instant | null;
    readonly oldValueSeenAt?: Instant;
    readonly evidence: string;
  },
): Confirmation {
  return {
    kind: 'open',
    phase: seen.phase,
    takenAt: seen.takenAt ?? open.takenAt,
    oldValueSeenAt: seen.oldValueSeenAt ?? null,
    evidence: seen.evidence,
  };
}

import type { Json } from '#kit/canonical.ts';
import type { Instant } from '#model/ids.ts';
import type { ReportedDevice } from '#model/reported.ts';
import { readConnectSummary, type ConnectSummary } from './connect.ts';
import type { DeviceFile } from './device-file.ts';
import { readFirmwareFacts, readSpan, type OnlineSpan } from './facts.ts';
import { at, listAt, numberAt, objectOf, textAt } from './json.ts';
import { modelByType } from './models.ts';
import { readPlace, readTrustObject, type TrustObject, type TrustPlace } from './trust.ts';

/** A config object as it was last read. `summary` is null when it is no JSON. */
export interface ReadObject {
  readonly series: string;
  readonly etag: string;
  readonly crc: string;
  readonly sha256: string;
  readonly summary: ConnectSummary | null;
}

/** What the driver keeps beside the reports of a device, to read less and to tell what changed. */
export interface DeviceMemo {
  /** In the case in which it was found. */
  readonly folder: string | null;
  readonly etag: string | null;
  readonly lastModified: Instant | null;
  /** What the bytes with that ETag say, or why they say nothing. */
  readonly file: DeviceFile | null;
  readonly fileProblem: string | null;
  readonly object: ReadObject | null;
  readonly next: ReadObject | null;
  /** The bundle of certificates in the bucket where it reports, and in the one to which it is to move. */
  readonly bundle: TrustObject | null;
  readonly bundleThere: TrustObject | null;
  /** The config in the one to which it is to move. */
  readonly objectThere: ReadObject | null;
  /** When its folder was last looked at beyond the heartbeat (our clock). */
  readonly sweptAt: Instant | null;
  /** Digest of what was declared then: what the look has found out is about that. Null when something was open then. */
  readonly sweptFor: string | null;
  /** Where a device in a move was last seen to report. */
  readonly place: TrustPlace;
  /** The connection of its newest report, and the one to which it was on its way then. */
  readonly home: string | null;
  readonly towards: string | null;
  /** What the device is known to run: the object that had the CRC it reports. */
  readonly running: { readonly crc: string; readonly summary: ConnectSummary } | null;
  /** The public key first seen of that hardware (failure F15). */
  readonly kpub: { readonly id: string; readonly kpub: string } | null;
  /** The declared CRC when report and object last agreed with it. */
  readonly converged: string | null;
  /** The last three firmware versions, newest last. */
  readonly versions: readonly string[];
  readonly online: readonly OnlineSpan[];
  readonly beats: readonly number[];
  readonly silences: readonly { readonly at: Instant; readonly ms: number }[];
  /** A look since the last heartbeat found the device overdue. */
  readonly silentSeen: boolean;
  readonly steadySince: Instant | null;
  readonly bootedAt: Instant | null;
  readonly lookedAt: Instant;
  /** ETag of the Rule Schema that the declared config was last checked against. */
  readonly schemaEtag: string | null;
}

/** Reads the memo of a last report; anything that is not there or not as expected is as if never known. */
export function readMemo(last: ReportedDevice | undefined): DeviceMemo {
  const memo = last?.memo ?? {};
  const link = readFirmwareFacts(last?.items.firmware)?.link ?? null;
  const running = readConnectSummary(at(memo, 'running', 'summary'));
  const runningCrc = textAt(memo, 'running', 'crc');
  const [pinId, pinKey] = [textAt(memo, 'kpub', 'id'), textAt(memo, 'kpub', 'kpub')];
  return {
    folder: textAt(memo, 'folder') ?? null,
    etag: textAt(memo, 'etag') ?? null,
    lastModified: numberAt(memo, 'lastModified') ?? null,
    file: readFile(at(memo, 'file')),
    fileProblem: textAt(memo, 'fileProblem') ?? null,
    object: readObject(at(memo, 'object')),
    next: readObject(at(memo, 'next')),
    bundle: readTrustObject(at(memo, 'bundle')),
    bundleThere: readTrustObject(at(memo, 'bundleThere')),
    objectThere: readObject(at(memo, 'objectThere')),
    sweptAt: numberAt(memo, 'sweptAt') ?? null,
    sweptFor: textAt(memo, 'sweptFor') ?? null,
    place: readPlace(at(memo, 'place')),
    home: textAt(memo, 'home') ?? null,
    towards: textAt(memo, 'towards') ?? null,
    running: running === null || runningCrc === undefined ? null : { crc: runningCrc, summary: running },
    kpub: pinId === undefined || pinKey === undefined ? null : { id: pinId, kpub: pinKey },
    converged: textAt(memo, 'converged') ?? null,
    versions: listAt(memo, 'versions').filter((version) => typeof version === 'string'),
    online: listAt(memo, 'online').flatMap(readSpan),
    beats: listAt(memo, 'beats').filter((beat) => typeof beat === 'number'),
    silences: listAt(memo, 'silences').flatMap(readSilence),
    silentSeen: at(memo, 'silentSeen') === true,
    steadySince: link?.steadySince ?? null,
    bootedAt: link?.bootedAt ?? null,
    lookedAt: link?.lookedAt ?? 0,
    schemaEtag: textAt(memo, 'schemaEtag') ?? null,
  };
}

/** The memo as JSON, with whatever others keep in it (the engine marks the hardware) left in place. */
export function writeMemo(last: ReportedDevice | undefined, memo: DeviceMemo): Readonly<Record<string, Json>> {
  const { steadySince: _steady, bootedAt: _booted, lookedAt: _looked, ...kept } = memo;
  return { ...last?.memo, ...(kept as unknown as Record<string, Json>) };
}

function readObject(value: Json | undefined): ReadObject | null {
  const [series, etag, crc, sha256] = [textAt(value, 'series'), textAt(value, 'etag'), textAt(value, 'crc'), textAt(value, 'sha256')];
  if (series === undefined || etag === undefined || crc === undefined || sha256 === undefined) return null;
  return { series, etag, crc, sha256, summary: readConnectSummary(at(value, 'summary')) };
}

function readSilence(value: Json): readonly { readonly at: Instant; readonly ms: number }[] {
  const [when, ms] = [numberAt(value, 'at'), numberAt(value, 'ms')];
  return when === undefined || ms === undefined ? [] : [{ at: when, ms }];
}

function readHashes(value: Json | undefined): DeviceFile['certificates'] {
  const kind = textAt(value, 'kind');
  if (kind !== 'sha1' && kind !== 'md5') return null;
  return { kind, hashes: listAt(value, 'hashes').filter((hash) => typeof hash === 'string') };
}

function readFile(value: Json | undefined): DeviceFile | null {
  const fields = objectOf(value);
  const [id, type, firmware, series] = [textAt(value, 'id'), textAt(value, 'type'), textAt(value, 'firmware'), textAt(value, 'series')];
  if (fields === undefined || id === undefined || type === undefined || firmware === undefined || series === undefined) return null;
  const [used, total] = [numberAt(value, 'space', 'used'), numberAt(value, 'space', 'total')];
  return {
    id,
    type,
    model: modelByType(type) ?? null,
    firmware,
    series,
    crc: textAt(value, 'crc') ?? null,
    kpub: textAt(value, 'kpub') ?? null,
    meta: textAt(value, 'meta') ?? null,
    space: used === undefined || total === undefined ? null : { used, total },
    lifespan: numberAt(value, 'lifespan') ?? null,
    certificates: readHashes(at(value, 'certificates')),
  };
}

import { canonicalJson, type Json } from '#kit/canonical.ts';
import { compareText } from '#kit/diagnostics.ts';
import { connectSummary, hasSealedFlag, markOf, protectedFields, type ConnectSummary, type SecretMarks } from './connect.ts';
import { at, textAt } from './json.ts';
import { modelByName } from './models.ts';

/**
 * What would leave a device without a way back: docs/protocols/canedge-s3.md §11. `code` is what `options: { allow: […] }`
 * says to let it through; null for what nothing lets through.
 */
export interface Guard {
  readonly code: GuardCode | null;
  readonly text: string;
}

/** F3, F4, and the ways of F2. The closed list that options.schema.json repeats. */
export const GUARD_CODES = [
  'ota-off',
  'heartbeat-off',
  'web-server',
  'endpoint',
  'credentials',
  'access-points',
  'apn',
  'pin',
  'restart-timer',
] as const;
export type GuardCode = (typeof GUARD_CODES)[number];

/** The guards that a device's options do not let through. */
export function standing(guards: readonly Guard[], allow: readonly string[]): readonly Guard[] {
  return guards.filter((guard) => guard.code === null || !allow.includes(guard.code));
}

/** What can be said of a config by itself, for a device of that model. */
export function ownGuards(document: Json, model: string): readonly Guard[] {
  return [...syncGuards(connectSummary(document)), ...linkGuards(document, model)];
}

function linkGuards(document: Json, model: string): readonly Guard[] {
  const summary = connectSummary(document);
  return [...serverGuards(document, summary), ...networkGuards(summary, modelByName(model)?.network), ...sealGuards(document)];
}

/** The summary of a config that a device of that model may run, with the flaws of its link. */
export function linkSummary(document: Json, model: string): ConnectSummary {
  return { ...connectSummary(document), flaws: linkGuards(document, model).map((guard) => guard.text) };
}

/** Leaves out what is no worse than what the device runs, and reports with. */
export function withoutFlawsOf(running: ConnectSummary | null, guards: readonly Guard[]): readonly Guard[] {
  return running === null ? guards : guards.filter((guard) => !running.flaws.includes(guard.text));
}

function syncGuards(summary: ConnectSummary): readonly Guard[] {
  return [
    guardIf(summary.ota === 0, 'ota-off', 'connect.s3.sync.ota is 0: the device would never look for a change again'),
    guardIf(summary.heartbeat === 0, 'heartbeat-off', 'connect.s3.sync.heartbeat is 0: the device would never report again'),
    guardIf(summary.protocol !== 0, 'web-server', `connect.protocol is ${summary.protocol}: the device would leave S3`),
  ].flat();
}

const SERVER_FIELDS = ['port', 'bucket', 'region', 'request_style', 'accesskey', 'keyformat', 'secretkey', 'signed_payload'] as const;

function serverGuards(document: Json, summary: ConnectSummary): readonly Guard[] {
  if (summary.endpoint === null || summary.endpoint === '') {
    return [{ code: 'endpoint', text: 'connect.s3.server.endpoint is not set: the device would reach no bucket' }];
  }
  const missing = SERVER_FIELDS.filter((name) => at(document, 'connect', 's3', 'server', name) === undefined);
  const text = `connect.s3.server has an endpoint without ${missing.join(', ')}`;
  return [
    ...guardIf(missing.length > 0, 'endpoint', text),
    ...guardIf(!/^https?:\/\/./.test(summary.endpoint), 'endpoint', 'connect.s3.server.endpoint begins with neither http:// nor https://'),
  ];
}

function networkGuards(summary: ConnectSummary, network: string | undefined): readonly Guard[] {
  if (network === 'wifi') {
    return guardIf(summary.ssids.length === 0, 'access-points', 'connect.wifi has no access point: the device would reach no network');
  }
  if (network !== 'cellular') return [];
  const apn = summary.apn ?? '';
  return [
    ...guardIf(apn.trim() === '', 'apn', 'connect.cellular.apn is blank'),
    ...guardIf(apn !== apn.trim(), 'apn', 'connect.cellular.apn begins or ends with a space'),
  ];
}

/** Encrypted flags need a key to decrypt with, and values that can be ciphertext (§8.3). */
function sealGuards(document: Json): readonly Guard[] {
  if (!hasSealedFlag(document)) return [];
  const key = textAt(document, 'general', 'security', 'kpub') ?? '';
  const notSealed = protectedFields(document).filter((field) => field.sealed && !looksSealed(field.text));
  return [
    ...(isKey(key) ? [] : [{ code: null, text: 'a keyformat says encrypted and general.security.kpub holds no public key of 64 bytes' }]),
    ...notSealed.map(({ path }) => ({ code: null, text: `${path} is marked as encrypted and is no ciphertext` })),
  ];
}

/** 64 raw bytes, not all zero, in base64: X and Y of a P-256 point (§8.2). */
export function isKey(base64: string): boolean {
  if (!/^[A-Za-z0-9+/]{86}==$/.test(base64)) return false;
  return Buffer.from(base64, 'base64').some((byte) => byte !== 0);
}

/** Base64 of a 16-byte vector and what follows it. */
function looksSealed(text: string): boolean {
  return /^[A-Za-z0-9+/]+={0,2}$/.test(text) && text.length % 4 === 0 && Buffer.from(text, 'base64').length >= 16;
}

/**
 * What can be said of a change: from what the device runs to the declared config. A device that would go to another
 * server, or that would know none of its networks any more, is not heard of again here.
 */
export function changeGuards(running: ConnectSummary, document: Json): readonly Guard[] {
  const next = connectSummary(document);
  const kept = next.ssids.filter((name) => running.ssids.includes(name));
  return [
    ...movedGuards(running, next),
    ...guardIf(
      running.ssids.length > 0 && next.ssids.length > 0 && kept.length === 0,
      'access-points',
      'connect.wifi: every access point that the device knows vanishes',
    ),
    ...guardIf(
      running.apn !== null && running.apn !== '' && next.apn !== null && running.apn !== next.apn,
      'apn',
      'connect.cellular.apn changes: nothing shows that the new one works',
    ),
    ...guardIf(
      running.restartHours !== null && running.restartHours > 0 && next.restartHours === 0,
      'restart-timer',
      'general.debug.restart_timer becomes 0: a device that hangs would never restart by itself',
    ),
    ...unsealedGuards(running, document),
  ];
}

function movedGuards(running: ConnectSummary, next: ConnectSummary): readonly Guard[] {
  if (running.endpoint === null) return [];
  const moved = (['endpoint', 'port', 'bucket', 'region'] as const)
    // A summary that was stored before it knew the region says nothing of it.
    .filter((name) => next[name] !== running[name] && next.endpoint !== null && (name !== 'region' || running.region !== null))
    .map((name) => ({
      code: 'endpoint' as const,
      text: `connect.s3.server.${name} changes from ${running[name] ?? 'nothing'} to ${next[name] ?? 'nothing'}: the device would report elsewhere`,
    }));
  const other = running.accesskey !== null && next.accesskey !== null && running.accesskey !== next.accesskey;
  return [
    ...moved,
    ...guardIf(other, 'credentials', 'connect.s3.server.accesskey changes: nothing shows that the bucket takes the new one'),
  ];
}

/** keyformat 1 → 0 with the ciphertext left in place: it would become the literal password (§8.3). */
function unsealedGuards(running: ConnectSummary, document: Json): readonly Guard[] {
  return protectedFields(document)
    .filter((field) => !field.sealed && running.sealed[field.path] !== undefined && running.sealed[field.path] === markOf(field.text))
    .map(({ path }) => ({ code: null, text: `${path} is no longer marked as encrypted and still holds the ciphertext` }));
}

/**
 * Flags that flip while the value stays (§8.3), in both directions. Needs both documents with their secrets, so only the
 * driver can ask it; the text names places only.
 */
export function flipGuards(running: Json, document: Json): readonly Guard[] {
  const before = new Map(protectedFields(running).map((field) => [field.path, field]));
  return protectedFields(document)
    .filter((field) => field.text !== '' && before.get(field.path)?.text === field.text && before.get(field.path)?.sealed !== field.sealed)
    .map(({ path }) => ({ code: null, text: `the keyformat of ${path} changes and its value does not` }))
    .toSorted((a, b) => compareText(a.text, b.text));
}

/**
 * Secrets that change in the clear (§11, F2): compared where both configs are at hand, and where neither is encrypted. What
 * is encrypted anew differs in every field, so nothing can be said of it.
 */
export function secretGuards(running: Json, document: Json): readonly Guard[] {
  const before = new Map(protectedFields(running).map((field) => [field.path, field]));
  const changed = protectedFields(document).filter(({ path, sealed, text }) => {
    const old = before.get(path);
    return old !== undefined && !old.sealed && !sealed && old.text !== text;
  });
  const paths = new Set(changed.map(({ path }) => path));
  const known = connectSummary(document).ssids.filter((name) => connectSummary(running).ssids.includes(name));
  return secretChanges((path) => paths.has(path), known);
}

/**
 * The same of secrets that we encrypt ourselves, by the marks of their plain texts. Without the marks of what runs (the
 * device has not yet been seen with a config of ours, or the render key is another one) nothing can be said.
 */
export function sealedSecretGuards(
  running: ConnectSummary | null,
  next: { readonly ssids: readonly string[]; readonly secrets: SecretMarks | null },
): readonly Guard[] {
  const [before, after] = [running?.secrets ?? null, next.secrets];
  if (running === null || before === null || after === null || before.key !== after.key) return [];
  const differs = (path: string): boolean => {
    const [old, now] = [before.marks[path], after.marks[path]];
    return old !== undefined && now !== undefined && old !== now;
  };
  const known = next.ssids.filter((name) => running.ssids.includes(name));
  return secretChanges(differs, known);
}

function secretChanges(differs: (path: string) => boolean, known: readonly string[]): readonly Guard[] {
  return [
    ...guardIf(
      differs('/connect/s3/server/secretkey'),
      'credentials',
      'connect.s3.server.secretkey changes: nothing shows that the bucket takes it',
    ),
    ...guardIf(differs('/connect/cellular/pin'), 'pin', 'connect.cellular.pin changes: a wrong one locks the SIM'),
    ...guardIf(
      known.length > 0 && known.every((name) => differs(`/connect/wifi/accesspoint/${name}/pwd`)),
      'access-points',
      'connect.wifi: every access point that the device knows gets another password',
    ),
  ];
}

/** Whether the change touches the way the device reaches its server: silence after it is a suspected lock-out. */
export function touchesLink(running: ConnectSummary | null, document: Json): boolean {
  if (running === null) return true;
  return canonicalJson({ ...running, flaws: [], secrets: null }) !== canonicalJson(connectSummary(document));
}

function guardIf(condition: boolean, code: GuardCode, text: string): readonly Guard[] {
  return condition ? [{ code, text }] : [];
}

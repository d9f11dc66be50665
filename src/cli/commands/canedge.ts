import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { DeclaredDevice } from '#model/declared.ts';
import { deviceId } from '#model/ids.ts';
import type { PassResult } from '#reconcile/report.ts';
import { changeText } from '#view/field-changes.ts';
import { configCrc, encryptConfig, inspectFile, kpubIn, readDocument, shownConfig } from '#world.ts';
import type { Inspection } from '#world.ts';
import type { CliContext } from '#cli/context.ts';
import { CliTrouble, jsonText, lookAt, outputs, resultOf, withFleet, withTroubles } from '#cli/fleet.ts';
import type { JsonFlags, LookFlags } from '#cli/flags.ts';

export interface CanedgeLookFlags extends LookFlags {
  readonly fresh: boolean;
}

export interface RenderFlags extends CanedgeLookFlags {
  readonly out?: string;
}

export interface EncryptFlags {
  readonly kpub?: string;
  readonly deviceJson?: string;
  readonly out?: string;
}

/** More than any firmware or bundle: a disk image was named by mistake. Bytes. */
const LARGEST_FILE = 128 * 1024 * 1024;

/** What a firmware image or a bundle of certificates holds. Exit 1 when it is neither. */
export function canedgeInspect(context: CliContext, flags: JsonFlags, path: string): Promise<void> {
  return withTroubles(context, async () => {
    const found = inspectFile(await bytesOf(context, path));
    const { out } = outputs(context);
    out(
      flags.json
        ? jsonText({ ...found, certificates: found.kind === 'bundle' ? found.certificates.map(withDates) : undefined })
        : inspectionText(found),
    );
    return found.kind === 'unknown' ? 1 : 0;
  });
}

function withDates<Certificate extends { readonly notBefore: number; readonly notAfter: number }>(certificate: Certificate) {
  return { ...certificate, notBefore: dayOf(certificate.notBefore), notAfter: dayOf(certificate.notAfter) };
}

function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}

function inspectionText(found: Inspection): string {
  const { size, crc32, sha256 } = found.file;
  const file = [`  size     ${size} bytes`, `  crc32    ${crc32}`, `  sha256   ${sha256}`];
  if (found.kind === 'unknown') return [`neither a firmware nor certificates: ${found.why}`, ...file].join('\n');
  if (found.kind === 'firmware') {
    const config =
      found.configProblems.length === 0 ? 'as its schema wants it' : `refused by its own schema: ${found.configProblems.join('; ')}`;
    return [
      `firmware ${found.version} for a ${found.model} (type ${found.type}, config series ${found.series})`,
      ...file,
      `  schema   ${found.schemaBytes} bytes, ${found.schemaProblem === null ? 'usable' : `not usable: ${found.schemaProblem}`}`,
      `  config   ${found.configBytes} bytes, ${config}`,
    ].join('\n');
  }
  const { wifi, cellular } = found.problems;
  return [
    `${found.certificates.length} certificate${found.certificates.length === 1 ? '' : 's'}`,
    ...file,
    ...found.certificates.flatMap(({ name, notBefore, notAfter, hashes }) => [
      `  ${name}   ${dayOf(notBefore)} to ${dayOf(notAfter)}`,
      `    sha1         ${hashes.sha1}`,
      `    md5          ${hashes.md5}`,
      `    subject sha1 ${hashes.subjectSha1}`,
    ]),
    ...(wifi === null ? [] : [`  not for a CANedge2: ${wifi}`]),
    ...(cellular === null || cellular === wifi ? [] : [`  not for a CANedge3: ${cellular}`]),
  ].join('\n');
}

/** The config that git declares for a device, complete. On standard output without its secrets; `--out` takes the exact bytes. */
export function canedgeRender(context: CliContext, flags: RenderFlags, name: string): Promise<void> {
  return withFleet(context, flags, async (fleet) => {
    const result = await resultOf(fleet, await lookAt(fleet, flags), flags.ref);
    const item = vehicleIn(result, name).items.find((one) => one.item === 'config');
    if (item === undefined) throw new CliTrouble('NO_CONFIG', `no config is declared for ${name}`);
    const { content } = item;
    if (content?.kind !== 'bytes') {
      const held = result.plan.devices.find(({ device }) => device === deviceId(name))?.impossible.find((one) => one.item === 'config');
      throw new CliTrouble(held?.reason ?? 'NOT_KNOWN', held?.evidence ?? item.impossible?.evidence ?? 'its bytes are not known here');
    }
    const facts = { device: name, value: item.value, crc32: configCrc(content.bytes), size: content.size, sha256: content.digest };
    if (flags.out !== undefined) await writeFile(resolve(context.cli.cwd, flags.out), content.bytes, { mode: 0o600 });
    const shown = shownConfig(content.bytes) ?? '';
    fleet.note(`${content.name}  CRC-32 ${facts.crc32}  ${facts.size} bytes${flags.out === undefined ? '' : `  written to ${flags.out}`}`);
    fleet.out(flags.json ? jsonText({ ...facts, shown: readDocument(new TextEncoder().encode(shown)) }) : shown);
    return 0;
  });
}

/** The fields in which the config that a device runs differs from the declared one. Exit 2 when any does. */
export function canedgeDiff(context: CliContext, flags: CanedgeLookFlags, name: string): Promise<void> {
  return withFleet(context, flags, async (fleet) => {
    const result = await resultOf(fleet, await lookAt(fleet, flags), flags.ref);
    vehicleIn(result, name);
    const planned = result.plan.devices.find(({ device }) => device === deviceId(name));
    const drift = planned?.drifts.find(({ item }) => item === 'config') ?? null;
    const held = planned?.impossible.find(({ item }) => item === 'config' || item === null) ?? null;
    const value = { device: name, differs: drift !== null, drift, held };
    fleet.out(flags.json ? jsonText(value) : diffText(value));
    return drift === null && held === null ? 0 : 2;
  });
}

type Drift = PassResult['plan']['devices'][number]['drifts'][number];
type Held = PassResult['plan']['devices'][number]['impossible'][number];

function diffText({ device, drift, held }: { readonly device: string; readonly drift: Drift | null; readonly held: Held | null }): string {
  const why = held === null ? [] : [`  held: ${held.reason} ${held.evidence}`];
  if (drift === null) return [`${device}: no difference is known`, ...why].join('\n');
  const fields = (drift.fields ?? []).map((field) => `  ${field.path}  ${changeText(field)}`);
  const unknown = fields.length === 0 ? ['  which fields differ is not known: try --fresh'] : [];
  return [`${device}: ${drift.from ?? 'not reported'} → ${drift.to}`, ...fields, ...unknown, ...why].join('\n');
}

function vehicleIn(result: PassResult, name: string): DeclaredDevice {
  const row = result.declared.rowOf(deviceId(name));
  if (row === undefined) throw new CliTrouble('NO_SUCH_DEVICE', `no device has the id ${name}: see \`headgate devices\``);
  const device = result.declared.deviceAt(row);
  if (device.family !== 'canedge') throw new CliTrouble('OTHER_FAMILY', `${name} is a device of the family ${device.family}`);
  return device;
}

/** A config with plain secrets, from a file or standard input, encrypted to one device: its exact bytes. */
export function canedgeEncrypt(context: CliContext, flags: EncryptFlags, path?: string): Promise<void> {
  return withTroubles(context, async () => {
    const kpub = await deviceKey(context, flags);
    const given = path === undefined ? ((await context.cli.input?.()) ?? new Uint8Array()) : await bytesOf(context, path);
    const document = readDocument(given);
    if (document === undefined) throw new CliTrouble('NOT_JSON', 'the config is not JSON in UTF-8');
    const encrypted = encryptConfig(document, { kpub, random: randomBytes(48) });
    if (!encrypted.ok) throw new CliTrouble('NOT_ENCRYPTED', encrypted.error);
    const { bytes, fields } = encrypted.value;
    const { note } = outputs(context);
    note(`encrypted: ${fields.join(', ')}`);
    note(`CRC-32 ${configCrc(bytes)}  ${bytes.length} bytes`);
    if (flags.out === undefined) context.process.stdout.write(new TextDecoder().decode(bytes));
    else await writeFile(resolve(context.cli.cwd, flags.out), bytes);
    return 0;
  });
}

async function deviceKey(context: CliContext, { kpub, deviceJson }: EncryptFlags): Promise<string> {
  if ((kpub === undefined) === (deviceJson === undefined))
    throw new CliTrouble('NO_KEY', 'say --kpub KEY or --device-json FILE, for whom it is');
  if (kpub !== undefined) return kpub;
  const found = kpubIn(await bytesOf(context, deviceJson ?? ''));
  if (typeof found === 'string') throw new CliTrouble('NO_KEY', found);
  return found.kpub;
}

async function bytesOf({ cli }: CliContext, path: string): Promise<Uint8Array> {
  const bytes = await readFile(resolve(cli.cwd, path)).catch(() => {
    throw new CliTrouble('NOT_FOUND', `cannot read ${path}`);
  });
  if (bytes.length > LARGEST_FILE) throw new CliTrouble('TOO_LARGE', `${path} has ${bytes.length} bytes, more than any file of a CANedge`);
  return bytes;
}

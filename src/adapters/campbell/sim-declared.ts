import type { Json } from '#kit/canonical.ts';
import { parseDuration } from '#kit/duration.ts';
import type { DeclaredDevice } from '#model/declared.ts';
import type { ItemName } from '#model/item.ts';
import type { LoggerKeys } from './certificates.ts';
import { filesFacts } from './files.ts';
import { settingsFacts } from './settings.ts';
import { rootEntries, trustFacts } from './trust.ts';
import type { CampbellSimOptions } from './sim-options.ts';

/**
 * The hardware of a declared logger, carrying what is declared. `written` says what it has instead: `firmware` as the
 * logger reports it, `dialect`, `battery`, `will=off` for one that goes without a word, `nothing=program` for one without
 * a program, and `files` and `settings` that nobody declared (`files=old.CR1X,notes.txt`, `settings=PakBusAddress:3`). A file
 * whose name begins with `default.` or `always.` compiles.
 */
export function declaredLogger(device: DeclaredDevice, written: Readonly<Record<string, string>>): CampbellSimOptions {
  const program = device.items.find((item) => item.item === 'program');
  const firmware = device.items.find((item) => item.item === 'firmware');
  const { baseTopic } = device.options;
  return {
    id: device.id,
    model: device.model,
    serial: device.serial ?? device.id,
    address: device.address ?? `${device.model.toLowerCase()}/${device.serial}`,
    ...(typeof baseTopic === 'string' ? { baseTopic } : {}),
    dialect: dialectOf(written['dialect'] ?? device.options['dialect']),
    ...interval('stateIntervalMs', device.options['stateInterval']),
    ...interval('statusIntervalMs', device.options['statusInterval']),
    os: written['firmware'] ?? firmware?.value.replace(' ', '.') ?? `${device.model}.1.0.0`,
    program: program?.content?.kind === 'bytes' && written['nothing'] !== 'program' ? storedAs(program.value, program.content.bytes) : null,
    ...(written['battery'] === undefined ? {} : { battery: Number(written['battery']) }),
    ...(written['will'] === 'off' ? { will: false } : {}),
    files: filesOn(device, written['files'] ?? ''),
    settings: { ...settingsFacts(factsOf(device, 'settings'))?.settings, ...settingsIn(written['settings'] ?? '') },
    ...keysOf(device),
  };
}

function storedAs(value: string, bytes: Uint8Array): CampbellSimOptions['program'] {
  return { name: value.slice(value.indexOf(':') + 1), bytes };
}

/** Hardware that carries what is declared shows its broker the declared certificate, and trusts the declared roots. */
function keysOf(device: DeclaredDevice): Partial<CampbellSimOptions> {
  const secret = device.items.find((item) => item.item === 'identity')?.secret;
  const trust = trustFacts(device.items.find((item) => item.item === 'trust'));
  if (secret === undefined && trust === null) return {};
  const { certificate, key } = (secret?.reveal() ?? {}) as Partial<LoggerKeys>;
  const own = certificate === undefined || key === undefined ? {} : { cert: certificate, key };
  const ca = trust === null ? undefined : rootEntries(trust)[0]?.value;
  return { keys: { ...own, ...(ca === undefined ? {} : { ca }) } };
}

function factsOf(device: DeclaredDevice, item: ItemName): Json {
  return device.items.find((one) => one.item === item)?.facts ?? null;
}

/** Of files of which only the name is known, the name is the text. */
function filesOn(device: DeclaredDevice, written: string): Readonly<Record<string, Uint8Array>> {
  const content = device.items.find((one) => one.item === 'files')?.content;
  const declared = Object.keys(filesFacts(factsOf(device, 'files'))?.files ?? {});
  const names = [...declared, ...written.split(',').filter((name) => name !== '')];
  const own = content?.kind === 'bytes' ? { [content.name]: content.bytes } : {};
  return { ...Object.fromEntries(names.map((name) => [name, new TextEncoder().encode(textOf(name))])), ...own };
}

function textOf(name: string): string {
  return /^(default|always)\./i.test(name) ? `'${name}\nBeginProg\nEndProg\n` : name;
}

function settingsIn(written: string): Readonly<Record<string, string>> {
  const pairs = written.split(',').filter((pair) => pair.includes(':'));
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf(':')), pair.slice(pair.indexOf(':') + 1)]));
}

function dialectOf(written: unknown): 'legacy' | 'os80' | 'v2' {
  return written === 'legacy' || written === 'v2' ? written : 'os80';
}

/** The options of a device say how its hardware is set up; what they leave out the hardware has by default. */
function interval(name: 'stateIntervalMs' | 'statusIntervalMs', declared: unknown): Partial<CampbellSimOptions> {
  const ms = typeof declared === 'string' ? parseDuration(declared) : undefined;
  return ms === undefined ? {} : { [name]: ms };
}

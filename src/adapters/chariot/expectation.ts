import type { Json } from '#kit/canonical.ts';
import { err, ok, type Result } from '#kit/result.ts';
import type { Content } from '#model/declared.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import type { DeviceFacts, ExpectedItem, FamilyProblem, PinnedItem } from '#ports/family.ts';
import { filledText, jsonIn, problem, renderedContent } from '#shadows/content.ts';
import { textAt } from '#shadows/values.ts';
import { expectedIdentity } from './identity.ts';
import { chariotOptions, ownKeys, type ChariotOptions, type InstalledKey } from './options.ts';
import { sizeProblem, valueProblem } from './values.ts';
import { documentValue, NO_NUMBERS } from './wire.ts';

/** What a declared item says to the driver: what goes into the mailbox, apart from URLs and documents. */
export interface ItemWrites {
  readonly key: string;
  /** Texts by name, filled in. Of a config with `running` the digest that the device repeats. */
  readonly leaves: Readonly<Record<string, string | number>>;
  /** Texts by name in which `{url}` is filled in right before they are sent. */
  readonly urls: Readonly<Record<string, string>>;
}

/** What the device must report, and what is written to bring it there. */
export function expectationOf(device: DeviceFacts, pin: PinnedItem): Result<ExpectedItem, FamilyProblem> {
  const options = chariotOptions(device.options);
  if (pin.item === 'identity') return expectedIdentity(device, pin);
  if (pin.item !== 'firmware' && pin.item !== 'program' && pin.item !== 'config')
    return problem('UNKNOWN_ITEM', `a device of family chariot carries no ${pin.item}`, 'pin firmware, program or config');
  if (pin.content === null)
    return problem('CONTENT_MISSING', `the ${pin.item} of ${device.id} has no content`, 'pin an artifact or a file');
  if (pin.item === 'config') return expectedConfig(device, pin, { options, content: pin.content });
  return expectedInstalled(device, pin, { service: options[pin.item], options, content: pin.content });
}

interface InstalledPin {
  readonly service: InstalledKey;
  readonly options: ChariotOptions;
  readonly content: Content;
}

function expectedInstalled(
  device: DeviceFacts,
  pin: PinnedItem,
  { service, options, content }: InstalledPin,
): Result<ExpectedItem, FamilyProblem> {
  const what = `the ${pin.item} of ${device.id}`;
  const version = pin.artifact?.version ?? `sha256:${content.digest.slice(0, 16)}`;
  const value = pin.artifact?.reportsAs ?? version;
  const text = textAt(value, NO_NUMBERS);
  if (!text.ok) return problem('BAD_VERSION', `the version of ${what} ${text.error}`, 'give a shorter reportsAs:');
  const leaves: Record<string, string | number> = {};
  const urls: Record<string, string> = {};
  for (const [name, template] of service.write) {
    if (template === '{size}' && content.size === null)
      return problem(
        'SIZE_UNKNOWN',
        `${what} is written with its {size}, and nothing says it`,
        'give the artifact a size:, or leave {size} out',
      );
    const filled = filledText(template, { version: value, content });
    if (filled.includes('{url}')) urls[name] = filled;
    else leaves[name] = template === '{size}' ? (content.size ?? 0) : filled;
  }
  // The device's own key is read back from the same file: what the file would change there can never be reported.
  const whole = { ...leaves, [service.running]: value, ...likelyUrls(urls, content) };
  const wrong = valueProblem(what, whole, { format: service.format, arrays: false, emptyArrayDeletes: options.emptyArrayDeletes });
  if (wrong !== null) return err(wrong);
  const writes: ItemWrites = { key: service.key, leaves, urls };
  return ok({ value, version, facts: writes as unknown as Json, content });
}

/** A URL ends with the name of the file: that is the one part of it that is known before it is made. */
function likelyUrls(urls: Readonly<Record<string, string>>, { name }: Content): Readonly<Record<string, string>> {
  const url = `https://host/${encodeURIComponent(name)}`;
  return Object.fromEntries(Object.entries(urls).map(([key, template]) => [key, template.replaceAll('{url}', () => url)]));
}

interface ConfigPin {
  readonly options: ChariotOptions;
  readonly content: Content;
}

function expectedConfig(
  device: DeviceFacts,
  pin: PinnedItem,
  { options, content: pinned }: ConfigPin,
): Result<ExpectedItem, FamilyProblem> {
  const service = options.config;
  const what = `the config of ${device.id}`;
  const document = pin.document ?? (pinned.kind === 'bytes' ? parsed(pinned.bytes, service.format) : undefined);
  if (document === undefined)
    return problem('NOT_A_DOCUMENT', `${what} is no ${service.format} that lies in the repo`, 'pin a file of the repo, or layers');
  const rules = { format: service.format, arrays: service.shell === 'bash', emptyArrayDeletes: options.emptyArrayDeletes };
  const content = renderedContent(pinned.name, document);
  const value = documentValue(document);
  const own = Object.fromEntries(ownKeys(service).map((name) => [name, value]));
  const wrong =
    valueProblem(what, document, rules) ??
    ownKeyProblem(what, document, ownKeys(service)) ??
    ownKeysProblem(what, own, rules) ??
    sizeProblem(what, document, options);
  if (wrong !== null) return err(wrong);
  const leaves = service.running === null ? {} : { [service.want]: value };
  const version = pin.artifact?.version ?? `sha256:${content.digest.slice(0, 16)}`;
  const writes: ItemWrites = { key: service.key, leaves, urls: {} };
  return ok({ value, version, facts: writes as unknown as Json, content });
}

function ownKeyProblem(what: string, document: Json, own: readonly string[]): FamilyProblem | null {
  const found = isJsonObject(document) ? own.find((name) => document[name] !== undefined) : undefined;
  if (found === undefined) return null;
  return {
    code: 'KEY_TAKEN',
    summary: `${what} has the key ${found}, which the device and Headgate write`,
    fix: 'call one of them otherwise',
  };
}

/** The device's own keys lie in the same file: there must be a place for them, and they must come back as they are. */
function ownKeysProblem(what: string, own: JsonObject, rules: Parameters<typeof valueProblem>[2]): FamilyProblem | null {
  if (Object.keys(own).length === 0) return null;
  if (rules.format !== 'PLAINTEXT') return valueProblem(what, own, rules);
  const summary = `${what} is a text, in which there is no place for the digest that the device repeats`;
  return { code: 'PLAINTEXT_VALUE', summary, fix: 'leave running out, or let the service be JSON or SHELL' };
}

function parsed(bytes: Uint8Array, format: string): Json | undefined {
  if (format !== 'PLAINTEXT') return jsonIn(bytes);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** The writes of a declared item or of an operation; null for what another family or version wrote. */
export function readWrites(facts: Json): ItemWrites | null {
  if (!isJsonObject(facts) || typeof facts['key'] !== 'string' || !isJsonObject(facts['leaves']) || !isJsonObject(facts['urls']))
    return null;
  return facts as unknown as ItemWrites;
}

import type { Json } from '#kit/canonical.ts';
import { err, ok, type Result } from '#kit/result.ts';
import type { Content } from '#model/declared.ts';
import { isJsonObject } from '#model/shadow.ts';
import type { DeviceFacts, ExpectedItem, FamilyProblem, PinnedItem } from '#ports/family.ts';
import { filledText, jsonIn, problem, renderedContent } from '#shadows/content.ts';
import { documentDigest, textAt } from '#shadows/values.ts';
import { mappedOptions, type ItemMapping } from './options.ts';
import { membersOf, readWrites, settingsText, settingText, settingValue, type Write } from './values.ts';

/** What a service cannot keep. */
export interface Keeping {
  /** Of the family. */
  readonly name: string;
  /** Why it cannot keep this config where the mapping says; null where it can. */
  documentProblem(device: DeviceFacts, document: Json | undefined, mapping: ItemMapping): FamilyProblem | null;
  /** The same for a single value that is written. Left out: it keeps any. */
  valueProblem?(device: DeviceFacts, write: Write): FamilyProblem | null;
}

/** What the device must report, and what is written to bring it there. */
export function mappedExpectation(keeping: Keeping, device: DeviceFacts, pin: PinnedItem): Result<ExpectedItem, FamilyProblem> {
  const expected = expectedItem(keeping, device, pin);
  if (!expected.ok || keeping.valueProblem === undefined) return expected;
  const writes = readWrites(isJsonObject(expected.value.facts) ? expected.value.facts['writes'] : undefined) ?? [];
  const flaws = writes.flatMap((write) => keeping.valueProblem?.(device, write) ?? []);
  const [first] = flaws;
  return first === undefined ? expected : err(first);
}

function expectedItem(keeping: Keeping, device: DeviceFacts, pin: PinnedItem): Result<ExpectedItem, FamilyProblem> {
  if (pin.item === 'settings') return expectedSettings(device, pin);
  const options = mappedOptions(device.options);
  const mapping = pin.item === 'firmware' ? options.firmware : pin.item === 'config' ? options.config : null;
  if (pin.item !== 'firmware' && pin.item !== 'config')
    return problem(
      'UNKNOWN_ITEM',
      `a device of family ${keeping.name} carries no ${pin.item}`,
      'pin firmware or config, or declare settings',
    );
  if (mapping === null)
    return problem(
      'NOT_MAPPED',
      `nothing says where ${device.id} reports its ${pin.item}`,
      `add options: { ${pin.item}: { reported: /… } }`,
    );
  if (pin.content === null)
    return problem('CONTENT_MISSING', `the ${pin.item} of ${device.id} has no content`, 'pin an artifact or a file');
  return pin.item === 'firmware'
    ? expectedFirmware(mapping, pin, pin.content)
    : expectedConfig(keeping, { device, pin }, { mapping, content: pin.content });
}

function expectedFirmware(mapping: ItemMapping, pin: PinnedItem, content: Content): Result<ExpectedItem, FamilyProblem> {
  if (pin.artifact === null)
    return problem('CONTENT_MISSING', 'a firmware is pinned as an artifact', 'write name@version of a kind: Artifact');
  const value = pin.artifact.reportsAs ?? pin.artifact.version;
  const text = textAt(value);
  if (!text.ok) return problem('BAD_VERSION', `the version ${text.error}`, 'give a shorter reportsAs:');
  const writes = mapping.desired.map(([pointer, template]) => writeOf(pointer, template, { version: value, content, digest: '' }));
  if (writes.some(({ kind }) => kind === 'document'))
    return problem('BAD_TEMPLATE', 'a firmware is no {document}', 'write {version}, {url}, {sha256}, {size} or {name}');
  return ok({ value, version: pin.artifact.version, facts: { writes }, content });
}

interface Filling {
  readonly version: string;
  readonly content: Content;
  /** Of the document, where there is one. */
  readonly digest: string;
}

function writeOf(pointer: string, template: string, from: Filling): Write {
  if (template === '{document}') return { pointer, kind: 'document', digest: from.digest };
  if (template === '{size}') return { pointer, kind: 'value', value: from.content.size };
  const filled = filledText(template, from);
  return filled.includes('{url}') ? { pointer, kind: 'url', template: filled } : { pointer, kind: 'value', value: filled };
}

interface ConfigPin {
  readonly mapping: ItemMapping;
  readonly content: Content;
}

function expectedConfig(
  keeping: Keeping,
  { device, pin }: { readonly device: DeviceFacts; readonly pin: PinnedItem },
  { mapping, content: pinned }: ConfigPin,
): Result<ExpectedItem, FamilyProblem> {
  const isFile = pin.document === null;
  const wants = mapping.reports === 'document' || mapping.desired.some(([, template]) => template === '{document}');
  if (wants && isFile && pinned.kind !== 'bytes')
    return problem(
      'NOT_A_DOCUMENT',
      `the config of ${device.id} is written as a document and does not lie in the repo`,
      'pin a file of the repo, or layers',
    );
  const document = isFile && pinned.kind === 'bytes' ? jsonIn(pinned.bytes) : pin.document;
  if (wants) {
    const wrong = keeping.documentProblem(device, document, mapping);
    if (wrong !== null) return err(wrong);
  }
  const content = isFile ? pinned : renderedContent(pinned.name, document ?? null);
  const version = pin.artifact?.version ?? `sha256:${content.digest.slice(0, 16)}`;
  const value =
    mapping.reports === 'sha256'
      ? content.digest
      : mapping.reports === 'version'
        ? (pin.artifact?.reportsAs ?? version)
        : documentDigest(document ?? null);
  const filling: Filling = { version: pin.artifact?.reportsAs ?? version, content, digest: documentDigest(document ?? null) };
  const writes = mapping.desired.map(([pointer, template]) => writeOf(pointer, template, filling));
  if (mapping.reports === 'version' && pin.artifact === null)
    return problem('NO_VERSION', `${device.id} reports its config as a version, and the config has none`, 'pin it as a kind: Artifact');
  return ok({ value, version, facts: { writes, ...(wants ? { members: membersOf(document) } : {}) }, content });
}

function expectedSettings(device: DeviceFacts, pin: PinnedItem): Result<ExpectedItem, FamilyProblem> {
  const { settings } = mappedOptions(device.options);
  const declared = isJsonObject(pin.document) ? Object.entries(pin.document) : [];
  const writes: Write[] = [];
  const values = new Map<string, string | null>();
  for (const [name, text] of declared) {
    const mapping = settings.get(name);
    if (mapping === undefined)
      return problem(
        'NOT_MAPPED',
        `nothing says where ${device.id} has the setting ${name}`,
        `add options: { settings: { ${name}: { reported: /… } } }`,
      );
    const value = settingValue(mapping, text ?? null);
    if (!value.ok) return problem('SETTING_VALUE', `setting ${name} of ${device.id} ${value.error}`, `write a ${mapping.type}`);
    writes.push({ pointer: mapping.desired, kind: 'value', value: value.value });
    values.set(name, settingText(value.value));
  }
  const facts = { writes, settings: Object.fromEntries(values) } as unknown as Json;
  return ok({ value: settingsText(values), version: `${values.size} setting${values.size === 1 ? '' : 's'}`, facts, content: null });
}

import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import type { DeviceFacts, Family, FamilyProblem } from '#ports/family.ts';
import { MEASURES, unknownFilling } from '#shadows/content.ts';
import { thingOf } from '#shadows/values.ts';
import { confirmationOf } from './confirm.ts';
import { expectationOf, readWrites } from './expectation.ts';
import { identityKey } from './identity.ts';
import { lostAfterMs, operationsFor, withdrawalOf } from './operations.ts';
import optionsSchema from './options.schema.json' with { type: 'json' };
import { CHARIOT_ITEMS, chariotOptions } from './options.ts';
import { REASONS_OF_FAILURE } from './reasons.ts';
import { isToldSince } from './reports.ts';
import { identityAgrees, provesIdentity } from './rotation.ts';
import { compareVersions } from '#kit/versions.ts';

/** Linux gateways whose chariotd turns keys of the classic shadow into files and commands: readme.md. */
export const chariotFamily: Family = {
  name: 'chariot',
  items: [...CHARIOT_ITEMS, 'identity'],
  measures: MEASURES,
  optionsSchema,
  settingsSchema: null,
  connections: ['aws-iot', 'mqtt'],
  models: [],
  lint,
  series: () => null,
  compareVersions,
  expectation: expectationOf,
  agrees: (declared, reported) => (declared.item === 'identity' ? identityAgrees(declared, reported) : declared.value === reported.value),
  contradicts: isToldOtherwise,
  proves,
  credentials,
  operations: operationsFor,
  confirm: confirmationOf,
  withdrawal: withdrawalOf,
  lostAfterMs,
  attention: null,
  reasons: REASONS_OF_FAILURE,
};

/** The device was told something else after it last said that it runs this: perhaps it runs that, and could not say so. */
function isToldOtherwise(declared: DeclaredItem, reported: Extract<ReportedItem, { kind: 'value' }>): boolean {
  if (declared.item !== 'firmware' && declared.item !== 'program') return false;
  const writes = readWrites(declared.facts);
  return writes !== null && isToldSince(reported, writes.leaves);
}

/** Of an identity what its broker saw; of all else a report of known age. */
function proves(declared: DeclaredItem, reported: ReportedDevice): boolean {
  if (declared.item === 'identity') return provesIdentity(declared, reported);
  const value = reported.items[declared.item];
  return value?.kind === 'value' && value.madeNotBefore !== null && value.value === declared.value && !isToldOtherwise(declared, value);
}

/** Every gateway connects by client certificates, which are attached to its thing (docs/protocols/shadow-devices.md §2.2). */
function credentials(device: DeclaredDevice, _items: readonly DeclaredItem[], replaced: boolean): readonly string[] {
  const thing = thingOf(device);
  return [replaced ? `the certificates of the thing ${thing} that the box before had` : `all certificates of the thing ${thing}`];
}

/** Its client tokens are `UPDATE:` and the thing, of 64 bytes at most: a longer name makes every update fail (§2.12 F12). */
const LONGEST_THING = 57;

const FILLINGS = ['version', 'url', 'sha256', 'size', 'name'];

function templateMistake(texts: readonly string[]): { readonly what: string; readonly fix: string } | null {
  const unknown = texts.map((text) => unknownFilling(text, FILLINGS)).find((word) => word !== null);
  if (unknown != null)
    return { what: `has {${unknown}}, which means nothing`, fix: `write one of ${FILLINGS.map((word) => `{${word}}`).join(', ')}` };
  if (texts.some((text) => /\{(version|url|sha256|name)\}/.test(text))) return null;
  return { what: 'is the same whatever is declared', fix: 'write {version}, {url} or {sha256} into one of its texts' };
}

function lint(device: DeviceFacts): readonly FamilyProblem[] {
  const options = chariotOptions(device.options);
  const problems: FamilyProblem[] = [];
  const thing = thingOf(device);
  if (!/^[a-zA-Z0-9:_-]+$/.test(thing)) {
    const summary = `${JSON.stringify(thing)} of device ${device.id} is no name of a thing`;
    problems.push({ code: 'CHARIOT_THING', summary, fix: 'give address: the name of the thing, of letters, digits, : _ -' });
  }
  if (Buffer.byteLength(thing) > LONGEST_THING) {
    const summary = `the thing ${thing} has ${Buffer.byteLength(thing)} bytes, and chariotd cannot update a shadow beyond ${LONGEST_THING}`;
    problems.push({ code: 'CHARIOT_THING_LONG', summary, fix: 'register the device under a shorter name' });
  }
  const certificates = device.options['identity'] === undefined ? [] : [identityKey(device.options).key];
  const keys = [...CHARIOT_ITEMS.map((item) => options[item].key), ...certificates, ...(options.agent === null ? [] : [options.agent])];
  const twice = keys.find((key, index) => keys.indexOf(key) < index);
  if (twice !== undefined) {
    const summary = `two services of device ${device.id} have the key ${twice}`;
    problems.push({ code: 'CHARIOT_KEY', summary, fix: 'give each service a key of its own' });
  }
  for (const item of ['firmware', 'program'] as const) {
    const { write, running, state } = options[item];
    const own = write.find(([name]) => name === running || name === state)?.[0];
    if (own !== undefined) {
      const summary = `${own} of the ${item} of device ${device.id} is the device's own key, and options write it`;
      problems.push({ code: 'CHARIOT_OWN_KEY', summary, fix: 'what runs is said by the device alone: write want' });
    }
    const template = templateMistake(write.map(([, text]) => text));
    if (template === null) continue;
    problems.push({
      code: 'CHARIOT_TEMPLATE',
      summary: `what is written for the ${item} of device ${device.id} ${template.what}`,
      fix: template.fix,
    });
  }
  return problems;
}

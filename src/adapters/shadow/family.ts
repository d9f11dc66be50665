import type { DeclaredItem } from '#model/declared.ts';
import type { FieldChange } from '#model/plan.ts';
import type { DifferenceContext, DeviceFacts, Family, FamilyProblem } from '#ports/family.ts';
import { MEASURES } from '#shadows/content.ts';
import { thingOf } from '#shadows/values.ts';
import { confirmationOf } from './confirm.ts';
import { expectationOf } from './expectation.ts';
import { lostAfterMs, operationsFor, withdrawalOf } from './operations.ts';
import optionsSchema from './options.schema.json' with { type: 'json' };
import { shadowOptions, type ShadowOptions } from './options.ts';
import { REASONS_OF_FAILURE } from './reasons.ts';
import { declaredSettings, itemFacts } from './reports.ts';
import { compareVersions } from '#kit/versions.ts';

/** Devices that keep a shadow by a mapping of the group's own: readme.md. */
export const shadowFamily: Family = {
  name: 'shadow',
  items: ['firmware', 'config', 'settings'],
  measures: MEASURES,
  optionsSchema,
  settingsSchema: null,
  models: [],
  lint,
  series: () => null,
  compareVersions,
  expectation: expectationOf,
  agrees: (declared, reported) => declared.value === reported.value,
  differences,
  operations: operationsFor,
  confirm: confirmationOf,
  withdrawal: withdrawalOf,
  lostAfterMs,
  attention: null,
  reasons: REASONS_OF_FAILURE,
};

/** Names as AWS takes them (docs/protocols/aws-iot.md §5.1). */
const THING = /^[a-zA-Z0-9:_-]{1,128}$/;

function lint(device: DeviceFacts): readonly FamilyProblem[] {
  const options = shadowOptions(device.options);
  const problems: FamilyProblem[] = [];
  const thing = thingOf(device);
  if (!THING.test(thing)) {
    const summary = `${JSON.stringify(thing)} of device ${device.id} is no name of a thing`;
    problems.push({ code: 'SHADOW_THING', summary, fix: 'give address: the name of the thing, of letters, digits, : _ -' });
  }
  if (options.firmware === null && options.config === null && options.settings.size === 0) {
    const summary = `nothing says what device ${device.id} reports, nor where`;
    problems.push({ code: 'NOT_MAPPED', summary, fix: 'map firmware, config or settings in options:' });
  }
  const clash = clashIn(desiredOf(options));
  if (clash !== null) {
    const summary = `desired${clash[0]} and desired${clash[1]} of device ${device.id} lie within each other`;
    problems.push({ code: 'SHADOW_OVERLAP', summary, fix: 'give each item keys of its own: one would overwrite the other' });
  }
  for (const [item, mapping] of Object.entries({ firmware: options.firmware, config: options.config })) {
    if (mapping === null || mapping.desired.some(([, template]) => /\{(version|url|sha256|document|name)\}/.test(template))) continue;
    const summary = `what is written for the ${item} of device ${device.id} is the same whatever is declared`;
    problems.push({ code: 'SHADOW_TEMPLATE', summary, fix: 'write {version}, {url}, {sha256} or {document} into one of its texts' });
  }
  return problems;
}

function desiredOf({ firmware, config, settings }: ShadowOptions): readonly string[] {
  return [
    ...[firmware, config].flatMap((mapping) => mapping?.desired.map(([pointer]) => pointer) ?? []),
    ...[...settings.values()].map(({ desired }) => desired),
  ];
}

/** Two pointers of which one is the other, or leads into it. */
function clashIn(pointers: readonly string[]): readonly [string, string] | null {
  const sorted = pointers.map((pointer) => `${pointer}/`).toSorted();
  const at = sorted.findIndex((pointer, index) => index > 0 && pointer.startsWith(sorted[index - 1] ?? ' '));
  return at < 0 ? null : [(sorted[at - 1] ?? '').slice(0, -1), (sorted[at] ?? '').slice(0, -1)];
}

/** Of settings each that differs. */
function differences(declared: DeclaredItem, { reported }: DifferenceContext): readonly FieldChange[] | null {
  if (declared.item !== 'settings') return null;
  const said = itemFacts(reported)?.settings ?? {};
  return Object.entries(declaredSettings(declared.facts)).flatMap(([name, to]) => {
    const from = said[name]?.text ?? null;
    return from === to ? [] : [{ path: name, from, to }];
  });
}

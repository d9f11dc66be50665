import type { DeclaredItem } from '#model/declared.ts';
import type { FieldChange } from '#model/plan.ts';
import type { DeviceFacts, DifferenceContext, FamilyProblem } from '#ports/family.ts';
import { unknownFilling } from '#shadows/content.ts';
import { declaredSettings } from './declared-settings.ts';
import { mappedOptions, type MappedOptions } from './options.ts';
import { itemFacts } from './reports.ts';

/** What is filled into a text of desired. */
const FILLINGS = ['version', 'url', 'sha256', 'size', 'name', 'document'];

/** Mistakes of a mapping, whatever service keeps it. */
export function mappingProblems(device: DeviceFacts): readonly FamilyProblem[] {
  const options = mappedOptions(device.options);
  const problems: FamilyProblem[] = [];
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
    const unknown = mapping?.desired.map(([, template]) => unknownFilling(template, FILLINGS)).find((word) => word !== null) ?? null;
    if (unknown !== null) {
      const summary = `what is written for the ${item} of device ${device.id} has {${unknown}}, which means nothing`;
      problems.push({ code: 'BAD_TEMPLATE', summary, fix: `write one of ${FILLINGS.map((word) => `{${word}}`).join(', ')}` });
      continue;
    }
    if (mapping === null || mapping.desired.some(([, template]) => /\{(version|url|sha256|document|name)\}/.test(template))) continue;
    const summary = `what is written for the ${item} of device ${device.id} is the same whatever is declared`;
    problems.push({ code: 'SHADOW_TEMPLATE', summary, fix: 'write {version}, {url}, {sha256} or {document} into one of its texts' });
  }
  return problems;
}

/** Every pointer of desired that is written. */
export function desiredOf({ firmware, config, settings }: MappedOptions): readonly string[] {
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
export function settingDifferences(declared: DeclaredItem, { reported }: DifferenceContext): readonly FieldChange[] | null {
  if (declared.item !== 'settings') return null;
  const said = itemFacts(reported)?.settings ?? {};
  return Object.entries(declaredSettings(declared.facts)).flatMap(([name, to]) => {
    const from = said[name]?.text ?? null;
    return from === to ? [] : [{ path: name, from, to }];
  });
}

import { compareVersions } from '#kit/versions.ts';
import type { DeclaredItem } from '#model/declared.ts';
import type { FieldChange } from '#model/plan.ts';
import type { ReportedItem } from '#model/reported.ts';
import { isJsonObject } from '#model/shadow.ts';
import type { DeviceFacts, DifferenceContext, Family, FamilyProblem } from '#ports/family.ts';
import { MEASURES } from '#shadows/content.ts';
import { confirmationOf } from '#shadows/mapped/confirm.ts';
import { mappedExpectation, type Keeping } from '#shadows/mapped/expectation.ts';
import { desiredOf, mappingProblems, settingDifferences } from '#shadows/mapped/lint.ts';
import { isOverwritten, lostAfterMs, withdrawalOf } from '#shadows/mapped/operations.ts';
import { mappedOptions, type MappedOptions } from '#shadows/mapped/options.ts';
import { REASONS_OF_FAILURE } from '#shadows/mapped/reasons.ts';
import { itemFacts } from '#shadows/mapped/reports.ts';
import { readWrites, settingText, type Write } from '#shadows/mapped/values.ts';
import { thingOf } from '#shadows/values.ts';
import { operationsFor } from './operations.ts';
import optionsSchema from './options.schema.json' with { type: 'json' };
import { documentProblem, pointerFlaw, valueProblem } from './wire.ts';

const KEEPING: Keeping = { name: 'twin', documentProblem, valueProblem };

/** Devices with a twin at an Azure IoT hub, by a mapping of the group's own: readme.md. */
export const twinFamily: Family = {
  name: 'twin',
  items: ['firmware', 'config', 'settings'],
  measures: MEASURES,
  optionsSchema,
  settingsSchema: null,
  connections: ['azure-iot'],
  models: [],
  lint,
  series: () => null,
  compareVersions,
  expectation: (device, pin) => mappedExpectation(KEEPING, device, pin),
  agrees: (declared, reported) => declared.value === reported.value,
  contradicts: (declared, reported) => overwritten(declared, reported).length > 0,
  differences,
  operations: operationsFor,
  confirm: confirmationOf,
  withdrawal: withdrawalOf,
  lostAfterMs,
  attention: null,
  reasons: REASONS_OF_FAILURE,
};

/** Ids as the identity registry takes them (docs/protocols/shadow-devices.md §8.1). */
const DEVICE_ID = /^[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}$/;

function lint(device: DeviceFacts): readonly FamilyProblem[] {
  const problems: FamilyProblem[] = [];
  const thing = thingOf(device);
  if (!DEVICE_ID.test(thing)) {
    const summary = `${JSON.stringify(thing)} of device ${device.id} is no id of a device at a hub`;
    problems.push({ code: 'TWIN_DEVICE', summary, fix: 'give address: the id of the device at the hub' });
  }
  const keyed = pointersOf(mappedOptions(device.options)).find((pointer) => pointerFlaw(pointer) !== null);
  if (keyed !== undefined) {
    const summary = `device ${device.id} cannot have ${keyed} in its twin: ${pointerFlaw(keyed) ?? ''}`;
    problems.push({ code: 'TWIN_KEY', summary, fix: 'keys of a twin have no dot, $, space or control character' });
  }
  return [...problems, ...mappingProblems(device)];
}

/** Every pointer of the mapping, into either section. */
function pointersOf(options: MappedOptions): readonly string[] {
  const { firmware, config, settings, measures, serial, model } = options;
  const states = [firmware, config].flatMap((mapping) => [mapping?.taken, mapping?.failed]);
  return [
    ...desiredOf(options),
    ...[firmware?.reported, config?.reported, serial, model].flatMap((pointer) => pointer ?? []),
    ...[...settings.values()].map(({ reported }) => reported),
    ...measures.values(),
    ...states.flatMap((state) => [state?.at, state?.why].flatMap((pointer) => pointer ?? [])),
  ];
}

/** Desired is a record that stays: what somebody else wrote where we write stands against what is declared. */
function overwritten(declared: DeclaredItem, reported: Extract<ReportedItem, { kind: 'value' }>): readonly Write[] {
  const writes = readWrites(isJsonObject(declared.facts) ? declared.facts['writes'] : undefined) ?? [];
  const desired = itemFacts(reported)?.desired ?? {};
  return writes.filter((write) => isOverwritten(write, desired));
}

/** Of settings each that differs; where the device is as declared, what desired says otherwise. */
function differences(declared: DeclaredItem, context: DifferenceContext): readonly FieldChange[] | null {
  const { reported } = context;
  if (reported.value !== declared.value) return settingDifferences(declared, context);
  const desired = itemFacts(reported)?.desired ?? {};
  return overwritten(declared, reported).map((write) => ({
    path: `desired${write.pointer}`,
    from: settingText(desired[write.pointer]),
    to: write.kind === 'value' ? settingText(write.value) : write.kind === 'document' ? write.digest : write.template,
  }));
}

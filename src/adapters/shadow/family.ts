import type { DeviceFacts, Family, FamilyProblem } from '#ports/family.ts';
import { MEASURES } from '#shadows/content.ts';
import { thingOf } from '#shadows/values.ts';
import { confirmationOf } from '#shadows/mapped/confirm.ts';
import { mappedExpectation, type Keeping } from '#shadows/mapped/expectation.ts';
import { mappingProblems, settingDifferences } from '#shadows/mapped/lint.ts';
import { lostAfterMs, withdrawalOf } from '#shadows/mapped/operations.ts';
import { REASONS_OF_FAILURE } from '#shadows/mapped/reasons.ts';
import { operationsFor } from './operations.ts';
import optionsSchema from './options.schema.json' with { type: 'json' };
import { documentProblem } from './wire.ts';
import { compareVersions } from '#kit/versions.ts';

const KEEPING: Keeping = { name: 'shadow', documentProblem };

/** Devices that keep a shadow by a mapping of the group's own: readme.md. */
export const shadowFamily: Family = {
  name: 'shadow',
  items: ['firmware', 'config', 'settings'],
  measures: MEASURES,
  optionsSchema,
  settingsSchema: null,
  connections: ['aws-iot', 'mqtt'],
  models: [],
  lint,
  series: () => null,
  compareVersions,
  expectation: (device, pin) => mappedExpectation(KEEPING, device, pin),
  agrees: (declared, reported) => declared.value === reported.value,
  differences: settingDifferences,
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
  const problems: FamilyProblem[] = [];
  const thing = thingOf(device);
  if (!THING.test(thing)) {
    const summary = `${JSON.stringify(thing)} of device ${device.id} is no name of a thing`;
    problems.push({ code: 'SHADOW_THING', summary, fix: 'give address: the name of the thing, of letters, digits, : _ -' });
  }
  return [...problems, ...mappingProblems(device)];
}

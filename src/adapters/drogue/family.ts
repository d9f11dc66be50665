import { MINUTE_MS } from '#kit/duration.ts';
import { err, ok, type Result } from '#kit/result.ts';
import type { DeviceFacts, ExpectedItem, Family, FamilyProblem, PinnedItem } from '#ports/family.ts';
import { confirmationOf, lostAfterMs, operationsFor, withdrawalOf } from './operations.ts';
import { drogueOptions, topicName, topicOf } from './options.ts';
import optionsSchema from './options.schema.json' with { type: 'json' };
import { REASONS_OF_FAILURE } from './reasons.ts';
import { MEASURES } from './telemetry.ts';
import { compareVersions, versionBytes, versionText } from './version.ts';

/** Devices that fetch their firmware by the Drogue DFU protocol over MQTT: readme.md. */
export const drogueFamily: Family = {
  name: 'drogue',
  items: ['firmware'],
  measures: MEASURES,
  optionsSchema,
  settingsSchema: null,
  connections: ['mqtt'],
  models: [],
  lint,
  series: () => null,
  compareVersions,
  expectation,
  agrees: (declared, reported) => declared.value === reported.value,
  operations: operationsFor,
  confirm: confirmationOf,
  withdrawal: withdrawalOf,
  lostAfterMs,
  // Sync must follow a swap, or the device rolls back at its next reset (docs/protocols/drogue-dfu.md §0.8).
  attention: { withinMs: 15 * MINUTE_MS },
  reasons: REASONS_OF_FAILURE,
};

function lint(device: DeviceFacts): readonly FamilyProblem[] {
  const options = drogueOptions(device.options);
  const problems: FamilyProblem[] = [];
  const name = topicName(device, options);
  if (/[+#/$\s\p{Cc}]/u.test(name) || name === '') {
    const summary = `${JSON.stringify(name)} of device ${device.id} cannot stand in a topic`;
    problems.push({ code: 'DROGUE_ADDRESS', summary, fix: 'give address: the name of the device in its topics, without / + #' });
  }
  for (const key of ['up', 'down', 'telemetry'] as const) {
    const template = options[key];
    if (template === null || template.includes('{device}')) continue;
    const summary = `the topic ${JSON.stringify(template)} of device ${device.id} does not name the device`;
    problems.push({ code: 'DROGUE_TOPIC', summary, fix: `write {device} into ${key}: who asks is told by the topic alone` });
  }
  const topics = [options.up, options.down, ...(options.telemetry === null ? [] : [options.telemetry])];
  const rendered = new Set(topics.map((template) => topicOf(template, { device: name, group: 'g' })));
  if (rendered.size < topics.length) {
    const summary = `two topics of device ${device.id} are the same`;
    problems.push({ code: 'DROGUE_TOPIC', summary, fix: 'give up, down and telemetry topics of their own' });
  }
  if (options.gateway !== null && options.correlation === null) {
    const summary = `device ${device.id} is behind gateway ${options.gateway} and has no correlation id`;
    problems.push({ code: 'DROGUE_CORRELATION', summary, fix: 'give correlation: the id by which the gateway asks for it' });
  }
  return problems;
}

function expectation(device: DeviceFacts, pin: PinnedItem): Result<ExpectedItem, FamilyProblem> {
  if (pin.item !== 'firmware') {
    return err({ code: 'UNKNOWN_ITEM', summary: `a device of Drogue DFU carries no ${pin.item}`, fix: 'pin firmware' });
  }
  if (pin.content === null || pin.artifact === null) {
    return err({ code: 'CONTENT_MISSING', summary: 'a firmware is pinned as an artifact', fix: 'write name@version of a kind: Artifact' });
  }
  if (pin.content.size === 0) return err({ code: 'FIRMWARE_EMPTY', summary: `${pin.content.name} is empty` });
  const value = versionText(versionBytes(pin.artifact.reportsAs ?? pin.artifact.version));
  const most = drogueOptions(device.options).versionBytes;
  const length = versionBytes(value).length;
  if (length > most) {
    const summary = `version ${value} has ${length} bytes; device ${device.id} holds ${most}`;
    return err({ code: 'VERSION_TOO_LONG', summary, fix: 'give a shorter reportsAs:, or raise versionBytes: where the device has room' });
  }
  return ok({ value, version: pin.artifact.version, facts: {}, content: pin.content });
}

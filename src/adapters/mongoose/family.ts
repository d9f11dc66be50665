import { MINUTE_MS } from '#kit/duration.ts';
import { compareVersions } from '#kit/versions.ts';
import type { DeviceFacts, Family, FamilyProblem } from '#ports/family.ts';
import { confirmationOf } from './confirm.ts';
import { expectationOf } from './expectation.ts';
import { lostAfterMs, operationsFor, withdrawalOf } from './operations.ts';
import optionsSchema from './options.schema.json' with { type: 'json' };
import { boardName, canCall, mongooseOptions, otaOver } from './options.ts';
import { REASONS_OF_FAILURE } from './reasons.ts';

/** Boards with Mongoose OS: readme.md. */
export const mongooseFamily: Family = {
  name: 'mongoose',
  items: ['firmware', 'firmware.host'],
  measures: { freeMemory: 'B', freeStorage: 'B', leastFreeMemory: 'B', uptime: 's' },
  optionsSchema,
  settingsSchema: null,
  connections: ['aws-iot', 'azure-iot', 'mdash', 'mqtt'],
  models: [],
  lint,
  series: () => null,
  compareVersions: (a, b) => compareVersions(versionOf(a), versionOf(b)),
  expectation: expectationOf,
  agrees: (declared, reported) => declared.value === reported.value,
  operations: operationsFor,
  unheard: () => 'the board was never heard; calls are made by whoever holds the lease: apply, or the daemon',
  confirm: confirmationOf,
  withdrawal: withdrawalOf,
  lostAfterMs,
  attention: { withinMs: 10 * MINUTE_MS },
  reasons: REASONS_OF_FAILURE,
};

/** The build id says nothing of the order. */
function versionOf(value: string): string {
  return value.split(' ')[0] ?? value;
}

/** As things and topics may be called. */
const NAME = /^[a-zA-Z0-9:_-]{1,128}$/;
/** A restart, and the longest pause of a board between two attempts to connect (docs/protocols/shadow-devices.md §4.4). */
const SHORTEST_COMMIT_MS = 2 * MINUTE_MS;

function lint(device: DeviceFacts): readonly FamilyProblem[] {
  const name = boardName(device);
  const type = device.connectionType ?? null;
  const named: readonly FamilyProblem[] = NAME.test(name)
    ? []
    : [
        {
          code: 'BOARD_NAME',
          summary: `${JSON.stringify(name)} of device ${device.id} can be no device.id of a board that is reached by topics`,
          fix: 'give address: the device.id of the board, of letters, digits, : _ -',
        },
      ];
  return [...named, ...timeProblems(device), ...(type === null ? [] : wayProblems(device, type)), ...hostProblems(device, type)];
}

function timeProblems(device: DeviceFacts): readonly FamilyProblem[] {
  const { commit, commitTimeoutMs } = mongooseOptions(device.options);
  if (commit === 'self' || commitTimeoutMs >= SHORTEST_COMMIT_MS) return [];
  const summary = `commitTimeout of ${device.id} is shorter than a restart and the way back to the broker may take`;
  return [{ code: 'COMMIT_TIMEOUT', summary, fix: 'write at least 2m; 5m to 10m are usual' }];
}

/** What no call or shadow can bring over this connection. */
function wayProblems(device: DeviceFacts, type: string): readonly FamilyProblem[] {
  const options = mongooseOptions(device.options);
  const ota = otaOver(options, type);
  const problems: FamilyProblem[] = [];
  const unfit = { shadow: type === 'mdash', rpc: !canCall(type), mdash: type !== 'mdash' }[ota];
  if (unfit) {
    const summary = `ota: ${ota} cannot reach ${device.id} over a connection of type ${type}`;
    problems.push({ code: 'OTA_UNREACHABLE', summary, fix: fixOf(type) });
  } else if (options.commit === 'rpc' && !canCall(type)) {
    const summary = `commit: rpc cannot be kept for ${device.id}: a connection of type ${type} passes no calls on`;
    const fix = 'write commit: self for a firmware with shadow.autocommit, or reach it by a connection of type mqtt to the same broker';
    problems.push({ code: 'COMMIT_UNREACHABLE', summary, fix });
  }
  if (options.shadow.generation === 'flat' && !canCall(type)) {
    const summary = `${device.id} of the flat generation says its version by calls only, and a connection of type ${type} passes none on`;
    problems.push({ code: 'VERSION_UNREPORTED', summary, fix: 'reach it by a connection of type mqtt' });
  }
  return problems;
}

function fixOf(type: string): string {
  return type === 'mdash' ? 'leave ota out: over mDash bundles are uploaded' : 'write ota: shadow';
}

function hostProblems(device: DeviceFacts, type: string | null): readonly FamilyProblem[] {
  const { host } = mongooseOptions(device.options);
  if (host === null) return [];
  if (host.reported === null && host.method === null)
    return [
      {
        code: 'HOST_UNREPORTED',
        summary: `host: of ${device.id} does not say where the version of the host is reported`,
        fix: 'write reported: /POINTER into the shadow, or method: NAME of a call',
      },
    ];
  if (host.reported === null && type !== null && !canCall(type)) {
    const summary = `the call ${host.method ?? ''} cannot reach ${device.id} over a connection of type ${type}`;
    return [{ code: 'HOST_UNREPORTED', summary, fix: 'write reported: /POINTER into the shadow' }];
  }
  return [];
}

import type { DeclaredDevice, DeclaredItem } from '#model/declared.ts';
import type { OperationDraft } from '#model/operation.ts';
import type { Impossible } from '#model/plan.ts';
import type { ReportedDevice, ReportedItem } from '#model/reported.ts';
import type { OperationsAnswer, OperationsRequest } from '#ports/family.ts';
import { dialectOf } from './ask.ts';
import { filesOperations } from './files.ts';
import { lowestOs, programNeedsOs } from './models.ts';
import { campbellOptions, type CampbellOptions } from './options.ts';
import { compareOsVersions, osFamily, parseOsVersion } from './os-version.ts';
import { answersOf } from './readings.ts';
import { rotationOperations } from './rotation.ts';
import { settingsOperations } from './settings-operations.ts';
import { moveLockout, trustOperations } from './trust-operations.ts';
import type { CommandName } from './wire-commands.ts';

/** What an operation carries for the driver; the content travels beside it. */
export interface CommandFacts {
  readonly command: CommandName;
  /** Null for an OS: the logger does not ask for its name. */
  readonly fileName: string | null;
  /** OS: the logger skips it when it runs this or a later one, which makes a second delivery harmless. Null: never skips. */
  readonly minVersion: string | null;
  /** Program: the logger can tell the SHA-256 of what it has, and must before it is believed. */
  readonly summed: boolean;
  /** Silence after taking it for longer than this is lost. */
  readonly lostAfterMs: number;
}

interface Request {
  readonly device: DeclaredDevice;
  readonly declared: DeclaredItem;
  readonly reported: ReportedDevice;
  readonly options: CampbellOptions;
}

/**
 * One command per drifted item, OS before program (docs/protocols/campbell-mqtt.md §12 rule 6). Where the OS cannot be
 * changed the program is not offered either: which OS it was written for is not known.
 */
export function operations(request: OperationsRequest): OperationsAnswer {
  const { device, reported } = request;
  const options = campbellOptions(device.options);
  const drafts: OperationDraft[] = [];
  const impossible: Impossible[] = [];
  for (const item of ['firmware', 'program', 'settings', 'files'] as const) {
    const declared = request.items.find((one) => one.item === item);
    if (declared === undefined || !request.drifted.includes(item)) continue;
    const one: Request = { device, declared, reported, options };
    if (item === 'settings' || item === 'files') {
      const refused = item === 'settings' ? lowBattery(one) : null;
      const answer = refused === null ? (item === 'settings' ? settingsOperations(one) : filesOperations(one)) : null;
      drafts.push(...(answer?.drafts ?? []));
      impossible.push(...(answer?.impossible ?? []), ...(refused === null ? [] : [refused]));
      continue;
    }
    const evidence = item === 'firmware' ? osProblem(one) : programProblem(one, drafts.length > 0);
    const refused: Impossible | null = evidence ?? lockout(one) ?? lowBattery(one);
    if (refused !== null) return { drafts, impossible: [refused] };
    drafts.push(item === 'firmware' ? osDraft(one) : programDraft(one));
  }
  const rotation = rotationOf(request, options);
  const answer = { drafts: [...drafts, ...rotation.drafts], impossible: [...impossible, ...rotation.impossible] };
  return withTrust(request, answer, options);
}

/** Roots go with the file that is sent anyhow, or in one of their own; a move must end where the roots let the logger in. */
function withTrust(
  { device, items, reported, drifted }: OperationsRequest,
  answer: OperationsAnswer,
  options: CampbellOptions,
): OperationsAnswer {
  const declared = items.find(({ item }) => item === 'trust');
  if (declared === undefined) return answer;
  if (!drifted.includes('trust')) {
    const refused = answer.drafts.some(({ step }) => step === 'move') ? moveLockout(device, declared, reported) : null;
    if (refused === null) return answer;
    return { drafts: answer.drafts.filter(({ step }) => step !== 'move'), impossible: [...answer.impossible, refused] };
  }
  const low = lowBattery({ device, declared, reported, options });
  if (low !== null) return { ...answer, impossible: [...answer.impossible, low] };
  const { drafts, impossible } = trustOperations({ device, declared, reported, drafts: answer.drafts });
  return { drafts, impossible: [...answer.impossible, ...impossible] };
}

/** The identity comes last: whatever a change of the OS or of settings breaks must not break the way to another key. */
function rotationOf({ device, items, reported, drifted }: OperationsRequest, options: CampbellOptions): OperationsAnswer {
  const declared = items.find(({ item }) => item === 'identity');
  if (declared === undefined || !drifted.includes('identity')) return { drafts: [], impossible: [] };
  const answer = rotationOperations({ declared, reported, options });
  const refused = answer.drafts.some(({ disturbs }) => disturbs) ? lowBattery({ device, declared, reported, options }) : null;
  return refused === null ? answer : { drafts: [], impossible: [refused] };
}

/** Forbids a way back, so it is sent on the way up only, in the dialect that knows it (§5.1). */
function upgradeFrom({ declared, reported, options }: Omit<Request, 'device'>): string | null {
  const running = valueOf(reported.items.firmware);
  const [from, to] = [running === null ? null : parseOsVersion(running), parseOsVersion(declared.value)];
  if (dialectOf(options, reported) !== 'v2' || from === null || to === null || to.build !== null) return null;
  return compareOsVersions(to, from) > 0 ? to.parts.join('.') : null;
}

function osDraft({ declared, reported, options }: Request): OperationDraft {
  const minVersion = upgradeFrom({ declared, reported, options });
  const facts: CommandFacts = { command: 'OS', fileName: null, minVersion, summed: false, lostAfterMs: options.osDeadlineMs };
  return {
    item: 'firmware',
    step: 'os',
    kind: 'change',
    delivery: 'push',
    declared: declared.value,
    expected: valueOf(reported.items.firmware),
    facts: { ...facts },
    content: declared.content,
    deadlineMs: options.osDeadlineMs,
    effects: ['erases stored tables', 'restarts the device', ...hazardEffects(options)],
    disturbs: true,
  };
}

/** The proof of a program comes with the next status message at the latest, so the deadline waits for one. */
function programDraft({ declared, reported, options }: Request): OperationDraft {
  const lostAfterMs = options.programDeadlineMs + options.stateIntervalMs;
  const summed = dialectOf(options, reported) === 'v2';
  const facts: CommandFacts = { command: 'program', fileName: fileNameOf(declared), minVersion: null, summed, lostAfterMs };
  return {
    item: 'program',
    step: 'program',
    kind: 'change',
    delivery: 'push',
    declared: declared.value,
    expected: valueOf(reported.items.program),
    facts: { ...facts },
    content: declared.content,
    deadlineMs: options.programDeadlineMs + options.statusIntervalMs,
    effects: ['erases stored tables', 'restarts the program', ...hazardEffects(options)],
    disturbs: true,
  };
}

/** The name under which a declared program lies on the logger. */
function fileNameOf(declared: DeclaredItem): string {
  return declared.value.slice(declared.value.indexOf(':') + 1);
}

function valueOf(item: ReportedItem | undefined): string | null {
  return item?.kind === 'value' ? item.value : null;
}

function hazardEffects(options: CampbellOptions): readonly string[] {
  return options.hazard === 'switched-modem' ? ['reboots a switched modem'] : [];
}

function osProblem({ device, declared, reported }: Request): Impossible | null {
  const version = parseOsVersion(declared.value);
  if (version === null) return { item: 'firmware', reason: 'INCOMPATIBLE', evidence: `${declared.value} cannot be read as an OS version` };
  if (version.model !== null && osFamily(version.model) !== osFamily(device.model)) {
    return { item: 'firmware', reason: 'INCOMPATIBLE', evidence: `${declared.value} is not for a ${device.model}` };
  }
  const floor = lowestOs(device.model, device.serial ?? reported.serial);
  const lowest = floor === null ? null : parseOsVersion(floor.os);
  if (floor === null || lowest === null || compareOsVersions(version, lowest) >= 0) return null;
  return { item: 'firmware', reason: 'INCOMPATIBLE', evidence: `${declared.value} is below OS ${floor.os} and ${floor.because}` };
}

function programProblem({ device, declared, reported }: Request, osComesFirst: boolean): Impossible | null {
  const needed = programNeedsOs(device.model, fileNameOf(declared));
  const running = reported.items.firmware;
  if (needed === null || osComesFirst || running?.kind !== 'value') return null;
  const lowest = parseOsVersion(needed);
  const version = parseOsVersion(running.value);
  if (lowest === null || version === null || compareOsVersions(version, lowest) >= 0) return null;
  const evidence = `${declared.value} needs OS ${needed} or later for its extension; it runs ${running.value}`;
  return { item: 'program', reason: 'NO_UPGRADE_PATH', evidence };
}

/** §9.3: switched outputs drop during an OS change and when a program stops; the modem is then gone for good. */
function lockout({ declared, reported, options }: Request): Impossible | null {
  if (options.hazard !== 'switched-modem') return null;
  const { files } = answersOf(reported);
  if (options.hazardAccepted !== null) {
    // What a person wrote is held against the list of CPU:, where that is known to be whole.
    if (files === null || !files.complete || files.names.some((name) => /^default\./i.test(name))) return null;
    const evidence = 'modem is switched by the program, and no default.* on CPU: would turn it on again';
    return { item: declared.item, reason: 'LOCKOUT_GUARD', evidence };
  }
  const what = declared.item === 'firmware' ? 'this OS stops' : 'this change stops';
  const evidence = `modem is switched by the program that ${what}; put a default program that turns it on at CPU: and say so in options.hazardAccepted`;
  return { item: declared.item, reason: 'LOCKOUT_GUARD', evidence };
}

function lowBattery({ declared, reported, options }: Request): Impossible | null {
  if (options.minBattery === null) return null;
  const reading = reported.measures['battery'];
  if (reading !== undefined && Number(reading.value) >= options.minBattery) return null;
  const shown = reading === undefined ? 'is not known' : `is ${reading.value} V`;
  return { item: declared.item, reason: 'CONDITIONS_NOT_MET', evidence: `battery ${shown}; at least ${options.minBattery} V is wanted` };
}

/** Reads back what the drafts above carry. */
export function commandFacts(facts: unknown): CommandFacts | null {
  if (typeof facts !== 'object' || facts === null) return null;
  const { command, fileName, minVersion, summed, lostAfterMs } = facts as Readonly<Record<string, unknown>>;
  if ((command !== 'OS' && command !== 'program') || typeof lostAfterMs !== 'number') return null;
  return {
    command,
    fileName: typeof fileName === 'string' ? fileName : null,
    minVersion: typeof minVersion === 'string' ? minVersion : null,
    summed: summed === true,
    lostAfterMs,
  };
}
